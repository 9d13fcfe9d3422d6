/**
 * A driver under the explorer: its own code on two threads, while its interface goes away or moves.
 *
 * Loaded by a URL that names the driver: `?driver=URL&options=JSON` ({@linkcode driverScenarios}). CPU 0 runs the
 * structural operation; CPU 1 looks the interface up, sends a packet through it, and takes turns of its pump. A
 * driver with one home lives on CPU 1.
 *
 * Bodies of threads are synchronous, so hooks of CPU 1 must settle by themselves: a driver whose stop awaits an
 * answer of its device cannot be explored this way.
 *
 * @module
 */
import type { Driver } from "../core/device/driver.ts";
import type { InstanceFacts } from "../core/device/instance.ts";
import { readModule } from "../core/device/module_def.ts";
import { get, load, set, store } from "../core/doors/arena.ts";
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

const query = new URL(import.meta.url).searchParams;
const url = query.get("driver");
const driver = await read();
const options = await validated();
const COUNT = driver.instances ?? 1;
const HOME = driver.queues === "per-cpu" ? 0 : 1;

/** Scratch words: CPU 0 is done; where the shared softc of each interface lies. */
const DONE = 0;
const SHARED = 1;

async function read(): Promise<Driver<never>> {
  if (url === null) throw new Error("This module is loaded with ?driver=URL: see driverScenarios");
  const found = readModule((await import(url)).default, url).drivers;
  const cloner = query.get("cloner");
  return (found.find((d) => d.cloner === cloner) ?? found[0]) as Driver<never>;
}

async function validated(): Promise<unknown> {
  const given: unknown = JSON.parse(query.get("options") ?? "null") ?? undefined;
  if (driver.options === undefined) return given ?? {};
  const result = await driver.options["~standard"].validate(given);
  if (result.issues !== undefined) {
    throw new Error(`${url}: ${result.issues.map((i) => i.message).join("; ")}`);
  }
  return result.value;
}

/** What the instance at slot `index` is told: the same on every CPU. */
function facts(t: ThreadContext, index: number): Partial<InstanceFacts> {
  const others = Array.from({ length: COUNT }, (_, i) => i + 1).filter((i) => i !== index);
  return {
    options,
    peers: others.map((i) => ({ index: i, born: 1 })),
    shared: get(t.arena.a, scratch(t.arena, SHARED + index)),
  };
}

/** This CPU's parts of the instances. */
async function open(w: CpuWorld): Promise<void> {
  if (driver.queues !== "per-cpu" && w.cpu.id !== HOME) return;
  for (let i = 1; i <= COUNT; i++) await openInstance(w, i, w.cpu.id === HOME, facts(w.t, i));
}

interface Parts {
  readonly w: ControlWorld;
  readonly entries: readonly IfEntry[];
}

/** CPU 0, which does one thing to the interfaces. */
function structural(name: string, operation: (p: Parts) => Promise<void>): ScenarioThread {
  return {
    name: `CPU 0: ${name}`,
    async prepare(t): Promise<Parts> {
      const w = openControl(t, driver);
      const entries = Array.from(
        { length: COUNT },
        (_, i) => attachIf(w, driver, { name: `${driver.name}${i}`, home: HOME }),
      );
      for (const e of entries) {
        if (driver.shared === undefined) continue;
        const at = w.control.heap.alloc(driver.shared.words, `shared softc of ${e.name}`);
        set(w.a, scratch(t.arena, SHARED + e.index), at);
      }
      await open(w);
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

const sender: ScenarioThread = {
  name: "CPU 1: sender",
  async prepare(t) {
    const w = openCpu(t, driver);
    await open(w);
    return w;
  },
  run(t, w: CpuWorld) {
    t.happened(sendOne(w, 1, 1) < 0 ? "gone" : "found");
    const done = scratch(t.arena, DONE);
    pumpUntil(w, [done], () => load(w.a, done) === 1);
  },
};

const common = { mustHappen: ["found", "gone"], arena: { ifnets: COUNT + 3, heap: 16384 } } as const;

/** What is done to the driver's interface under a sender. */
const scenarios: Readonly<Record<"detach" | "move", Scenario>> = {
  /** The interface is detached under a sender: no hook after its end, every packet accounted for, the slot free. */
  detach: {
    ...common,
    name: `${driver.name}: detach`,
    threads: [
      structural("detach", async ({ w, entries }) => {
        for (const e of entries) await detachEntry(w.ifs, e);
      }),
      sender,
    ],
    check({ arena }) {
      assertLedger(arena);
      for (let i = 1; i <= COUNT; i++) {
        const state = stateOf(arena.a, arena.ifnetAt(i));
        if (state !== "freed") throw new Error(`slot ${i} is ${state}`);
      }
    },
  },
  /** It moves to another vnet under a sender of the old one; the books close (the explorer sees to that). */
  move: {
    ...common,
    name: `${driver.name}: move`,
    threads: [
      structural("move", async ({ w, entries }) => {
        await vmove(w.ifs, entries[0]!, w.vnets.create(w.vnet0, "other"));
      }),
      sender,
    ],
  },
};
export default scenarios;
