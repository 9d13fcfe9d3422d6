/**
 * A kernel for one test: booted, watched for leaks, shut down, its ledger closed.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { IFNET } from "../../core/memory/arena.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { IfEntry } from "../../core/net/interfaces.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { boot, type BootOptions, type Ifnet, isSoftcError, type SoftcError, type Vnet } from "../../mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";

type Probe = typeof import("../plugins/life_probe.ts");

/** What a test gets. */
export interface Rig {
  readonly k: KernelObject;
  /** What onFault was told. */
  readonly faults: SoftcError[];
  /** Loads the probe module and gives its control, shared with its hooks on CPU 0. */
  probe(): Promise<Probe["control"]>;
  /** Lines of the journal so far. */
  journal(): string[];
  /** Empties the journal. */
  clear(): void;
  /** Adds a line of the test's own. */
  note(line: string): void;
  /** From here on every event is a line of the journal: "* down probe0". */
  noteEvents(): void;
  /** A folder outside the repository, gone after the test. */
  readonly folder: string;
}

/** What a test may leave behind on purpose. */
export interface RigOptions extends BootOptions {
  /** A wedged interface keeps its memory: leaks are not asserted, and so many interfaces are listed as wedged. */
  readonly wedged?: number;
}

/** Boots (with the sanitizer, unless told), runs, shuts down. */
export async function withKernel(o: RigOptions, body: (rig: Rig) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "softc-life-" });
  const file = `${folder}/journal`;
  const faults: SoftcError[] = [];
  const { wedged = 0, ...options } = o;
  const append = (line: string): void => Deno.writeTextFileSync(file, line + "\n", { append: true });
  try {
    await assertNoLeaks(async (watch) => {
      const k = watch(
        await boot({ debug: true, arena: 8 << 20, onFault: (e) => void faults.push(e), ...options }),
      ) as KernelObject;
      Deno.writeTextFileSync(file, "");
      try {
        await body({
          k,
          faults,
          folder,
          probe: async () => {
            const url = new URL(
              `../plugins/life_probe.ts?journal=${encodeURIComponent(file)}`,
              import.meta.url,
            );
            await k.modules.load(url);
            return (await import(url.href) as Probe).control;
          },
          journal: () => Deno.readTextFileSync(file).split("\n").slice(0, -1),
          clear: () => Deno.writeTextFileSync(file, ""),
          note: append,
          noteEvents: () => void k.events.listen((e) => append(`* ${e.type} ${e.name}`)),
        });
      } catch (e) {
        await k.shutdown().catch(() => {});
        throw e;
      }
      const report = await k.shutdown();
      assertEquals(report.unaccounted, 0);
      assertEquals(report.wedged.length, wedged, report.wedged.join("\n"));
      if (wedged === 0) assertEquals(report.leaks, []);
    });
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The record behind an interface. */
export function entryOf(i: Ifnet): IfEntry {
  return IfnetObject.entry(i)!;
}

/** Waits for a condition; fails with its name when the deadline passes. */
export async function until(what: string, condition: () => boolean, ms = 30_000): Promise<void> {
  if (!await poll(condition, ms)) throw new Error(`Not within ${ms} ms: ${what}`);
}

/** The code of what a promise rejects with; fails when it does not reject. */
export async function codeOf(p: Promise<unknown>): Promise<string> {
  try {
    await p;
  } catch (e) {
    if (isSoftcError(e)) return e.code;
    return `no code: ${(e as Error).message}`;
  }
  throw new Error("did not reject");
}

/** The code of what a function throws. */
export function codeThrown(fn: () => unknown): string {
  try {
    fn();
  } catch (e) {
    if (isSoftcError(e)) return e.code;
    return `no code: ${(e as Error).message}`;
  }
  throw new Error("did not throw");
}

/** Everything that a failed operation must leave as it was. */
export function snapshot(k: KernelObject, ...more: unknown[]): unknown {
  const { a, plan } = k.arena;
  const slots = Array.from({ length: Math.min(16, plan.config.ifnets) }, (_, i) => {
    const at = k.arena.ifnetAt(i);
    return [...a.subarray(at, at + IFNET.WORDS)];
  });
  return structuredClone({
    slots,
    vnets: k.vnets.map((v) => v.toJSON()),
    holds: k.vnetTable.all().map((v) => v.holds),
    ifnets: [...k.ifs.all()].map((e) => ({
      name: e.name,
      vnet: e.vnet.name,
      home: e.homeName,
      groups: [...e.groups],
      promisc: e.promisc,
      rings: e.rings,
    })),
    users: k.modules.list().map((m) => m.toJSON()),
    heap: k.control.heap.owners().map((o) => `${o.owner} ${o.words}`).sort(),
    references: k.ifs.references.size,
    more,
  });
}

/** A valid IPv4/UDP frame whose payload begins behind the headers; `mark` replaces its first header byte when given. */
export function frame(length: number, mark?: string): Uint8Array {
  const f = new Uint8Array(length);
  f.set([8, 0], 12);
  f.set([
    0x45,
    0,
    (length - 14) >> 8,
    (length - 14) & 255,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    0,
    0,
    1,
    10,
    0,
    0,
    2,
  ], 14);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += f[i]! << 8 | f[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  f.set([~sum >> 8 & 255, ~sum & 255], 24);
  if (mark !== undefined) f[14] = mark.charCodeAt(0);
  return f;
}

/** Sets a slot's gencnt by hand: as if it had lived long. */
export function setGencnt(k: KernelObject, index: number, gencnt: number): void {
  k.arena.a[k.arena.ifnetAt(index) + IFNET.gencnt] = gencnt;
}

/** A promise and what settles it. */
export function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => open = resolve);
  return { promise, open };
}

/** Runs something at a named await of a structural operation, once; waits go on as without a stepper. */
export function atStep(k: KernelObject, at: Readonly<Record<string, () => unknown>>): void {
  const pending = new Map(Object.entries(at));
  k.control.stepper = {
    async step(label, _words, ready) {
      const act = pending.get(label);
      pending.delete(label);
      await act?.();
      while (!ready()) await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

/** Names of what is in a vnet. */
export function names(v: Vnet): string[] {
  return v.ifnets.map((i) => i.name);
}
