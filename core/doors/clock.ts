/**
 * The clock door: now, timers and deadlines. Nothing in core reads the time anywhere else.
 *
 * Real time comes from the runtime. Virtual time lives in the arena, so that all CPUs share it and a test
 * moves it by hand: no test sleeps.
 *
 * @module
 */

/** A monotonic clock in milliseconds. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** Virtual clocks never make a sleep end by themselves: only moving them does. */
  readonly virtual: boolean;
}

/** The runtime's clock. */
export const realClock: Clock = { now: () => performance.now(), virtual: false };

/** One timer: a deadline and what to do then. */
export interface TimerEntry {
  at: number;
  fn: () => void;
  /** False once it has fired or was cancelled. */
  armed: boolean;
}

/** Entries that may be kept before what was cancelled is looked for. */
const FEW = 64;

/**
 * The timers of one CPU; its pump runs what is due. A binary heap on the deadline. What is cancelled stays until
 * it is due or until half of the heap may be of that kind: who arms and cancels for ever fills no memory.
 */
export class Timers {
  readonly #heap: TimerEntry[] = [];
  #most = FEW;

  /** `onFirst` is called when a timer becomes the next one due: whoever sleeps until then must hear of it. */
  constructor(readonly clock: Clock, readonly onFirst: () => void = () => {}) {}

  /** Timers that are armed. */
  get size(): number {
    let n = 0;
    for (const t of this.#heap) if (t.armed) n++;
    return n;
  }

  /** Arms `fn` for `at` (a time of this clock). */
  at(at: number, fn: () => void): TimerEntry {
    const entry = { at, fn, armed: true };
    const heap = this.#heap;
    if (heap.length >= this.#most) this.#compact();
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (heap[up]!.at <= at) break;
      heap[i] = heap[up]!;
      i = up;
    }
    heap[i] = entry;
    if (i === 0) this.onFirst();
    return entry;
  }

  /** Arms `fn` for `ms` from now. */
  after(ms: number, fn: () => void): TimerEntry {
    return this.at(this.clock.now() + ms, fn);
  }

  /** When the next timer is due; `Infinity` when none is armed. */
  next(): number {
    this.#dropCancelled();
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Entries that are kept, cancelled ones too. */
  get kept(): number {
    return this.#heap.length;
  }

  /** Runs what is due; true when anything ran. */
  run(): boolean {
    if (this.#heap.length === 0) return false;
    const now = this.clock.now();
    if (this.next() > now) return false;
    // Taken out before any runs: one that re-arms itself for now waits for the next turn.
    const due: TimerEntry[] = [];
    for (this.#dropCancelled(); this.#heap.length > 0 && this.#heap[0]!.at <= now; this.#dropCancelled()) {
      due.push(this.#pop());
    }
    let ran = false;
    for (const entry of due) {
      if (!entry.armed) continue;
      entry.armed = false;
      entry.fn();
      ran = true;
    }
    return ran;
  }

  /** Keeps what is armed; a sorted array is a heap. */
  #compact(): void {
    const armed = this.#heap.filter((t) => t.armed).sort((x, y) => x.at - y.at);
    for (let i = 0; i < armed.length; i++) this.#heap[i] = armed[i]!;
    this.#heap.length = armed.length;
    this.#most = Math.max(FEW, 2 * armed.length);
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && !this.#heap[0]!.armed) this.#pop();
  }

  #pop(): TimerEntry {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
