/**
 * The explorer for drivers: one call explores a driver's own code against a detach and a move.
 *
 * @module
 */
import { checkNames, type Names } from "../core/options.ts";
import { siblingUrl } from "../kernel/spawn.ts";
import type { DriverInput } from "./driver_scenario.ts";
import { explore, type ExploreOptions, type ExploreReport } from "./explore.ts";

/** What is done to a driver's interface while another CPU sends through it. */
export const DRIVER_SCENARIOS = ["detach", "move"] as const;

/** How a driver is explored. */
export interface DriverExploreOptions extends Omit<ExploreOptions, "scenario" | "input"> {
  /** Options of the driver, before they are validated: plain data. */
  readonly options?: unknown;
  /** The driver of a module that has several, by its cloner; the first unless told. */
  readonly cloner?: string;
}

const NAMES: Names<DriverExploreOptions> = {
  options: true,
  cloner: true,
  bound: true,
  max: true,
  random: true,
  pct: true,
  seed: true,
  all: true,
  show: true,
  spins: true,
  races: true,
  onProgress: true,
};

/**
 * The module with the scenarios of a driver, and what it is told, for `explore` and `replay`; `args` are those of a
 * command line that says the same.
 *
 * @example
 * ```ts
 * import { driverScenarios, explore } from "@softc/softc/testing";
 *
 * const { url, input } = driverScenarios(import.meta.resolve("@softc/softc/drivers/null"));
 * const report = await explore(url, { scenario: "detach", input, bound: 0 });
 * console.log(report.name); // null: detach
 * ```
 */
export function driverScenarios(
  driver: URL | string,
  o: Pick<DriverExploreOptions, "options" | "cloner"> = {},
): { readonly url: string; readonly input: DriverInput; readonly args: string } {
  const { options, cloner } = o;
  const args = [
    ...cloner === undefined ? [] : [` --cloner ${cloner}`],
    ...options === undefined ? [] : [` --options '${JSON.stringify(options)}'`],
  ].join("");
  return {
    args,
    url: String(siblingUrl(import.meta.url, "driver_scenario")),
    input: { driver: String(driver), options, cloner },
  };
}

/**
 * Explores a driver: its hooks on two real threads, every schedule up to the bound, while its interface is detached
 * and while it moves. One report for each of {@linkcode DRIVER_SCENARIOS}.
 *
 * @example
 * ```ts
 * import { exploreDriver, formatReport } from "@softc/softc/testing";
 *
 * const driver = import.meta.resolve("@softc/softc/drivers/null"); // or new URL("./mynic.ts", import.meta.url)
 * for (const report of await exploreDriver(driver, { bound: 1 })) {
 *   if (report.violation !== undefined) throw new Error(formatReport(report));
 * }
 * ```
 * @throws {SoftcError} `SOFTC_DRIVER_SHAPE`, `SOFTC_DRIVER_API`, `SOFTC_DRIVER_UNKNOWN` when the module has no such
 * cloner, `SOFTC_DRIVER_OPTIONS`, `SOFTC_OPTION_UNKNOWN`
 * @throws {Error} as {@linkcode explore}
 */
export async function exploreDriver(
  driver: URL | string,
  o: DriverExploreOptions = {},
): Promise<ExploreReport[]> {
  checkNames("explore a driver", o, NAMES);
  const { options: _options, cloner: _cloner, ...limits } = o;
  const { url, input, args } = driverScenarios(driver, o);
  const reports: ExploreReport[] = [];
  for (const scenario of DRIVER_SCENARIOS) {
    const r = await explore(url, { ...limits, scenario, input });
    reports.push({ ...r, command: `softc explore ${driver} --scenario ${scenario}${args}` });
  }
  return reports;
}
