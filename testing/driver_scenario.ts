/**
 * A driver under the explorer: its own code on two threads, while its interface goes away or moves.
 *
 * CPU 0 runs the structural operation; CPU 1 looks the interface up, sends a packet through it, and takes turns of
 * its pump. A driver with one home lives on CPU 1.
 *
 * Bodies of threads are synchronous, so hooks of CPU 1 must settle by themselves: a driver whose stop awaits an
 * answer of its device, or that has a task under way, cannot be explored this way.
 *
 * @module
 */
import type { Driver } from "../core/device/driver.ts";
import type { InstanceFacts } from "../core/device/instance.ts";
import { readModule } from "../core/device/module_def.ts";
import { get, load, set, store } from "../core/doors/arena.ts";
import { SoftcError } from "../core/error.ts";
import type { IfEntry } from "../core/net/interfaces.ts";
import { detachEntry } from "../core/net/lifecycle.ts";
import { stateOf } from "../core/net/state.ts";
import { vmove } from "../vnet/vmove.ts";
import type { Scenario, ScenarioThread, ThreadContext } from "./scenario.ts";
import {
  assertLedger,
  attachIf,
  type ControlWorld,
  type CpuWorld,
  openControl,
  openCpu,
  openInstance,
  pumpUntil,
  scratch,
  sendOne,
} from "./world.ts";

/** Which driver, and how. */
export interface DriverInput {
  /** URL of its module. */
  readonly driver: string;
  /** Its options, before they are validated. */
  readonly options: unknown;
  /** Cloner of the driver, of a module that has several; the first when undefined. */
  readonly cloner: string | undefined;
}

/** Scratch words: CPU 0 is done; where the shared softc of each interface lies. */
const DONE = 0;
const SHARED = 1;

/** A driver that was read, with its options validated. */
class Subject {
  /** Interfaces of one create. */
  readonly count: number;
  readonly home: number;

  private constructor(readonly driver: Driver<never>, readonly options: unknown) {
    this.count = driver.instances ?? 1;
    this.home = driver.queues === "per-cpu" ? 0 : 1;
  }

  static async read({ driver: url, options, cloner }: DriverInput): Promise<Subject> {
    const found = readModule((await import(url)).default, url).drivers;
    const driver = cloner === undefined ? found[0] : found.find((d) => d.cloner === cloner);
    if (driver === undefined) {
      throw new SoftcError("SOFTC_DRIVER_UNKNOWN", `Cannot find the cloner "${cloner}" in ${url}`, {
        wanted: found.flatMap((d) => d.cloner ?? []).join(", ") || "none: it has no cloners",
        fix: "name a cloner that the module has",
      });
    }
    if (driver.options === undefined) return new Subject(driver as Driver<never>, options ?? {});
    const result = await driver.options["~standard"].validate(options ?? {});
    if (result.issues !== undefined) {
      const why = result.issues.map((i) => i.message).join("; ");
      throw new SoftcError("SOFTC_DRIVER_OPTIONS", `Cannot explore ${url}: ${why}`);
    }
    return new Subject(driver as Driver<never>, result.value);
  }

  /** What the instance at slot `index` is told: the same on every CPU. */
  facts(t: ThreadContext, index: number): Partial<InstanceFacts> {
    const others = Array.from({ length: this.count }, (_, i) => i + 1).filter((i) => i !== index);
    return {
      options: this.options,
      peers: others.map((i) => ({ index: i, born: 1 })),
      shared: get(t.arena.a, scratch(t.arena, SHARED + index)),
    };
  }

  /** A CPU's parts of the instances. */
  async open(w: CpuWorld): Promise<void> {
    if (this.driver.queues !== "per-cpu" && w.cpu.id !== this.home) return;
    for (let i = 1; i <= this.count; i++) {
      await openInstance(w, i, w.cpu.id === this.home, this.facts(w.t, i));
    }
  }
}

interface Parts {
  readonly w: ControlWorld;
  readonly entries: readonly IfEntry[];
}

/** CPU 0, which does one thing to the interfaces. */
function structural(s: Subject, name: string, operation: (p: Parts) => Promise<void>): ScenarioThread {
  const { driver, count, home } = s;
  return {
    name: `CPU 0: ${name}`,
    async prepare(t): Promise<Parts> {
      const w = openControl(t, driver);
      const entries = Array.from(
        { length: count },
        (_, i) => attachIf(w, driver, { name: `${driver.name}${i}`, home }),
      );
      for (const e of entries) {
        if (driver.shared === undefined) continue;
        const at = w.control.heap.alloc(driver.shared.words, `shared softc of ${e.name}`);
        set(w.a, scratch(t.arena, SHARED + e.index), at);
      }
      await s.open(w);
      return { w, entries };
    },
    operations: {
      async [name](t, p: Parts) {
        await operation(p);
        store(p.w.a, scratch(t.arena, DONE), 1);
      },
    },
  };
}

/** CPU 1, which sends while it goes, and once more when it has gone. */
function sender(s: Subject): ScenarioThread {
  return {
    name: "CPU 1: sender",
    async prepare(t) {
      const w = openCpu(t, s.driver);
      await s.open(w);
      return w;
    },
    run(t, w: CpuWorld) {
      if (sendOne(w, 1, 1) >= 0) t.happened("found");
      const done = scratch(t.arena, DONE);
      pumpUntil(w, [done], () => load(w.a, done) === 1);
      if (sendOne(w, 1, 1) >= 0) throw new Error("the interface is found where it is not any more");
    },
  };
}

/** What is done to a driver's interface under a sender: {@linkcode DRIVER_SCENARIOS}. */
export default async function scenarios(
  input: DriverInput,
): Promise<Readonly<Record<"detach" | "move", Scenario>>> {
  const s = await Subject.read(input);
  const stuck = "or a hook or task awaits I/O or a timer of the runtime, which does not run here: " +
    "such a driver cannot be explored, and D36 is left out with that reason";
  const common = { stuck, mustHappen: ["found"], arena: { ifnets: s.count + 3, heap: 16384 } };
  return {
    // No hook after its end, every packet accounted for, the slot free.
    detach: {
      ...common,
      name: `${s.driver.name}: detach`,
      threads: [
        structural(s, "detach", async ({ w, entries }) => {
          for (const e of entries) await detachEntry(w.ifs, e);
        }),
        sender(s),
      ],
      check({ arena }) {
        assertLedger(arena);
        for (let i = 1; i <= s.count; i++) {
          const state = stateOf(arena.a, arena.ifnetAt(i));
          if (state !== "freed") throw new Error(`slot ${i} is ${state}`);
        }
      },
    },
    // To another vnet, under a sender of the old one; the books close (the explorer sees to that).
    move: {
      ...common,
      name: `${s.driver.name}: move`,
      threads: [
        structural(s, "move", async ({ w, entries }) => {
          await vmove(w.ifs, entries[0]!, w.vnets.create(w.vnet0, "other"));
        }),
        sender(s),
      ],
    },
  };
}
