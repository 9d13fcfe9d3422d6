/**
 * A scope: what a driver instance armed on one CPU. Closing it forbids re-arming, then drains (X3).
 *
 * @module
 */
import type { Callbacks } from "../cpu/callbacks.ts";
import type { Cpu, Source } from "../cpu/cpu.ts";
import { get, load } from "../doors/arena.ts";
import type { TimerEntry } from "../doors/clock.ts";
import { SoftcError } from "../error.ts";
import type { Doorbell, Timer } from "./driver.ts";

/** A shared word that another CPU changes, then rings this one's bell (pump.ts, 1): an interrupt across CPUs. */
export interface Bell {
  readonly a: Int32Array;
  readonly word: number;
  seen: number;
  readonly fn: () => void;
}

/** The interrupts of a CPU that were rung: a source of its pump. */
export class Interrupts implements Source {
  #rung = new Set<() => void>();
  readonly #bells: Bell[] = [];

  /** Runs `fn` in the next turn. */
  ring(fn: () => void): void {
    this.#rung.add(fn);
  }

  /** Watches a shared word: `fn` runs in a turn after it has changed. */
  watch(bell: Bell): void {
    this.#bells.push(bell);
  }

  /** Ends a watch. */
  unwatch(bell: Bell): void {
    const i = this.#bells.indexOf(bell);
    if (i >= 0) this.#bells.splice(i, 1);
  }

  /** Forgets a ring. */
  forget(fn: () => void): void {
    this.#rung.delete(fn);
  }

  poll(): number {
    let work = 0;
    for (let i = 0; i < this.#bells.length; i++) {
      const bell = this.#bells[i]!;
      // A hint: a stale one costs a turn, and the check before sleep is atomic.
      if (get(bell.a, bell.word) === bell.seen) continue;
      bell.seen = load(bell.a, bell.word);
      bell.fn();
      work++;
    }
    if (this.#rung.size === 0) return work;
    const now = this.#rung;
    this.#rung = new Set();
    for (const fn of now) fn();
    return work + now.size;
  }

  waits(): boolean {
    if (this.#rung.size > 0) return true;
    for (const bell of this.#bells) if (load(bell.a, bell.word) !== bell.seen) return true;
    return false;
  }
}

/** Runs a driver's function outside the hot path; its throw is the instance's fault. */
export type Guard = (label: string, fn: () => void) => void;

/** A promise that knows whether anybody awaits it or catches. */
class Heard<R> extends Promise<R> {
  static override readonly [Symbol.species] = Promise;
  heard = false;

  // deno-lint-ignore no-explicit-any -- as Promise declares it
  override then(...on: any[]): any {
    this.heard = true;
    return super.then(...on);
  }

  /** Marks a rejection as handled, and is nobody that hears it. */
  ignore(): void {
    void super.then(undefined, () => {});
  }
}

/** What is armed. */
interface Armed {
  readonly timers: Set<TimerEntry>;
  readonly bells: Set<() => void>;
  readonly watched: Set<Bell>;
  readonly tasks: Set<Promise<unknown>>;
}

/** What one instance armed on one CPU. */
export class Scope {
  readonly #cpu: Cpu;
  readonly #interrupts: Interrupts;
  readonly #callbacks: Callbacks;
  readonly #guard: Guard;
  readonly #name: string;
  /** Made when something is armed: most instances arm nothing. */
  #made: Armed | undefined;
  /** Made when somebody asks for the signal: most instances never do. */
  #abort: AbortController | undefined;
  #reason: unknown;
  #closed = false;

  constructor(cpu: Cpu, interrupts: Interrupts, callbacks: Callbacks, name: string, guard: Guard) {
    this.#cpu = cpu;
    this.#interrupts = interrupts;
    this.#callbacks = callbacks;
    this.#name = name;
    this.#guard = guard;
  }

  /** Aborts when the scope begins to close. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#closed || this.#reason !== undefined) this.#abort.abort(this.#reason ?? this.#closing());
    }
    return this.#abort.signal;
  }

  /** Timers that are armed, interrupts that exist, tasks that run. */
  get size(): number {
    if (this.#made === undefined) return 0;
    const { timers, bells, watched, tasks } = this.#made;
    return timers.size + bells.size + watched.size + tasks.size;
  }

  /** Makes a timer. */
  timer(fn: () => void): Timer {
    let entry: TimerEntry | undefined;
    const cancel = (): void => {
      if (entry === undefined) return;
      entry.armed = false;
      this.#armed.timers.delete(entry);
      entry = undefined;
    };
    return {
      set: (ms) => {
        this.#open("arm a timer");
        if (!(ms >= 0)) {
          throw new SoftcError("SOFTC_DEV_ARGUMENT", `Cannot arm a timer of ${this.#name} for ${ms} ms`, {
            wanted: "0 or more",
          });
        }
        cancel();
        const e: TimerEntry = this.#cpu.timers.after(ms, () => {
          this.#armed.timers.delete(e);
          if (entry === e) entry = undefined;
          this.#guard("timer", fn);
        });
        entry = e;
        this.#armed.timers.add(e);
      },
      cancel,
    };
  }

  /** Runs asynchronous work that closing waits for. */
  task<R>(fn: (signal: AbortSignal) => Promise<R>): Promise<R> {
    this.#open("start a task");
    const running = this.#cpu.track((async () => await fn(this.signal))());
    const answer = new Heard<R>((resolve, reject) => void running.then(resolve, reject));
    const failed = (e: unknown): void => {
      if (answer.heard || this.#closed || this.#reason !== undefined) return;
      this.#guard("task", () => {
        throw e;
      });
    };
    const kept: Promise<unknown> = running.then(() => {}, failed).finally(() =>
      this.#armed.tasks.delete(kept)
    );
    this.#armed.tasks.add(kept);
    // Its rejection is dealt with here: the runtime need not hear of it.
    answer.ignore();
    return answer;
  }

  /** Queues an epoch callback: it runs, and closing waits for it. */
  callback(fn: () => void): void {
    this.#open("queue an epoch callback");
    const kept: Promise<unknown> = new Promise<void>((resolve) =>
      this.#callbacks.call(() => {
        try {
          fn();
        } finally {
          this.#armed.tasks.delete(kept);
          resolve();
        }
      })
    );
    this.#armed.tasks.add(kept);
  }

  /** Makes an interrupt. */
  interrupt(fn: () => void): Doorbell {
    this.#open("make an interrupt");
    const run = (): void => {
      if (!this.#closed) this.#guard("interrupt", fn);
    };
    this.#armed.bells.add(run);
    return {
      ring: () => {
        if (this.#closed) return;
        this.#interrupts.ring(run);
        // On CPU 0 a hook may run while the pump sleeps: in a user's ifOutput.
        this.#cpu.ring(this.#cpu.id);
      },
    };
  }

  /** Listens to a shared word, from its value now on. */
  listen(a: Int32Array, word: number, fn: () => void): void {
    this.#open("listen to a doorbell");
    const run = (): void => {
      if (!this.#closed) this.#guard("doorbell", fn);
    };
    const bell: Bell = { a, word, seen: load(a, word), fn: run };
    this.#armed.watched.add(bell);
    this.#interrupts.watch(bell);
  }

  /** Aborts the signal without closing: the device is gone. */
  abort(reason: unknown): void {
    this.#reason = reason;
    this.#abort?.abort(reason);
  }

  /** {@linkcode end}, then waits for what runs. Idempotent. */
  async close(): Promise<void> {
    this.end();
    const { tasks } = this.#armed;
    while (tasks.size > 0) await Promise.all(tasks);
  }

  /** Forbids re-arming and cancels. */
  end(): void {
    this.#closed = true;
    if (this.#made !== undefined) {
      const { timers, bells, watched } = this.#made;
      for (const t of timers) t.armed = false;
      timers.clear();
      for (const run of bells) this.#interrupts.forget(run);
      bells.clear();
      for (const bell of watched) this.#interrupts.unwatch(bell);
      watched.clear();
    }
    this.#abort?.abort(this.#closing());
  }

  /** Whether it began to close. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether closing it needs no wait. */
  get idle(): boolean {
    return this.#made === undefined || this.#made.tasks.size === 0;
  }

  get #armed(): Armed {
    return this.#made ??= { timers: new Set(), bells: new Set(), watched: new Set(), tasks: new Set() };
  }

  #closing(): SoftcError {
    return new SoftcError("SOFTC_DEV_SCOPE", `${this.#name} is closing`);
  }

  #open(what: string): void {
    if (this.#closed) {
      throw new SoftcError("SOFTC_DEV_SCOPE", `Cannot ${what} of ${this.#name}`, {
        state: "scope closed",
        wanted: "attached",
      });
    }
  }
}
