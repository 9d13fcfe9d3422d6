/**
 * Packet buffers: fixed clusters in the arena, header words beside them, a cache per CPU over a shared depot.
 *
 * 1. Each mbuf head has an owner word. It is changed only at birth, ring push, ring pop, hand-over to a
 *    device or hold queue, and end; only the owner it names may change it. 0 = free.
 * 2. A free mbuf is in exactly one place: one CPU's cache, or one magazine of the depot.
 * 3. The depot is two stacks of magazines (full and empty) with a tagged head: a compare-and-swap that meets
 *    a magazine which was popped and pushed back in between fails, because the tag has moved (no ABA before
 *    2^20 exchanges within one preemption).
 * 4. A magazine's words are written by the CPU that popped it, and published by the swap that pushes it.
 * 5. Every free checks the owner word, so a double or foreign free is refused before it can put one mbuf into
 *    two places; every cache checks its bounds, because a typed-array write past the end is silent.
 *
 * The loops over owner words and caches are raw accesses (on the list in ARCHITECTURE.md): each word has one
 * owner at a time (1), and hand-overs go through the atomics of rings, mailboxes and the depot.
 *
 * @module
 */
import { cas, get, load, set, store } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { type Arena, CLUSTER, HEADROOM, LINE, MAGAZINE, MAGAZINE_WORDS, MBUF } from "./arena.ts";
import { type Counters, WORK } from "./counters.ts";
import { describe, type FreeSite, POISON, type Sanitizer } from "./sanitizer.ts";

/** A packet that a device has: the number of its mbuf. {@linkcode Batch.take} gives it; `dev.txDone`, `dev.free` and {@linkcode Batch.put} end its use. */
export type Mbuf = number & { readonly "softc.mbuf": true };

/** Who owns an mbuf: the high byte of its owner word. The low 24 bits are a CPU, an interface slot, or the head of a chain. */
export const OWNER = { cpu: 1, ring: 2, device: 3, hold: 4, chain: 5, input: 6 } as const;

/** An owner word of `kind`, one of {@linkcode OWNER}, and `which` of them. */
export function ownerWord(kind: number, which: number): number {
  return kind << 24 | which;
}

/** An owner word as text, for messages. */
export function ownerText(word: number): string {
  const which = word & 0xffffff;
  switch (word >> 24) {
    case 0:
      return "nobody (free)";
    case OWNER.cpu:
      return `CPU ${which}`;
    case OWNER.ring:
      return `the output queue of if#${which}`;
    case OWNER.device:
      return `the device of if#${which}`;
    case OWNER.hold:
      return `the hold queue of if#${which}`;
    case OWNER.chain:
      return `the chain of mbuf ${which}`;
    case OWNER.input:
      return `the input queue of CPU ${which}`;
    default:
      return `an unknown owner (${word})`;
  }
}

const CACHE = 512;
const FULL = 0;
const EMPTY = LINE;

/** Fills the depot: all mbufs in full magazines. Once, on CPU 0, before any other CPU runs. */
export function poolInit(arena: Arena): void {
  const { a, u8, plan } = arena;
  const full = plan.config.mbufs / MAGAZINE;
  let fullHead = 0;
  let emptyHead = 0;
  for (let m = 0; m < plan.magazineCount; m++) {
    const base = plan.magazines + m * MAGAZINE_WORDS;
    if (m < full) {
      for (let i = 0; i < MAGAZINE; i++) a[base + i] = m * MAGAZINE + i;
      a[base + MAGAZINE] = fullHead;
      fullHead = m + 1;
    } else {
      a[base + MAGAZINE] = emptyHead;
      emptyHead = m + 1;
    }
  }
  set(a, plan.depot + FULL, fullHead);
  set(a, plan.depot + EMPTY, emptyHead);
  if (plan.config.debug) u8.fill(POISON, plan.data * 4, plan.data * 4 + plan.config.mbufs * CLUSTER);
}

/** The mbufs of one CPU. */
export class Pool {
  readonly arena: Arena;
  readonly cpu: number;
  /** The owner word of what this CPU holds. */
  readonly mine: number;
  readonly #a: Int32Array;
  readonly #headers: number;
  readonly #wasm: Arena["wasm"];
  readonly #counters: Counters;
  readonly #sanitizer: Sanitizer | undefined;
  readonly #cache = new Int32Array(CACHE);
  readonly #one = new Int32Array(1);
  #cached = 0;

  constructor(arena: Arena, cpu: number, counters: Counters, sanitizer: Sanitizer | undefined) {
    this.arena = arena;
    this.cpu = cpu;
    this.mine = ownerWord(OWNER.cpu, cpu);
    this.#a = arena.a;
    this.#headers = arena.plan.mbuf;
    this.#wasm = arena.wasm;
    this.#counters = counters;
    this.#sanitizer = sanitizer;
  }

  /** Free mbufs in this CPU's cache. */
  get cached(): number {
    return this.#cached;
  }

  /** Word offset of an mbuf's header. */
  headerAt(id: number): number {
    return this.#headers + id * MBUF.WORDS;
  }

  /** Byte offset of an mbuf's cluster. */
  clusterAt(id: number): number {
    return this.arena.plan.data * 4 + id * CLUSTER;
  }

  /**
   * Begins up to `n` lives: writes their ids from `ids[from]`, counts them under `born`, returns how many.
   * All or nothing per magazine: when the depot is empty, fewer than `n` are given, never an exception.
   */
  alloc(ids: Int32Array, from: number, n: number, born: number, len: number): number {
    while (this.#cached < n && this.#refill());
    const m = n < this.#cached ? n : this.#cached;
    const a = this.#a;
    const cache = this.#cache;
    const { mine } = this;
    const headers = this.#headers;
    let top = this.#cached;
    for (let i = 0; i < m; i++) {
      const id = cache[--top]!;
      ids[from + i] = id;
      const h = headers + id * MBUF.WORDS;
      a[h] = mine;
      a[h + MBUF.len] = len;
      a[h + MBUF.off] = HEADROOM;
      a[h + MBUF.next] = -1;
      a[h + MBUF.rcvGen] = 0;
      a[h + MBUF.csum] = 0;
    }
    this.#cached = top;
    this.#counters.count(born, m);
    if (m < n) this.#counters.count(WORK.nobufs, n - m);
    if (this.#sanitizer !== undefined) { for (let i = 0; i < m; i++) this.#checkPoison(ids[from + i]!); }
    return m;
  }

  /**
   * Ends `n` lives that this CPU owns and counts them under `ended`.
   *
   * @throws {SoftcError} `SOFTC_MBUF_DOUBLE_FREE`, `SOFTC_MBUF_NOT_OWNER`; what came before in `ids` is freed.
   */
  end(ids: Int32Array, from: number, n: number, ended: number, site: FreeSite): void {
    this.#free(ids, from, n, this.mine, site);
    this.#counters.count(ended, n);
  }

  /** Ends one life that `owner` (an owner word) holds: a device or hold queue on this CPU. */
  endOne(id: number, owner: number, ended: number, site: FreeSite): void {
    this.#one[0] = id;
    this.#free(this.#one, 0, 1, owner, site);
    this.#counters.count(ended, 1);
  }

  /**
   * Passes `n` mbufs from one owner (an owner word) to another.
   *
   * @throws {SoftcError} `SOFTC_MBUF_DOUBLE_FREE`, `SOFTC_MBUF_NOT_OWNER`; what came before in `ids` has passed.
   */
  handOver(ids: Int32Array, from: number, n: number, before: number, after: number): void {
    const a = this.#a;
    const headers = this.#headers;
    for (let i = 0; i < n; i++) {
      const h = headers + ids[from + i]! * MBUF.WORDS;
      if (a[h] !== before) throw this.#misuse(ids[from + i]!, before, "hand over");
      a[h] = after;
    }
  }

  /** The owner word of an mbuf. */
  owner(id: number): number {
    return get(this.#a, this.headerAt(id));
  }

  /** Throws unless `owner` (an owner word) holds the mbuf. */
  check(id: number, owner: number, verb: string): void {
    if (id < 0 || id >= this.arena.plan.config.mbufs || get(this.#a, this.headerAt(id)) !== owner) {
      throw this.#misuse(id, owner, verb);
    }
  }

  /** Gives this CPU's cache back to the depot: at shutdown, and for the scan of free mbufs. */
  flush(): void {
    while (this.#cached > 0) this.#spill();
  }

  #free(ids: Int32Array, from: number, n: number, owner: number, site: FreeSite): void {
    const a = this.#a;
    const cache = this.#cache;
    if (this.#cached + n > CACHE) this.#makeRoom(n);
    const headers = this.#headers;
    let top = this.#cached;
    for (let i = 0; i < n; i++) {
      const id = ids[from + i]!;
      const h = headers + id * MBUF.WORDS;
      if (a[h] !== owner) {
        this.#cached = top;
        throw this.#misuse(id, owner, "free");
      }
      a[h] = 0;
      cache[top++] = id;
      const next = a[h + MBUF.next]!;
      if (next >= 0) top = this.#freeChain(id, next, top);
    }
    this.#cached = top;
    if (this.#sanitizer !== undefined) { for (let i = 0; i < n; i++) this.#poison(ids[from + i]!, site); }
    while (this.#cached > CACHE - 3 * MAGAZINE) this.#spill();
  }

  /** The rest of a chain: parts are owned by their head. */
  #freeChain(head: number, first: number, top: number): number {
    const owner = ownerWord(OWNER.chain, head);
    for (let id = first; id >= 0;) {
      const h = this.#headers + id * MBUF.WORDS;
      if (this.#a[h] !== owner) throw this.#misuse(id, owner, "free");
      this.#a[h] = 0;
      if (top >= CACHE) {
        this.#cached = top;
        this.#spill();
        top = this.#cached;
      }
      this.#cache[top++] = id;
      id = this.#a[h + MBUF.next]!;
    }
    return top;
  }

  #makeRoom(n: number): void {
    if (n > CACHE - MAGAZINE) throw new SoftcError("SOFTC_MBUF_RANGE", `Cannot free ${n} mbufs at once`);
    while (this.#cached + n > CACHE) this.#spill();
  }

  /** Takes a full magazine from the depot; false when there is none. */
  #refill(): boolean {
    if (this.#cached + MAGAZINE > CACHE) return false;
    const m = this.#pop(FULL);
    if (m < 0) return false;
    const base = this.arena.plan.magazines + m * MAGAZINE_WORDS;
    for (let i = 0; i < MAGAZINE; i++) {
      const id = this.#a[base + i]!;
      if (id < 0) break;
      this.#cache[this.#cached++] = id;
    }
    this.#push(EMPTY, m);
    return true;
  }

  /** Gives up to a magazine back; a short one ends with -1. */
  #spill(): void {
    const m = this.#pop(EMPTY);
    if (m < 0) throw new SoftcError("SOFTC_MBUF_CORRUPT", "Cannot spill a cache: no empty magazine is left");
    const base = this.arena.plan.magazines + m * MAGAZINE_WORDS;
    const n = this.#cached < MAGAZINE ? this.#cached : MAGAZINE;
    for (let i = 0; i < n; i++) this.#a[base + i] = this.#cache[--this.#cached]!;
    if (n < MAGAZINE) this.#a[base + n] = -1;
    this.#push(FULL, m);
  }

  #pop(stack: number): number {
    const { depot, magazines } = this.arena.plan;
    for (;;) {
      const head = load(this.#a, depot + stack, this.#wasm);
      const m = (head & 0xfff) - 1;
      if (m < 0) return -1;
      const next = load(this.#a, magazines + m * MAGAZINE_WORDS + MAGAZINE, this.#wasm) & 0xfff;
      if (cas(this.#a, depot + stack, head, ((head & ~0xfff) + 0x1000) | next, this.#wasm) === head) return m;
    }
  }

  #push(stack: number, m: number): void {
    const { depot, magazines } = this.arena.plan;
    for (;;) {
      const head = load(this.#a, depot + stack, this.#wasm);
      store(this.#a, magazines + m * MAGAZINE_WORDS + MAGAZINE, head & 0xfff, this.#wasm);
      if (cas(this.#a, depot + stack, head, ((head & ~0xfff) + 0x1000) | (m + 1), this.#wasm) === head) {
        return;
      }
    }
  }

  #poison(id: number, site: FreeSite): void {
    const at = this.clusterAt(id);
    this.arena.u8.fill(POISON, at, at + CLUSTER);
    this.#a[this.arena.plan.mbufNotes + id] = this.#sanitizer!.note(site);
  }

  #checkPoison(id: number): void {
    const at = this.clusterAt(id);
    const u8 = this.arena.u8;
    for (let i = 0; i < CLUSTER; i++) {
      if (u8[at + i] === POISON) continue;
      throw new SoftcError(
        "SOFTC_ARENA_FREED",
        `Byte ${i} of mbuf ${id} was written after it was freed by ${this.#freedBy(id)}`,
      );
    }
  }

  #freedBy(id: number): string {
    return this.#sanitizer === undefined
      ? "an unknown site (boot with debug to know)"
      : describe(this.#a[this.arena.plan.mbufNotes + id]!);
  }

  #misuse(id: number, wanted: number, verb: string): SoftcError {
    if (!(id >= 0 && id < this.arena.plan.config.mbufs)) {
      return new SoftcError(
        "SOFTC_MBUF_NOT_OWNER",
        `Cannot ${verb} mbuf ${id} on CPU ${this.cpu}: there is no such mbuf`,
      );
    }
    const word = this.#a[this.headerAt(id)]!;
    const detail = { state: `owned by ${ownerText(word)}`, wanted: `owned by ${ownerText(wanted)}` };
    return word === 0
      ? new SoftcError(
        "SOFTC_MBUF_DOUBLE_FREE",
        `Cannot ${verb} mbuf ${id} on CPU ${this.cpu}: it was freed by ${this.#freedBy(id)}`,
        detail,
      )
      : new SoftcError("SOFTC_MBUF_NOT_OWNER", `Cannot ${verb} mbuf ${id} on CPU ${this.cpu}`, detail);
  }
}

/** Lives found by scanning the owner words: what the ledger compares its counters with. Exact while CPUs are parked. */
export function scanLives(arena: Arena): { owner: string; lives: number }[] {
  const found = new Map<string, number>();
  for (let id = 0; id < arena.plan.config.mbufs; id++) {
    const word = get(arena.a, arena.plan.mbuf + id * MBUF.WORDS);
    if (word === 0 || word >> 24 === OWNER.chain) continue;
    const text = ownerText(word);
    found.set(text, (found.get(text) ?? 0) + 1);
  }
  return [...found].map(([owner, lives]) => ({ owner, lives }));
}

/** Packets that an interface's queues, device and holds have now: a hint while CPUs run. */
export function livesOf(arena: Arena, index: number): { owner: string; lives: number }[] {
  const mine = ["the output queue", "the device", "the hold queue"].map((x) => `${x} of if#${index}`);
  return scanLives(arena).filter((l) => mine.includes(l.owner));
}
