/**
 * The conformance test of drivers: one call registers a test for each rule.
 *
 * What it does not find: what a driver does to its device, interleavings that did not happen to come up (the
 * explorer is for those), and what it does on CPUs other than 0 between two hooks.
 *
 * @module
 */
import { test as nodeTest } from "node:test";
import { checkNames, type Names } from "../../core/options.ts";
import { ConformanceError, type DeviceMaker, Lab, type Subject, type TestDevice } from "./lab.ts";
import type { ConformanceRule } from "./rule.ts";
import { CONFORMANCE_RULES } from "./rules.ts";

export { ConformanceError };
export type { ConformanceRule, DeviceMaker, TestDevice };

/** How a driver is tried. */
export interface ConformanceOptions {
  /** Cloner that makes its interfaces; that of the module's first driver unless told. */
  readonly cloner?: string;
  /** Options for every create; none unless told. */
  readonly options?: unknown;
  /**
   * For the driver of a device: makes one. Its interfaces come from plugging that in then, not from its cloner.
   *
   * @example
   * ```ts
   * import { SoftNic, SoftPort, usbId } from "@softc/softc/drivers/usb";
   * import type { DeviceMaker } from "@softc/softc/testing";
   *
   * const device: DeviceMaker = async (_kernel, n) => {
   *   const port = new SoftPort(new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, n) }));
   *   return { id: await usbId(port, `1-${n}`), resource: port };
   * };
   * ```
   */
  readonly device?: DeviceMaker;
  /** Rules that do not hold for it, by id, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Registers a test; `test` of `node:test` unless told, which Deno, Node and Bun run. */
  readonly test?: (name: string, fn: () => Promise<void>) => unknown;
}

const NAMES: Names<ConformanceOptions> = {
  cloner: true,
  options: true,
  device: true,
  skip: true,
  test: true,
};

/**
 * Registers a test for each rule of {@linkcode CONFORMANCE_RULES}; each boots a kernel of its own with the sanitizer on,
 * where a hook may take 1000 ms.
 *
 * @example
 * ```ts
 * import { conformance } from "@softc/softc/testing";
 *
 * // Called at the top of a test file: a test for each rule.
 * export function nullTests(): void {
 *   conformance(import.meta.resolve("@softc/softc/drivers/null"), { cloner: "null" });
 * }
 * ```
 * @throws {SoftcError} `SOFTC_OPTION_UNKNOWN` for an option or a rule that there is not
 */
export function conformance(url: URL | string, o: ConformanceOptions = {}): void {
  checkNames("try a driver", o, NAMES);
  checkNames("skip a rule", o.skip, Object.fromEntries(CONFORMANCE_RULES.map((r) => [r.id, true as const])));
  const register = o.test ?? ((name, fn) => void nodeTest(name, fn));
  for (const rule of CONFORMANCE_RULES) {
    const why = o.skip?.[rule.id] ?? (o.device === undefined ? undefined : rule.withDevice);
    const name = `${rule.id} ${rule.text}`;
    if (why !== undefined) register(`${name} (does not apply: ${why})`, async () => {});
    else register(name, () => tryRule(rule, url, o));
  }
}

/**
 * Tries one rule on a kernel of its own; one that does not apply to the driver of a device holds. `skip` and `test`
 * are not looked at.
 *
 * @example
 * ```ts
 * import { CONFORMANCE_RULES, tryRule } from "@softc/softc/testing";
 *
 * const rule = CONFORMANCE_RULES.find(({ id }) => id === "D03")!;
 * await tryRule(rule, import.meta.resolve("@softc/softc/drivers/null"));
 * ```
 * @throws {ConformanceError} naming the rule that was broken; `D01` when no driver of the module has a cloner
 */
export async function tryRule(
  rule: ConformanceRule,
  url: URL | string,
  o: ConformanceOptions = {},
): Promise<void> {
  if (o.device !== undefined && rule.withDevice !== undefined) return;
  const subject: Subject = {
    url: String(url),
    cloner: o.cloner ?? await clonerOf(String(url)),
    options: o.options,
    device: o.device,
  };
  try {
    await Lab.run(rule.id, subject, { cpus: rule.cpus ?? 1 }, (lab) => rule.run(lab));
  } catch (e) {
    if (!(e instanceof ConformanceError) || e.rule === rule.id) throw e;
    throw new ConformanceError(
      e.rule,
      `${e.message.slice(e.rule.length + 2)} (seen while trying ${rule.id})`,
    );
  }
}

/** The cloner of the first driver that a module exports. */
async function clonerOf(url: string): Promise<string> {
  const m: { default?: unknown } = await import(url);
  const x = m.default as
    | { cloner?: string; drivers?: { cloner?: string }[] }
    | { cloner?: string }[]
    | undefined;
  const drivers = Array.isArray(x) ? x : x?.drivers ?? (x === undefined ? [] : [x as { cloner?: string }]);
  const found = drivers.find((d) => d?.cloner !== undefined)?.cloner;
  if (found === undefined) throw new ConformanceError("D01", `no driver of ${url} has a cloner`);
  return found;
}
