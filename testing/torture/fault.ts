/**
 * A driver that is as it was, but for a fault at a moment that the seed decides; and that says when it is called
 * as it never may be.
 *
 * Runs on every CPU that runs the driver: {@linkcode afflicted} gives the text of a module that wraps it.
 *
 * @module
 */
import type { Batch, Driver, ModuleDef } from "../../core/device/mod.ts";
import type { LocalInstance } from "../../core/device/instance.ts";
import { get } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { tagOf } from "./frame.ts";
import { NearWatch } from "./near.ts";
import { mix, Random } from "./random.ts";

/** What faults are planted. */
export interface Affliction {
  readonly seed: number;
  /** Share of instances that have a fault. */
  readonly rate: number;
  /** Whether hooks may stall for ever: their interfaces end wedged. */
  readonly stalls: boolean;
}

/** A word in every planted error. */
export const PLANTED = "planted:";
/** Begins a line of a driver's log that tells what the door saw on its CPU. */
export const NEAR = "near misses:";

/** Ways to be bad: throw, settle late, never settle, or say no. */
type Ill = "throw" | "late" | "never" | "refuse";
type Fn = (...args: unknown[]) => unknown;

/** What each hook may do wrong. Hooks that end something do their work first: nothing else could undo it. */
const ILLS: Readonly<Record<string, readonly [Ill, ...Ill[]]>> = {
  attach: ["throw", "late", "never"],
  open: ["throw", "late", "never"],
  set: ["throw", "late", "never"],
  reassign: ["throw", "late", "never"],
  canDetach: ["throw", "refuse"],
  canMove: ["throw", "refuse"],
  transmit: ["throw", "refuse"],
  timer: ["throw"],
  stop: ["throw", "late", "never"],
  close: ["throw", "late", "never"],
  destroy: ["throw"],
};
const HOOKS = Object.keys(ILLS);
const ENDING = new Set(["stop", "close"]);

/** Text of a module that wraps the one at `url`. */
export function afflicted(url: string, o: Affliction): string {
  // The comment at its end takes what a second load appends to the URL.
  const text = `import { afflict } from ${JSON.stringify(import.meta.url)};
import * as m from ${JSON.stringify(url)};
export default afflict(m.default, ${JSON.stringify(o)}); //`;
  return `data:text/javascript,${encodeURIComponent(text)}`;
}

/** The same driver, module or list, with faults. Called by the text of {@linkcode afflicted}. */
export function afflict(exported: unknown, o: Affliction): unknown {
  if (typeof exported !== "object" || exported === null) return exported;
  if (Array.isArray(exported)) return exported.map((d) => driver(d as Driver<never>, o));
  if ("drivers" in exported && Array.isArray(exported.drivers)) {
    const m = exported as ModuleDef;
    return { ...m, drivers: m.drivers.map((d) => driver(d as Driver<never>, o)) };
  }
  return driver(exported as Driver<never>, o);
}

/** Of this thread, when it is not CPU 0: that one's is set before it boots. */
let near: NearWatch | undefined;

function watchFrom(dev: LocalInstance): void {
  if (dev.cpu === 0 || near !== undefined) return;
  near = new NearWatch();
  near.install();
  near.watch(dev.net.arena, dev.cpu);
}

function reportNear(dev: LocalInstance): void {
  if (near === undefined || near.count === 0 || dev.cpu === 0) return;
  dev.log.info(`${NEAR} ${near.count}`);
  near.count = 0;
}

/** One instance on one CPU, and its fate. */
class Patient {
  readonly #hook: string | undefined;
  readonly #ill: Ill | undefined;
  readonly #at: number;
  readonly late: number;
  #calls = 0;
  sending = false;
  destroyed = false;

  constructor(readonly dev: LocalInstance, o: Affliction, hooks: readonly string[]) {
    const r = new Random(mix(o.seed, dev.born * 65536 + dev.index * 16 + dev.cpu));
    this.late = 1 + r.below(30);
    this.#at = 1 + r.below(6);
    if (!r.chance(o.rate)) return;
    const hook = r.pick(hooks)!;
    const ill = r.pick(ILLS[hook]!)!;
    this.#hook = hook;
    this.#ill = ill === "never" && !o.stalls ? "late" : ill;
    // It fires by itself; a hook fires when it is called for the k-th time, if it ever is.
    if (hook === "timer") dev.timer(() => this.#throw("timer")).set(this.late);
  }

  /** What befalls this call of a hook. */
  ill(hook: string): Ill | undefined {
    if (hook !== this.#hook) return undefined;
    this.#calls++;
    // Hooks that run once have no later call.
    const at = hook === "set" ? 1 + this.#at % 3 : hook === "transmit" ? this.#at : 1;
    const lasting = this.#ill === "refuse" ? 3 : 0;
    return this.#calls >= at && this.#calls <= at + lasting ? this.#ill : undefined;
  }

  #throw(hook: string): never {
    throw new Error(`${PLANTED} ${hook} of ${this.dev.name} throws`);
  }

  /** Runs a hook as its fate wants it: what is bad comes before it, or after it when it ends something. */
  run(hook: string, fn: () => unknown): unknown {
    if (this.destroyed) throw new Error(`${hook} of ${this.dev.name} is called after destroy`);
    const ill = this.ill(hook);
    if (ill === undefined) return fn();
    if (!ENDING.has(hook)) {
      if (ill === "throw") this.#throw(hook);
      if (ill === "refuse") return `${PLANTED} ${hook} says no`;
      return this.#wait(ill).then(fn);
    }
    const done = fn();
    if (ill === "throw" && !(done instanceof Promise)) this.#throw(hook);
    return Promise.resolve(done).then((x) =>
      ill === "throw" ? this.#throw(hook) : this.#wait(ill).then(() => x)
    );
  }

  #wait(ill: Ill): Promise<void> {
    return new Promise((resolve) => ill === "late" ? void setTimeout(resolve, this.late) : undefined);
  }
}

function driver(d: Driver<never>, o: Affliction): unknown {
  const own = d as unknown as Record<string, Fn | undefined>;
  const perCpu = d.queues === "per-cpu";
  /** The patient of a softc or a CPU's part: hidden in it, for the sanitizer puts a proxy around it. */
  const PATIENT = Symbol("patient");
  const patientOf = (x: unknown): Patient => (x as Record<symbol, Patient>)[PATIENT]!;
  const remember = (made: unknown, patient: Patient): unknown => {
    if (typeof made === "object" && made !== null) {
      Object.defineProperty(made, PATIENT, { value: patient, configurable: true, writable: true });
    }
    return made;
  };
  const maker = (hook: "attach" | "open", hooks: readonly string[]) => (dev: unknown, ...rest: unknown[]) => {
    watchFrom(dev as LocalInstance);
    const patient = new Patient(dev as LocalInstance, o, hooks);
    const made = patient.run(hook, () => own[hook]!.call(d, dev, ...rest));
    return made instanceof Promise ? made.then((x) => remember(x, patient)) : remember(made, patient);
  };
  const pass = (hook: string) => (x: unknown, ...rest: unknown[]) => {
    const patient = patientOf(x);
    if (hook === "close" || hook === "stop") reportNear(patient.dev);
    const answer = hook === "canDetach" || hook === "canMove" ? true : undefined;
    return patient.run(hook, () => own[hook] === undefined ? answer : own[hook].call(d, x, ...rest));
  };
  const parts = ["open", "close", "transmit", "timer"];
  return {
    ...d,
    attach: maker(
      "attach",
      HOOKS.filter((h) => !perCpu ? h !== "open" && h !== "close" : !parts.includes(h)),
    ),
    ...(perCpu ? { open: maker("open", parts), close: pass("close") } : {}),
    ...Object.fromEntries(["set", "canDetach", "canMove", "reassign", "stop"].map((h) => [h, pass(h)])),
    destroy(x: unknown): void {
      const patient = patientOf(x);
      patient.destroyed = true;
      own.destroy?.call(d, x);
      if (patient.ill("destroy") !== undefined) {
        throw new Error(`${PLANTED} destroy of ${patient.dev.name} throws`);
      }
    },
    transmit(x: unknown, batch: Batch, queue: number): number {
      const patient = patientOf(x);
      check(patient, batch);
      const ill = patient.ill("transmit");
      if (ill === "throw") throw new Error(`${PLANTED} transmit of ${patient.dev.name} throws`);
      if (ill === "refuse") {
        // Back-pressure for a moment.
        patient.dev.timer(() => patient.dev.txWake(queue)).set(patient.late);
        return 0;
      }
      patient.sending = true;
      try {
        return own.transmit!.call(d, x, batch, queue) as number;
      } finally {
        patient.sending = false;
      }
    },
  };
}

/** What never may be: a hook inside itself, after destroy, or a packet of another vnet. */
function check(patient: Patient, batch: Batch): void {
  const { dev } = patient;
  if (patient.destroyed) throw new Error(`transmit of ${dev.name} is called after destroy`);
  if (patient.sending) throw new Error(`transmit of ${dev.name} is entered again on CPU ${dev.cpu}`);
  const { arena } = dev.net;
  const vnet = get(arena.a, arena.ifnetAt(dev.index) + IFNET.vnet);
  // What is stale stands in front.
  for (const i of [0, batch.length - 1]) {
    const tag = batch.len(i) > 0 ? tagOf(batch.bytes(i)) : undefined;
    if (tag !== undefined && tag !== vnet) {
      throw new Error(`a packet of vnet#${tag} leaves through ${dev.name} in vnet#${vnet}`);
    }
  }
}
