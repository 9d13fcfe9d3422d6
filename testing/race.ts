/**
 * A happens-before detector: vector clocks over the trace of one schedule.
 *
 * Two accesses to one word by two threads, one of them a write and one of them plain, race when neither
 * happens before the other. Edges are program order and the door's atomics: a load takes what the last store
 * of the word published, a read-modify-write takes and publishes. The fibers of thread 0 are one thread.
 *
 * Only what passes the door is seen. Raw loops are led through it on a copy of the tree (docs/proof.md).
 *
 * @module
 */
import { ACCESS } from "../core/doors/arena.ts";
import type { Arena } from "../core/memory/arena.ts";
import { ENTRY, MAX_CHOICES, MAX_THREADS, POINT, X } from "./block.ts";
import { intendedRace } from "./intended.ts";
import type { Scenario } from "./scenario.ts";
import { describeWord } from "./words.ts";

const T = MAX_THREADS;

/** What happened to one word: clocks of each thread's last accesses, and what its last store published. */
class Word {
  readonly plainRead = new Int32Array(T);
  readonly plainWrite = new Int32Array(T);
  readonly atomicRead = new Int32Array(T);
  readonly atomicWrite = new Int32Array(T);
  readonly published = new Int32Array(T);
  run = 0;

  clear(run: number): void {
    this.run = run;
    this.plainRead.fill(0);
    this.plainWrite.fill(0);
    this.atomicRead.fill(0);
    this.atomicWrite.fill(0);
    this.published.fill(0);
  }
}

/** Checks traces; keeps its tables between them. */
export class RaceDetector {
  readonly #scenario: Scenario;
  readonly #arena: Arena;
  readonly #words = new Map<number, Word>();
  readonly #clocks = Array.from({ length: T }, () => new Int32Array(T));
  readonly #pending = new Int32Array(MAX_CHOICES);
  #run = 0;

  constructor(scenario: Scenario, arena: Arena) {
    this.#scenario = scenario;
    this.#arena = arena;
  }

  /** The first race of the trace in words, or `undefined`. */
  check(x: Int32Array): string | undefined {
    this.#run++;
    for (let t = 0; t < T; t++) {
      this.#clocks[t]!.fill(0);
      this.#clocks[t]![t] = 1;
    }
    const steps = x[X.steps]!;
    this.#pending.fill(-1);
    for (let s = 0; s < steps; s++) {
      const e = X.trace + s * ENTRY;
      const choice = x[e]!;
      const next = x[e + 5]!;
      // An access follows its point: who is preempted there makes it when the turn comes back.
      let due = e;
      if (next !== choice) {
        this.#pending[choice] = e;
        due = this.#pending[next]!;
        this.#pending[next] = -1;
      }
      const racing = due < 0 ? undefined : this.#entry(x, due);
      if (racing !== undefined) return racing;
    }
    return undefined;
  }

  /** Whether a race on this word is intended. */
  intended(word: number, write = false): boolean {
    return intendedRace(this.#arena, word, write) !== undefined ||
      this.#scenario.intended?.(this.#arena, word) !== undefined;
  }

  #entry(x: Int32Array, e: number): string | undefined {
    const kind = x[e + 1]! & ~POINT.quiet;
    const word = x[e + 2]!;
    const t = x[e]! < this.#scenario.threads.length ? x[e]! : 0;
    if (word < 0) return undefined;
    if (kind === POINT.freed) return this.#freed(t, word, x[e + 3]!);
    if (kind > ACCESS.wait) return undefined;
    const racing = this.#access(t, word, kind);
    if (racing < 0) return undefined;
    return this.#text(word, t, kind === ACCESS.get || kind === ACCESS.load ? "reads" : "writes", racing);
  }

  /** Giving words back conflicts with plain accesses before it; later ones meet the sanitizer. */
  #freed(t: number, at: number, words: number): string | undefined {
    const clock = this.#clocks[t]!;
    for (let word = at; word < at + words; word++) {
      const w = this.#words.get(word);
      if (w?.run !== this.#run) continue;
      const read = this.#against(t, word, clock, w.plainRead);
      const racing = read >= 0 ? read : this.#against(t, word, clock, w.plainWrite);
      if (racing >= 0) return this.#text(word, t, "frees", racing);
    }
    return undefined;
  }

  #text(word: number, t: number, verb: string, other: number): string {
    const { threads } = this.#scenario;
    const what = describeWord(this.#arena, word);
    return `data race on ${what}: ${threads[t]!.name} ${verb} it, unordered with ${threads[other]!.name}`;
  }

  /** Takes one access in; answers the thread that it races with, or -1. */
  #access(t: number, word: number, kind: number): number {
    let w = this.#words.get(word);
    if (w === undefined) this.#words.set(word, w = new Word());
    if (w.run !== this.#run) w.clear(this.#run);
    const clock = this.#clocks[t]!;
    const now = clock[t]!;
    switch (kind) {
      case ACCESS.load:
      case ACCESS.wait:
        for (let u = 0; u < T; u++) if (w.published[u]! > clock[u]!) clock[u] = w.published[u]!;
        w.atomicRead[t] = now;
        return this.#against(t, word, clock, w.plainWrite);
      case ACCESS.store:
      case ACCESS.rmw: {
        if (kind === ACCESS.rmw) {
          for (let u = 0; u < T; u++) if (w.published[u]! > clock[u]!) clock[u] = w.published[u]!;
        }
        w.published.set(clock);
        w.atomicWrite[t] = now;
        clock[t] = now + 1;
        const r = this.#against(t, word, clock, w.plainWrite);
        return r >= 0 ? r : this.#against(t, word, clock, w.plainRead, false);
      }
      case ACCESS.get: {
        w.plainRead[t] = now;
        const r = this.#against(t, word, clock, w.plainWrite);
        return r >= 0 ? r : this.#against(t, word, clock, w.atomicWrite, false);
      }
      default: {
        w.plainWrite[t] = now;
        for (const other of [w.plainWrite, w.plainRead, w.atomicWrite, w.atomicRead]) {
          const r = this.#against(t, word, clock, other);
          if (r >= 0) return r;
        }
        return -1;
      }
    }
  }

  #against(t: number, word: number, clock: Int32Array, others: Int32Array, write = true): number {
    for (let u = 0; u < T; u++) {
      if (u === t || others[u]! === 0 || others[u]! <= clock[u]!) continue;
      return this.intended(word, write) ? -1 : u;
    }
    return -1;
  }
}
