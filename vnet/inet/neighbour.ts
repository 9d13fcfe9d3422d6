/**
 * Neighbours: whose MAC address is behind an IP address, for ARP (RFC 826) and neighbour discovery (RFC 4861 5.1).
 *
 * A table per interface and family, in the arena. Every CPU reads it, learns into it and parks packets in it;
 * CPU 0 alone keeps time (its clock is not another CPU's) and gives entries up. Why this is correct:
 *
 * 1. Memory: the table hangs off afdata. Whoever reaches it is in a section that found the interface, so it is
 *    not freed under him; teardown runs after the grace period that follows unlink, when nobody is inside.
 * 2. Writers take the table's lock by compare-and-swap. They hold it for a few stores and call nothing. A
 *    writer that does not get it within a bounded number of tries gives up: what it wanted to write is a hint
 *    that the next packet or CPU 0's tick brings again. So nobody ever waits for a preempted writer.
 * 3. Readers take no lock: an entry's version is odd while it is written. A reader loads the version, the
 *    words, the version again, all atomically, and believes them only when both are the same and even. A key
 *    changes only under the lock, together with the version, so a reader never pairs one neighbour's address
 *    with another's MAC. What he could not read he treats as not resolved: he parks the packet (4).
 * 4. The hold queue is one word: count and first mbuf. A packet is pushed by one compare-and-swap and the queue
 *    is taken whole by one exchange, never popped singly, so there is no ABA. Whoever takes it owns every mbuf
 *    in it and ends or sends each one.
 * 5. No packet is forgotten: a resolver stores the state, then takes the queue; a sender pushes, then loads
 *    the state. These are sequentially consistent, so one of them sees the other, and takes the queue.
 *    Aging (CPU 0) changes the version too and takes no queue: what was parked because of it is sent by CPU 0's
 *    next tick, which looks for packets behind neighbours that are resolved, or were given up.
 * 6. An entry is reused for another address only when it is stale and holds nothing; a packet that was being
 *    parked in that moment carries a tag of its neighbour, and who takes it drops it when the tag is not his.
 * 7. Teardown takes every queue whole and leaves it closed; what was in it is dropped and counted.
 *
 * @module
 */
import { cas, exchange, load, store } from "../../core/doors/arena.ts";
import { LLE, NEIGH } from "./layout.ts";

/** States of a neighbour (RFC 4861 7.3.2). From `reachable` on, packets are sent. */
export const ND = { none: 0, incomplete: 1, reachable: 2, stale: 3, probe: 4, permanent: 5 } as const;
/** Name of a neighbour's state. */
export type NeighbourState = "none" | "incomplete" | "reachable" | "stale" | "probe" | "permanent";

/** Packets that one neighbour's queue holds; more are dropped and counted. */
export const HOLD_MAX = 16;

const TRIES = 2000;
const CLOSED = -1;
const COUNT_SHIFT = 24;
const ID_MASK = 0xffffff;

/** Pushed. */
export const HELD = 1;
/** No room, or the table is being torn down. */
export const HOLD_REFUSED = 0;

/** What a reader learnt of an entry. */
export class NeighbourView {
  state: number = ND.none;
  macHigh = 0;
  macLow = 0;
}

function slotAt(t: number, i: number): number {
  return t + NEIGH.entries + (i & (NEIGH.COUNT - 1)) * NEIGH.ENTRY;
}

function hash(w0: number, w1: number, w2: number, w3: number): number {
  let h = Math.imul(w0 ^ Math.imul(w1, 31) ^ Math.imul(w2, 131) ^ w3, 0x9e3779b1);
  h ^= h >>> 15;
  return h & (NEIGH.COUNT - 1);
}

function keyIs(a: Int32Array, e: number, w0: number, w1: number, w2: number, w3: number): boolean {
  return load(a, e + LLE.address) === w0 && load(a, e + LLE.address + 3) === w3 &&
    load(a, e + LLE.address + 2) === w2 && load(a, e + LLE.address + 1) === w1;
}

/** Finds a neighbour; fills `view` with what may be believed of it. 0 when there is none (argument 3). */
export function neighbourRead(
  a: Int32Array,
  t: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  view: NeighbourView,
): number {
  const h = hash(w0, w1, w2, w3);
  for (let j = 0; j < NEIGH.WINDOW; j++) {
    const e = slotAt(t, h + j);
    const version = load(a, e + LLE.version);
    const state = load(a, e + LLE.state);
    if (state === ND.none || !keyIs(a, e, w0, w1, w2, w3)) continue;
    view.macHigh = load(a, e + LLE.macHigh);
    view.macLow = load(a, e + LLE.macLow);
    view.state = (version & 1) === 1 || load(a, e + LLE.version) !== version ? ND.incomplete : state;
    return e;
  }
  view.state = ND.none;
  return 0;
}

function lock(a: Int32Array, t: number): boolean {
  for (let i = 0; i < TRIES; i++) if (cas(a, t + NEIGH.lock, 0, 1) === 0) return true;
  return false;
}

function unlock(a: Int32Array, t: number): void {
  store(a, t + NEIGH.lock, 0);
}

/** The entry of an address, under the lock. */
function find(a: Int32Array, t: number, w0: number, w1: number, w2: number, w3: number): number {
  const h = hash(w0, w1, w2, w3);
  for (let j = 0; j < NEIGH.WINDOW; j++) {
    const e = slotAt(t, h + j);
    if (load(a, e + LLE.state) !== ND.none && keyIs(a, e, w0, w1, w2, w3)) return e;
  }
  return 0;
}

/** A slot for a new entry, under the lock: an empty one, else one that is stale and holds nothing. 0 = none. */
function room(a: Int32Array, t: number, w0: number, w1: number, w2: number, w3: number): number {
  const h = hash(w0, w1, w2, w3);
  let stale = 0;
  for (let j = 0; j < NEIGH.WINDOW; j++) {
    const e = slotAt(t, h + j);
    const state = load(a, e + LLE.state);
    if (state === ND.none) return e;
    if (state === ND.stale && load(a, e + LLE.hold) === 0) stale = e;
  }
  return stale;
}

/** Writes an entry, under the lock. */
function write(
  a: Int32Array,
  e: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  state: number,
  macHigh: number,
  macLow: number,
): void {
  const version = load(a, e + LLE.version);
  store(a, e + LLE.version, version + 1 | 0);
  store(a, e + LLE.address, w0);
  store(a, e + LLE.address + 1, w1);
  store(a, e + LLE.address + 2, w2);
  store(a, e + LLE.address + 3, w3);
  store(a, e + LLE.macHigh, macHigh);
  store(a, e + LLE.macLow, macLow);
  store(a, e + LLE.state, state);
  store(a, e + LLE.heard, 1);
  store(a, e + LLE.used, 0);
  store(a, e + LLE.version, version + 2 | 0);
}

/** The entry of an address, made as `incomplete` when there is none; negative when it was made now; 0 = no room. */
export function neighbourClaim(
  a: Int32Array,
  t: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  if (!lock(a, t)) return 0;
  let e = find(a, t, w0, w1, w2, w3);
  let made = false;
  if (e === 0) {
    e = room(a, t, w0, w1, w2, w3);
    if (e !== 0) {
      write(a, e, w0, w1, w2, w3, ND.incomplete, 0, 0);
      made = true;
    }
  }
  unlock(a, t);
  return made ? -e : e;
}

/** How something was learnt. */
export const LEARN = {
  /** Only what is known already is changed. */
  known: 1,
  /** A new entry is made. */
  create: 2,
  /** The neighbour answered us: it is reachable. */
  confirmed: 4,
  /** A different MAC address replaces the known one. */
  override: 8,
  /** It stays, whatever comes. */
  permanent: 16,
} as const;

/**
 * Learns a MAC address. Returns the entry when packets may be sent to it now: the caller then takes its hold
 * queue (argument 5). 0 otherwise.
 */
export function neighbourLearn(
  a: Int32Array,
  t: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  macHigh: number,
  macLow: number,
  how: number,
): number {
  if (!lock(a, t)) return 0;
  let e = find(a, t, w0, w1, w2, w3);
  if (e === 0 && (how & (LEARN.create | LEARN.permanent)) !== 0) e = room(a, t, w0, w1, w2, w3);
  if (e !== 0) {
    const before = find(a, t, w0, w1, w2, w3) === e ? load(a, e + LLE.state) : ND.none;
    const same = load(a, e + LLE.macHigh) === macHigh && load(a, e + LLE.macLow) === macLow;
    const resolved = before > ND.incomplete;
    if ((how & LEARN.permanent) !== 0) {
      write(a, e, w0, w1, w2, w3, ND.permanent, macHigh, macLow);
    } else if (before === ND.permanent || (resolved && !same && (how & LEARN.override) === 0)) {
      // A known address that is contradicted without the right to override is only doubted (RFC 4861 7.2.5).
      if (before === ND.reachable) store(a, e + LLE.state, ND.stale);
    } else {
      const state = (how & LEARN.confirmed) !== 0 ? ND.reachable : resolved && same ? before : ND.stale;
      write(a, e, w0, w1, w2, w3, state, macHigh, macLow);
    }
    if (load(a, e + LLE.state) <= ND.incomplete) e = 0;
  }
  unlock(a, t);
  return e;
}

/** CPU 0: moves an entry from one state to another, unless somebody has learnt something meanwhile. */
export function neighbourAge(a: Int32Array, t: number, e: number, from: number, to: number): boolean {
  if (!lock(a, t)) return false;
  const ok = load(a, e + LLE.state) === from && load(a, e + LLE.heard) === 0;
  if (ok) {
    const version = load(a, e + LLE.version);
    store(a, e + LLE.version, version + 1 | 0);
    store(a, e + LLE.state, to);
    store(a, e + LLE.version, version + 2 | 0);
  }
  unlock(a, t);
  return ok;
}

/** Parks mbuf `id` behind an entry; `link` sets the word that leads to the next one (argument 4). */
export function holdPush(a: Int32Array, e: number, id: number, link: number): number {
  for (;;) {
    const head = load(a, e + LLE.hold);
    if (head === CLOSED || head >>> COUNT_SHIFT >= HOLD_MAX) return HOLD_REFUSED;
    store(a, link, head & ID_MASK);
    if (cas(a, e + LLE.hold, head, ((head >>> COUNT_SHIFT) + 1) << COUNT_SHIFT | (id + 1)) === head) {
      return HELD;
    }
  }
}

/** Takes a hold queue whole into `ids`, oldest first; returns how many. `linkOf` gives the word that leads to the next. */
export function holdTake(
  a: Int32Array,
  e: number,
  ids: Int32Array,
  linkOf: (id: number) => number,
  close = false,
): number {
  const now = load(a, e + LLE.hold);
  if (now === CLOSED || (!close && now === 0)) return 0;
  const head = exchange(a, e + LLE.hold, close ? CLOSED : 0);
  const n = head >>> COUNT_SHIFT;
  let id = (head & ID_MASK) - 1;
  for (let i = n - 1; i >= 0; i--) {
    ids[i] = id;
    id = load(a, linkOf(id)) - 1;
  }
  return n;
}

/** Entries of a table that are in use. */
export function* neighbours(a: Int32Array, t: number): IterableIterator<number> {
  for (let i = 0; i < NEIGH.COUNT; i++) {
    const e = slotAt(t, i);
    if (load(a, e + LLE.state) !== ND.none) yield e;
  }
}

/** Every entry of a table, in use or not: teardown. */
export function* everySlot(t: number): IterableIterator<number> {
  for (let i = 0; i < NEIGH.COUNT; i++) yield slotAt(t, i);
}
