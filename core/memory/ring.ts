/**
 * A single-producer single-consumer ring of mbuf ids with a stamp each, with cached indices.
 *
 * 1. Only the producer writes `tail` and the entries in front of it; only the consumer writes `head`.
 * 2. The producer writes entries plainly, then publishes them by one atomic store of `tail`; the consumer
 *    loads `tail` atomically before it reads them: release and acquire.
 * 3. The consumer reads entries, then gives the room back by one atomic store of `head`; the producer loads
 *    `head` before it writes there again.
 * 4. Indices run free (32 bit) and are compared by difference, so wrapping is harmless.
 * 5. Each side keeps the other's index in a word of its own line and loads the true one only when that is not
 *    enough: two Atomics per batch on each side at most.
 *
 * 6. A stamp is written only where it differs from that of the entry before: there the id is stored inverted
 *    (negative) and the stamp lies in a second array. So a ring that carries one stamp moves one word per
 *    entry. `pushed` is the stamp of the last entry pushed, the producer's alone; `run` is that of the last run
 *    peeked, the consumer's alone, and the head entry has it unless it is marked.
 *
 * Entries and the words that one side alone uses are raw accesses (on the list in ARCHITECTURE.md): they are
 * protected by 2 and 3, and the door costs 1-2 ns on a read of 1.
 *
 * @module
 */
import { get, load, store } from "../doors/arena.ts";
import type { Wasm } from "../doors/wasm.ts";
import { LINE } from "./arena.ts";

/** Words of a ring; ids follow, then stamps. The producer's line, then the consumer's. */
export const RING = {
  tail: 0,
  headSeen: 1,
  mask: 2,
  pushed: 3,
  head: LINE,
  tailSeen: LINE + 1,
  run: LINE + 2,
  entries: 2 * LINE,
} as const;

/** Makes the memory at `r` an empty ring of `entries` (a power of two) entries. */
export function ringInit(a: Int32Array, r: number, entries: number): void {
  for (const w of [RING.tail, RING.headSeen, RING.pushed, RING.head, RING.tailSeen, RING.run]) {
    store(a, r + w, 0);
  }
  store(a, r + RING.mask, entries - 1);
}

/** Room that the producer can be sure of, refreshed from the consumer when less than `n`. */
export function ringRoom(a: Int32Array, r: number, n: number, wasm?: Wasm): number {
  const size = a[r + RING.mask]! + 1;
  const tail = a[r + RING.tail]!;
  let room = size - ((tail - a[r + RING.headSeen]!) | 0);
  if (room < n) {
    const head = load(a, r + RING.head, wasm);
    a[r + RING.headSeen] = head;
    room = size - ((tail - head) | 0);
  }
  return room;
}

/** Producer: appends `n` ids with one stamp, no more than {@linkcode ringRoom} found room for. */
export function ringPush(
  a: Int32Array,
  r: number,
  ids: Int32Array,
  from: number,
  n: number,
  stamp: number,
  wasm?: Wasm,
): void {
  if (n <= 0) return;
  const mask = a[r + RING.mask]!;
  const tail = a[r + RING.tail]!;
  const entries = r + RING.entries;
  for (let i = 0; i < n; i++) a[entries + ((tail + i) & mask)] = ids[from + i]!;
  if (a[r + RING.pushed]! !== stamp) {
    a[r + RING.pushed] = stamp;
    const e = entries + (tail & mask);
    a[e] = ~ids[from]!;
    a[e + mask + 1] = stamp;
  }
  store(a, r + RING.tail, (tail + n) | 0, wasm);
}

/**
 * Consumer: entries ready, by an atomic load of the producer's index when `confirm`, else the last one seen
 * first (a hint that saves an Atomic while there is more than a batch behind it).
 */
export function ringReady(a: Int32Array, r: number, want: number, wasm?: Wasm): number {
  const head = a[r + RING.head]!;
  let n = (a[r + RING.tailSeen]! - head) | 0;
  if (n < want) {
    const tail = load(a, r + RING.tail, wasm);
    a[r + RING.tailSeen] = tail;
    n = (tail - head) | 0;
  }
  return n;
}

/** Whether anything waits: an atomic load, for the check before sleep. */
export function ringWaits(a: Int32Array, r: number, wasm?: Wasm): boolean {
  return load(a, r + RING.tail, wasm) !== get(a, r + RING.head);
}

/** Entries of about now, for whoever looks on. The head is loaded first, so it is never ahead of the tail. */
export function ringDepth(a: Int32Array, r: number): number {
  const head = load(a, r + RING.head);
  return Math.min((load(a, r + RING.tail) - head) | 0, get(a, r + RING.mask) + 1);
}

/**
 * Consumer: copies ready entries out, up to `n` and as far as they have one stamp, which {@linkcode ringStamp}
 * tells; returns how many. They stay in the ring until {@linkcode ringRelease}.
 */
export function ringPeek(a: Int32Array, r: number, ids: Int32Array, n: number): number {
  if (n <= 0) return 0;
  const mask = a[r + RING.mask]!;
  const head = a[r + RING.head]!;
  const entries = r + RING.entries;
  const e = entries + (head & mask);
  const first = a[e]!;
  if (first < 0) a[r + RING.run] = a[e + mask + 1]!;
  ids[0] = first < 0 ? ~first : first;
  let i = 1;
  for (; i < n; i++) {
    const id = a[entries + ((head + i) & mask)]!;
    if (id < 0) break;
    ids[i] = id;
  }
  return i;
}

/** Consumer: the stamp of what {@linkcode ringPeek} copied. */
export function ringStamp(a: Int32Array, r: number): number {
  return a[r + RING.run]!;
}

/** Consumer: gives `n` entries back to the producer, no more than the last peek copied. */
export function ringRelease(a: Int32Array, r: number, n: number, wasm?: Wasm): void {
  store(a, r + RING.head, (a[r + RING.head]! + n) | 0, wasm);
}
