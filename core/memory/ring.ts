/**
 * A single-producer single-consumer ring of (mbuf id, stamp) pairs, with cached indices.
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
 * Entries are raw accesses (on the list in ARCHITECTURE.md): they are protected by 2 and 3, and the door costs
 * 1-2 ns on a read of 1.
 *
 * @module
 */
import { get, load, set, store } from "../doors/arena.ts";
import type { Wasm } from "../doors/wasm.ts";
import { LINE } from "./arena.ts";

/** Words of a ring; entries follow. The producer's line, then the consumer's. */
export const RING = {
  tail: 0,
  headSeen: 1,
  mask: 2,
  head: LINE,
  tailSeen: LINE + 1,
  entries: 2 * LINE,
} as const;

/** Makes the memory at `r` an empty ring of `entries` (a power of two) entries. */
export function ringInit(a: Int32Array, r: number, entries: number): void {
  for (const w of [RING.tail, RING.headSeen, RING.head, RING.tailSeen]) store(a, r + w, 0);
  store(a, r + RING.mask, entries - 1);
}

/** Room that the producer can be sure of, refreshed from the consumer when less than `n`. */
export function ringRoom(a: Int32Array, r: number, n: number, wasm?: Wasm): number {
  const size = get(a, r + RING.mask) + 1;
  const tail = get(a, r + RING.tail);
  let room = size - ((tail - get(a, r + RING.headSeen)) | 0);
  if (room < n) {
    const head = load(a, r + RING.head, wasm);
    set(a, r + RING.headSeen, head);
    room = size - ((tail - head) | 0);
  }
  return room;
}

/** Producer: appends up to `n` ids with one stamp; returns how many fitted. */
export function ringPush(
  a: Int32Array,
  r: number,
  ids: Int32Array,
  from: number,
  n: number,
  stamp: number,
  wasm?: Wasm,
): number {
  const room = ringRoom(a, r, n, wasm);
  const m = n < room ? n : room;
  if (m <= 0) return 0;
  const mask = get(a, r + RING.mask);
  const tail = get(a, r + RING.tail);
  for (let i = 0; i < m; i++) {
    const e = r + RING.entries + ((tail + i) & mask) * 2;
    a[e] = ids[from + i]!;
    a[e + 1] = stamp;
  }
  store(a, r + RING.tail, (tail + m) | 0, wasm);
  return m;
}

/**
 * Consumer: entries ready, by an atomic load of the producer's index when `confirm`, else the last one seen
 * first (a hint that saves an Atomic while there is more than a batch behind it).
 */
export function ringReady(a: Int32Array, r: number, want: number, wasm?: Wasm): number {
  const head = get(a, r + RING.head);
  let n = (get(a, r + RING.tailSeen) - head) | 0;
  if (n < want) {
    const tail = load(a, r + RING.tail, wasm);
    set(a, r + RING.tailSeen, tail);
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

/** Consumer: copies `n` ready entries out; they stay in the ring until {@linkcode ringRelease}. */
export function ringPeek(a: Int32Array, r: number, ids: Int32Array, stamps: Int32Array, n: number): void {
  const mask = get(a, r + RING.mask);
  const head = get(a, r + RING.head);
  for (let i = 0; i < n; i++) {
    const e = r + RING.entries + ((head + i) & mask) * 2;
    ids[i] = a[e]!;
    stamps[i] = a[e + 1]!;
  }
}

/** Consumer: gives `n` entries back to the producer. */
export function ringRelease(a: Int32Array, r: number, n: number, wasm?: Wasm): void {
  store(a, r + RING.head, (get(a, r + RING.head) + n) | 0, wasm);
}
