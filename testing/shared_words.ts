/**
 * Which words are shared: two threads access them and at least one writes. Found by running (search.ts, 2).
 *
 * @module
 */
import { ACCESS } from "../core/doors/arena.ts";
import { ENTRY, POINT, X } from "./block.ts";

/** What is known of a word: which threads access it, and whether one writes. */
interface Use {
  threads: number;
  written: boolean;
}

/** Whether an access changes its word. */
export function isWrite(kind: number): boolean {
  return kind === ACCESS.store || kind === ACCESS.rmw || kind === ACCESS.set;
}

/** The set; it only grows. */
export class SharedWords {
  readonly #threads: number;
  readonly #uses = new Map<number, Use>();
  readonly #shared = new Set<number>();
  /** What was given back counts as written, by every word of it. */
  readonly #freed: { readonly at: number; readonly words: number; readonly thread: number }[] = [];

  constructor(threads: number) {
    this.#threads = threads;
  }

  /** Words that are shared. */
  get size(): number {
    return this.#shared.size;
  }

  /** Whether one of these words is. */
  any(word: number, words: number): boolean {
    if (words <= 1) return this.#shared.has(word);
    for (let w = word; w < word + words; w++) if (this.#shared.has(w)) return true;
    return false;
  }

  /** Takes the words of a trace in; true when one became shared. */
  learn(x: Int32Array, steps: number): boolean {
    const before = this.#shared.size;
    for (let s = 0; s < steps; s++) {
      const e = X.trace + s * ENTRY;
      const kind = x[e + 1]! & ~POINT.quiet;
      const word = x[e + 2]!;
      if (word < 0) continue;
      // Fibers are thread 0.
      const thread = x[e]! < this.#threads ? 1 << x[e]! : 1;
      if (kind === POINT.freed) this.#free(word, x[e + 3]!, thread);
      else this.#access(word, thread, isWrite(kind));
    }
    return this.#shared.size > before;
  }

  #access(word: number, thread: number, writes: boolean): void {
    let use = this.#uses.get(word);
    if (use === undefined) {
      this.#uses.set(word, use = { threads: 0, written: false });
      for (const f of this.#freed) {
        if (word >= f.at && word < f.at + f.words) {
          use.threads |= f.thread;
          use.written = true;
        }
      }
    }
    use.threads |= thread;
    if (writes) use.written = true;
    this.#judge(word, use);
  }

  #free(at: number, words: number, thread: number): void {
    if (this.#freed.some((f) => f.at === at && f.words === words && f.thread === thread)) return;
    this.#freed.push({ at, words, thread });
    for (const [word, use] of this.#uses) {
      if (word < at || word >= at + words) continue;
      use.threads |= thread;
      use.written = true;
      this.#judge(word, use);
    }
  }

  #judge(word: number, use: Use): void {
    if (use.written && (use.threads & (use.threads - 1)) !== 0) this.#shared.add(word);
  }
}
