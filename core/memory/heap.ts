/**
 * What hangs off an interface lives here: rings, address-family data, the shared part of a softc.
 *
 * Only CPU 0 allocates and frees (structural operations run there), so the book-keeping is ordinary
 * JavaScript; the memory is shared. Blocks are whole granules of 16 words, in power-of-two classes with
 * exact-size free lists, zeroed when given out. Freed blocks are reused only after the caller's grace period.
 *
 * @module
 */
import { SoftcError } from "../error.ts";
import { type Arena, GRANULE } from "./arena.ts";
import type { FreeSite, Sanitizer } from "./sanitizer.ts";

interface Block {
  words: number;
  owner: string;
}

/** The arena's allocator, on CPU 0. */
export class Heap {
  readonly #arena: Arena;
  readonly #sanitizer: Sanitizer | undefined;
  readonly #free = new Map<number, number[]>();
  readonly #live = new Map<number, Block>();
  #next: number;

  constructor(arena: Arena, sanitizer: Sanitizer | undefined) {
    this.#arena = arena;
    this.#sanitizer = sanitizer;
    this.#next = arena.plan.heap;
  }

  /** Words that are given out now. */
  get used(): number {
    let n = 0;
    for (const b of this.#live.values()) n += b.words;
    return n;
  }

  /** What is given out now, by owner: the leak report. */
  owners(): { owner: string; words: number }[] {
    return [...this.#live.values()].map(({ owner, words }) => ({ owner, words }));
  }

  /**
   * A zeroed block of at least `words` words; `owner` is named in reports.
   *
   * @throws {SoftcError} `SOFTC_ARENA_FULL`
   */
  alloc(words: number, owner: string): number {
    const size = sizeClass(words);
    let at = this.#free.get(size)?.pop();
    if (at === undefined) {
      if (this.#next + size > this.#arena.plan.data) {
        throw new SoftcError("SOFTC_ARENA_FULL", `Cannot allocate ${words * 4} bytes for ${owner}`, {
          state: `${(this.#arena.plan.data - this.#next) * 4} bytes left`,
        });
      }
      at = this.#next;
      this.#next += size;
    }
    this.#sanitizer?.unmark(at, size);
    this.#arena.a.fill(0, at, at + size);
    this.#live.set(at, { words: size, owner });
    return at;
  }

  /** Gives a block back; `site` is named when somebody touches it afterwards. */
  free(at: number, site: FreeSite): void {
    const block = this.#live.get(at);
    if (block === undefined) {
      throw new SoftcError("SOFTC_ARENA_FREED", `Cannot free arena word ${at}: nothing is allocated there`);
    }
    this.#live.delete(at);
    this.#sanitizer?.mark(at, block.words, site);
    let list = this.#free.get(block.words);
    if (list === undefined) this.#free.set(block.words, list = []);
    // Debug mode hands a block out again as late as possible, so that a stale user meets the mark.
    if (this.#sanitizer !== undefined) list.unshift(at);
    else list.push(at);
  }
}

/** Granules up to 8, then powers of two, plus a line for a ring's indices: few classes, little waste. */
function sizeClass(words: number): number {
  const granules = Math.max(1, Math.ceil(words / GRANULE));
  if (granules <= 8) return granules * GRANULE;
  let size = 16;
  while (size < granules) size *= 2;
  // A ring is a power of two and two lines: a class of its own between the powers.
  const ring = size / 2 + 4;
  return (granules <= ring ? ring : size) * GRANULE;
}
