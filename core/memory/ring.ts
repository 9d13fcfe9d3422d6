/**
 * A single-producer single-consumer ring of mbuf ids with a stamp each, with cached indices.
 *
 * 1. Only the producer writes `tail` and the entries in front of it; only the consumer writes `taken` and `head`.
 * 2. The producer writes entries plainly, then publishes them by one atomic store of `tail`; the consumer
 *    loads `tail` atomically before it reads them: release and acquire.
 * 3. The consumer reads entries, then gives the room back by one atomic store of `head`; the producer loads
 *    `head` before it writes there again.
 * 4. Indices run free (32 bit) and are compared by difference, so wrapping is harmless.
 * 5. What travels between two CPUs costs more than all else, so each side stays on its own line: it keeps the
 *    other's index there and loads the true one only when that is not enough, and the size is on both. The
 *    consumer counts in `taken`, and stores `head` when it has taken all that it saw (or nobody would hear of
 *    the rest) or lags an eighth of the ring behind: until then a full ring has that much less room.
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
import { get, load, store, watched } from "../doors/arena.ts";
import type { Wasm } from "../doors/wasm.ts";
import { LINE } from "./arena.ts";

/** Words of a ring; ids follow, then stamps. The producer's line, then the consumer's. */
export const RING = {
  tail: 0,
  headSeen: 1,
  mask: 2,
  pushed: 3,
  head: LINE,
  taken: LINE + 1,
  tailSeen: LINE + 2,
  maskToo: LINE + 3,
  run: LINE + 4,
  entries: 2 * LINE,
} as const;

/** Makes the memory at `r` an empty ring of `entries` (a power of two) entries. */
export function ringInit(a: Int32Array, r: number, entries: number): void {
  const { tail, headSeen, pushed, head, taken, tailSeen, run, mask, maskToo } = RING;
  for (const w of [tail, headSeen, pushed, head, taken, tailSeen, run]) store(a, r + w, 0);
  for (const w of [mask, maskToo]) store(a, r + w, entries - 1);
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
  const at = tail & mask;
  const whole = Math.min(n, mask + 1 - at);
  let i = 0;
  for (; i + 4 <= whole; i += 4) { // four at a time: a fifth faster between two CPUs
    const e = entries + at + i, k = from + i;
    a[e] = ids[k]!;
    a[e + 1] = ids[k + 1]!;
    a[e + 2] = ids[k + 2]!;
    a[e + 3] = ids[k + 3]!;
  }
  for (; i < n; i++) a[entries + ((tail + i) & mask)] = ids[from + i]!;
  if (a[r + RING.pushed]! !== stamp) {
    a[r + RING.pushed] = stamp;
    const e = entries + at;
    a[e] = ~ids[from]!;
    a[e + mask + 1] = stamp;
  }
  store(a, r + RING.tail, (tail + n) | 0, wasm);
}

/**
 * Consumer: entries ready. What was last seen of the producer's index answers when it is enough for `want`; else
 * an atomic load.
 */
export function ringReady(a: Int32Array, r: number, want: number, wasm?: Wasm): number {
  const taken = a[r + RING.taken]!;
  let n = (a[r + RING.tailSeen]! - taken) | 0;
  if (n < want) {
    const tail = load(a, r + RING.tail, wasm);
    a[r + RING.tailSeen] = tail;
    n = (tail - taken) | 0;
  }
  return n;
}

/**
 * Consumer: a hint that nothing waits. A stale one costs a turn, and {@linkcode ringWaits} is asked before sleep.
 * The producer's line is looked at only when what was seen of it is used up.
 */
export function ringSeemsEmpty(a: Int32Array, r: number): boolean {
  if (watched()) return false;
  const taken = a[r + RING.taken]!;
  return a[r + RING.tailSeen]! === taken && a[r + RING.tail]! === taken;
}

/** Whether anything waits: an atomic load, for the check before sleep. */
export function ringWaits(a: Int32Array, r: number, wasm?: Wasm): boolean {
  return load(a, r + RING.tail, wasm) !== get(a, r + RING.taken);
}

/** Entries of about now, for whoever looks on (5: some may be gone). Head first, so it is never ahead of the tail. */
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
  const mask = a[r + RING.maskToo]!;
  const taken = a[r + RING.taken]!;
  const entries = r + RING.entries;
  const e = entries + (taken & mask);
  const first = a[e]!;
  if (first < 0) a[r + RING.run] = a[e + mask + 1]!;
  ids[0] = first < 0 ? ~first : first;
  const whole = Math.min(n, mask + 1 - (taken & mask));
  let i = first < 0 ? 1 : 0;
  for (; i + 4 <= whole; i += 4) {
    const w = a[e + i]!, x = a[e + i + 1]!, y = a[e + i + 2]!, z = a[e + i + 3]!;
    if ((w | x | y | z) < 0) break; // one of them ends the run: the loop below finds it
    ids[i] = w;
    ids[i + 1] = x;
    ids[i + 2] = y;
    ids[i + 3] = z;
  }
  for (; i < n; i++) {
    const id = a[entries + ((taken + i) & mask)]!;
    if (id < 0) break;
    ids[i] = id;
  }
  return i;
}

/** Consumer: the stamp of what {@linkcode ringPeek} copied. */
export function ringStamp(a: Int32Array, r: number): number {
  return a[r + RING.run]!;
}

/** Consumer: takes `n` entries out, no more than the last peek copied. The producer hears of it by 5. */
export function ringRelease(a: Int32Array, r: number, n: number, wasm?: Wasm): void {
  const taken = (a[r + RING.taken]! + n) | 0;
  a[r + RING.taken] = taken;
  const lag = (taken - a[r + RING.head]!) | 0;
  if (taken === a[r + RING.tailSeen]! || lag * 8 > a[r + RING.maskToo]!) {
    store(a, r + RING.head, taken, wasm);
  }
}
