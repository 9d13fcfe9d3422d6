/**
 * A scenario: a small program of logical threads that the explorer runs under every schedule up to a bound.
 *
 * It is a module, because each logical thread is a worker that imports it: its default export is one scenario,
 * a record of named ones, or a function that makes either of what {@linkcode ExploreOptions.input} says.
 *
 * @module
 */
import type { Stepper } from "../core/doors/step.ts";
import type { Arena } from "../core/memory/arena.ts";
import type { Sanitizer } from "../core/memory/sanitizer.ts";

/** What a thread of a scenario is given. */
export interface ThreadContext {
  /** The small arena, as it was after {@linkcode Scenario.setup}. */
  readonly arena: Arena;
  /** Number of the thread: its place in {@linkcode Scenario.threads}. Thread 0 stands for CPU 0. */
  readonly thread: number;
  /** A sanitizer that tells the explorer what is freed; present when the arena's `debug` is on. */
  readonly sanitizer: Sanitizer | undefined;
  /** The step door of structural operations: `control.stepper = t.stepper`. Only thread 0 may wait there. */
  readonly stepper: Stepper;
  /**
   * Says that something happened in this schedule.
   *
   * @throws {Error} when the label is not in {@linkcode Scenario.mustHappen}
   */
  happened(label: string): void;
}

/** A logical thread. Its code is ordinary code: the door and hook entries are its scheduling points. */
export interface ScenarioThread {
  /** Heads its column of a trace. */
  readonly name: string;
  /** Makes what the thread keeps in ordinary JavaScript, anew for every schedule, thread after thread, unscheduled. */
  prepare?(t: ThreadContext): unknown;
  /** The body: synchronous. What it throws is a finding. */
  run?(t: ThreadContext, state: never): void;
  /** Instead of `run`, for thread 0: structural operations, interleaved at every step. */
  readonly operations?: Readonly<Record<string, (t: ThreadContext, state: never) => Promise<unknown>>>;
}

/** What {@linkcode Scenario.check} sees when every thread has ended. */
export interface Ended {
  /** The arena. */
  readonly arena: Arena;
  /** Whether a label was said in this schedule. */
  happened(label: string): boolean;
}

/** Sizes of a scenario's arena; what is left out is as small as it can be. */
export interface ScenarioArena {
  /** CPUs; as many as there are threads unless told. */
  readonly cpus?: number;
  /** Slots of the interface table; 4 unless told. */
  readonly ifnets?: number;
  /** Packet buffers, a multiple of 64; 64 unless told. A CPU takes 64 at a time. */
  readonly mbufs?: number;
  /** 32-bit words of heap for rings and address-family data; 4096 unless told, and at least. */
  readonly heap?: number;
  /** The sanitizer; on unless told. */
  readonly debug?: boolean;
}

/** A program to explore. */
export interface Scenario {
  /** Its id in reports. */
  readonly name: string;
  /** One to four threads. */
  readonly threads: readonly ScenarioThread[];
  /** Sizes of the arena. */
  readonly arena?: ScenarioArena;
  /** Fills the arena once; every schedule starts from a copy of what it left. */
  setup?(arena: Arena): void;
  /** Judges a schedule that has ended: throws when it shows what must not be. What it returns names the outcome. */
  check?(end: Ended): string | void;
  /** Labels that some schedule must reach, else the check proves nothing. At most 30. */
  readonly mustHappen?: readonly string[];
  /** Said with a deadlock: what else it may be here. */
  readonly stuck?: string;
  /** Why a plain word may be raced on purpose; `undefined` = it may not. */
  intended?(arena: Arena, word: number): string | undefined;
  /** Part of the path of files that only help: a trace shows who called them. */
  readonly helpers?: string;
  /** Points after which a schedule is called a livelock, up to 8192; 2000 unless told. */
  readonly steps?: number;
}

/**
 * Makes a scenario; only helps the type checker. Its module exports it as the default.
 *
 * @example Two threads that each add one; the explorer shows how an update is lost
 * ```ts
 * import { defineScenario, load, type ScenarioThread, store } from "@softc/softc/testing";
 *
 * const adder = (name: string): ScenarioThread => ({
 *   name,
 *   run({ arena: { a, plan } }) {
 *     store(a, plan.heap, load(a, plan.heap) + 1);
 *   },
 * });
 *
 * export default defineScenario({
 *   name: "lost",
 *   threads: [adder("A"), adder("B")],
 *   check({ arena: { a, plan } }) {
 *     if (load(a, plan.heap) !== 2) throw new Error(`2 increments gave ${load(a, plan.heap)}`);
 *   },
 * });
 * ```
 */
export function defineScenario(s: Scenario): Scenario {
  return s;
}
