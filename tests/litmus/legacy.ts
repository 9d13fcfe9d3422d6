/**
 * What the legacy sides are written in: sections, grace periods, memory and lists over the door's words. Small,
 * so that a stored schedule depends on the protocol alone.
 *
 * @module
 */
import { cas, exchange, load, set, store, until } from "../../core/doors/arena.ts";
import { Epoch } from "../../core/epoch/epoch.ts";
import { CPU } from "../../core/memory/arena.ts";
import type { ScenarioThread, ThreadContext } from "../../testing/mod.ts";

/** A thread of a legacy protocol. */
export class Legacy {
  readonly a: Int32Array;
  readonly epoch: Epoch;

  constructor(readonly t: ThreadContext) {
    this.a = t.arena.a;
    this.epoch = new Epoch(t.arena, t.thread);
  }

  /** Word `w` of object `i`. An object is 16 words; 0 is free for lists and pointers. */
  at(i: number, w = 0): number {
    return this.t.arena.plan.heap + i * 16 + w;
  }

  /** Reads a pointer, a list or a protocol word. */
  load(i: number, w = 0): number {
    return load(this.a, this.at(i, w));
  }

  /** Writes one. */
  store(i: number, w: number, value: number): void {
    store(this.a, this.at(i, w), value);
  }

  /** Writes one and answers what was there, in one piece: what a subsystem does under its own lock. */
  swap(i: number, w: number, value: number): number {
    return exchange(this.a, this.at(i, w), value);
  }

  /** mtx_lock: word `w` of object `i` is the mutex. */
  lock(i: number, w: number): void {
    while (cas(this.a, this.at(i, w), 0, 1) !== 0) this.await(i, w, 0);
  }

  /** mtx_unlock. */
  unlock(i: number, w: number): void {
    store(this.a, this.at(i, w), 0);
  }

  /** Touches object `i`: use after free when it was given back. `what` names it when the pointer is NULL. */
  touch(i: number, what: string, w = 1): number {
    if (i === 0) throw new Error(`NULL dereference: ${what}`);
    return load(this.a, this.at(i, w));
  }

  /** NET_EPOCH_ENTER ... NET_EPOCH_EXIT. */
  section(fn: () => void): void {
    this.epoch.enter();
    fn();
    this.epoch.exit();
  }

  /** NET_EPOCH_WAIT: every section that is open now has ended. */
  grace(): void {
    const { cpus } = this.t.arena.plan.config;
    for (let k = 0; k < cpus; k++) {
      if (k === this.t.thread) continue;
      const record = this.t.arena.cpuAt(k) + CPU.record;
      const seen = load(this.a, record);
      if ((seen & 1) === 1) until(this.a, [record], () => load(this.a, record) !== seen);
    }
  }

  /** free(9). */
  free(i: number): void {
    this.t.sanitizer!.mark(this.at(i), 16, "epoch callback");
  }

  /** Waits until a word has a value. */
  await(i: number, w: number, value: number): void {
    until(this.a, [this.at(i, w)], () => load(this.a, this.at(i, w)) === value);
  }
}

/** A thread of the original. `init` writes what is there at the beginning: `[object, word, value]`. */
export function legacy(
  name: string,
  body: (l: Legacy) => void,
  init: readonly (readonly [number, number, number])[] = [],
): ScenarioThread {
  return {
    name,
    prepare(t) {
      const l = new Legacy(t);
      for (const [i, w, value] of init) set(l.a, l.at(i, w), value);
      return l;
    },
    run: (_t, l: Legacy) => body(l),
  };
}
