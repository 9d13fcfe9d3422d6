/**
 * Debug mode: touching what is freed throws, and names who freed it and when.
 *
 * A shadow word per granule (16 words) of the arena says that the granule is freed, by which site, on which
 * CPU and when. It watches the door, so every access of core and of a driver's `shared` struct is checked.
 * Mbufs are checked through their owner word (mbuf.ts), with a note of the last free here.
 *
 * @module
 */
import type { Access, DoorWatch } from "../doors/arena.ts";
import type { Clock } from "../doors/clock.ts";
import { SoftcError } from "../error.ts";
import { type Arena, GRANULE, IFNET } from "./arena.ts";

/** Who may free: the index is what a shadow word holds. */
export const FREE_SITES = [
  "nobody",
  "ifDetach",
  "ifAttach (unwound)",
  "ifVmove (address-family data of the old vnet)",
  "modules.unload",
  "kernel shutdown",
  "freeAll",
  "transmit (accepted)",
  "dev.free",
  "dev.txDone",
  "input (delivered or dropped)",
  "output (dropped)",
  "purge",
  "epoch callback",
  "vnetDestroy",
] as const;
/** One of {@linkcode FREE_SITES}. */
export type FreeSite = (typeof FREE_SITES)[number];

/** Words of a slot that anybody may read at any time: they say whether the rest may be read. */
const ALWAYS_READABLE = new Set<number>([IFNET.gencnt, IFNET.state, IFNET.refs, IFNET.born]);
const FREED = 0x8000_0000 | 0;
const MS_MASK = 0xfffff;
/** Byte that fills a freed cluster. */
export const POISON = 0xdb;

/** The sanitizer of one kernel, on one CPU. */
export class Sanitizer implements DoorWatch {
  readonly #arena: Arena;
  readonly #cpu: number;
  readonly #clock: Clock;
  #next: DoorWatch | null = null;

  until?: (a: Int32Array, words: readonly number[], ready: () => boolean) => void;
  hook?: (label: string) => void;

  /** Of one CPU; set it with `watchDoor`. */
  constructor(arena: Arena, cpu: number, clock: Clock) {
    this.#arena = arena;
    this.#cpu = cpu;
    this.#clock = clock;
  }

  /** The watch that was set before (of another kernel in this thread, or the explorer's) goes on seeing everything. */
  after(next: DoorWatch | null): void {
    this.#next = next;
    if (next?.until) this.until = (a, words, ready) => next.until!(a, words, ready);
    if (next?.hook) this.hook = (label) => next.hook!(label);
  }

  /** Takes this sanitizer out of the chain `head`; returns what heads it then. */
  static remove(head: DoorWatch | null, out: Sanitizer): DoorWatch | null {
    if (head === out) return out.#next;
    if (head instanceof Sanitizer) head.after(Sanitizer.remove(head.#next, out));
    return head;
  }

  access(a: Int32Array, word: number, kind: Access): void {
    if (this.#next !== null) this.#next.access(a, word, kind);
    if (a !== this.#arena.a) return;
    const { plan } = this.#arena;
    const note = a[plan.shadow + (word / GRANULE | 0)]!;
    if (note === 0) return;
    const inTable = word >= plan.ifnet && word < plan.ifCounters;
    if (inTable && ALWAYS_READABLE.has((word - plan.ifnet) % IFNET.WORDS)) return;
    const what = inTable
      ? `interface slot ${Math.floor((word - plan.ifnet) / IFNET.WORDS)}, word ${
        (word - plan.ifnet) % IFNET.WORDS
      }`
      : `arena word ${word}`;
    throw new SoftcError(
      "SOFTC_ARENA_FREED",
      `CPU ${this.#cpu} touched ${what} after it was freed by ${describe(note)}`,
      {
        state: "freed",
        wanted: "live",
      },
    );
  }

  /** Marks `words` words from `at` as freed by `site`. */
  mark(at: number, words: number, site: FreeSite): void {
    this.#fill(at, words, this.note(site));
  }

  /** Marks them as live again. */
  unmark(at: number, words: number): void {
    this.#fill(at, words, 0);
  }

  /** A shadow word: freed by `site`, here and now. */
  note(site: FreeSite): number {
    return FREED | FREE_SITES.indexOf(site) << 24 | this.#cpu << 20 | (this.#clock.now() & MS_MASK);
  }

  #fill(at: number, words: number, value: number): void {
    const from = this.#arena.plan.shadow + Math.floor(at / GRANULE);
    this.#arena.a.fill(value, from, from + Math.ceil(words / GRANULE));
  }
}

/** A shadow word in words. */
export function describe(note: number): string {
  if (note === 0) return "nobody (never allocated)";
  const site = FREE_SITES[note >> 24 & 0x7f] ?? "an unknown site";
  return `${site} on CPU ${note >> 20 & 0xf} at +${note & MS_MASK} ms`;
}
