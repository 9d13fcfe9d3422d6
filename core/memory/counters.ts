/**
 * Counters: doubles in the arena, each written by one CPU alone and added up by whoever reads.
 *
 * Plain reads and writes, on the list of intended races: a reader may be behind by a batch. Exact sums are
 * taken with every CPU parked (ledger.ts).
 *
 * @module
 */
import type { Arena } from "./arena.ts";

/** How a packet's life begins. */
export const BORN = { stack: 0, rx: 1, copy: 2, split: 3 } as const;
/** How a packet's life ends well. */
export const ENDED = { delivered: 4, wire: 5, merged: 6 } as const;

/** Why a packet was dropped: the closed list, with the number of each in shared memory. Each is a counter of the ledger and a section of the docs. */
export const DROP = {
  down: 8,
  detached: 9,
  moved: 10,
  full: 11,
  purged: 12,
  noproto: 13,
  malformed: 14,
  fault: 15,
  driver: 16,
  backlog: 17,
  gone: 18,
  toobig: 19,
  ttl: 20,
  noroute: 21,
  unresolved: 22,
  checksum: 23,
  nosocket: 24,
  refused: 25,
  unplugged: 26,
  filtered: 27,
  loop: 28,
  fragment: 29,
  netem: 30,
  quarantine: 31,
} as const;
/** Name of a drop reason. */
export type DropReason = keyof typeof DROP;
/** Number of a drop reason: the index of its counter. */
export type Drop = (typeof DROP)[DropReason];

/** What one sentence says of each reason. */
export const DROP_TEXT: Readonly<Record<DropReason, string>> = {
  down: "the interface was not UP when the packet was sent or came in",
  detached: "the interface was not attached when the packet was sent",
  moved: "the packet was queued before the interface moved to another vnet",
  full: "the output queue had no room",
  purged: "the packet was queued on an interface that was then detached",
  noproto: "no protocol of the vnet takes this kind of packet",
  malformed: "the packet is not what its headers say",
  fault: "the driver's transmit hook threw",
  driver: "the driver dropped it",
  backlog: "the input queue to another CPU had no room",
  gone: "the interface it came in on is gone or in another vnet",
  toobig: "the packet is larger than the interface's MTU",
  ttl: "its hop limit ran out",
  noroute: "no route to its destination",
  unresolved: "its next hop did not answer",
  checksum: "a checksum is wrong",
  nosocket: "no socket of the vnet wants it",
  refused: "the peer refused it",
  unplugged: "the device was pulled out",
  filtered: "a filter said no",
  loop: "it went round more often than a packet may",
  fragment: "its fragments did not come together",
  netem: "an emulated link lost it on purpose",
  quarantine: "the device never gave its buffer back",
};

/** Not part of the ledger: work done by this CPU, and its epoch callbacks that have not run. */
export const WORK = { handled: 40, turns: 41, sleeps: 42, sections: 43, nobufs: 44, callbacks: 45 } as const;

/** Counters that an interface has on each CPU. */
export const IFC = {
  ipackets: 0,
  ibytes: 1,
  opackets: 2,
  obytes: 3,
  iqdrops: 4,
  oqdrops: 5,
  ierrors: 6,
  oerrors: 7,
} as const satisfies Record<IfCounter, number>;
const IF_NAMES = Object.entries(IFC);
/**
 * Name of an interface counter, as if_data of ifnet(9) has it: packets and bytes of whole frames that came in
 * (`i`) or that the driver took (`o`), and packets dropped at the interface (`qdrops`; the ledger has the reasons).
 * `ierrors` and `oerrors` stay 0: what a driver drops has a reason, and what it counts is in its own counters.
 */
export type IfCounter =
  | "ipackets"
  | "ibytes"
  | "opackets"
  | "obytes"
  | "iqdrops"
  | "oqdrops"
  | "ierrors"
  | "oerrors";
/** An interface's counters, added up over CPUs: packets and bytes, exact to 2^53. */
export type IfCounters = Readonly<Record<IfCounter, number>>;

/** This CPU's own counters. */
export class Counters {
  readonly #f: Float64Array;
  readonly #base: number;

  constructor(arena: Arena, cpu: number) {
    this.#f = arena.f;
    this.#base = arena.cpuCountersAt(cpu);
  }

  /** Adds `n` to one counter of this CPU. */
  count(which: number, n: number): void {
    this.#f[this.#base + which]! += n;
  }
}

/** One CPU counter, added up over all CPUs. */
export function sumCpus(arena: Arena, which: number): number {
  let sum = 0;
  for (let k = 0; k < arena.plan.config.cpus; k++) sum += arena.f[arena.cpuCountersAt(k) + which]!;
  return sum;
}

/** An interface's counters, added up over all CPUs. */
export function ifCounters(arena: Arena, index: number): IfCounters {
  const out: Record<string, number> = {};
  for (const [name, at] of IF_NAMES) {
    let sum = 0;
    for (let k = 0; k < arena.plan.config.cpus; k++) sum += arena.f[arena.ifCountersAt(k, index) + at]!;
    out[name] = sum;
  }
  return out as Record<IfCounter, number>;
}

/** Sets an interface's counters to zero, or to `from`, for all CPUs together: only while no CPU can reach it. */
export function resetIfCounters(arena: Arena, index: number, from?: IfCounters): void {
  for (let k = 0; k < arena.plan.config.cpus; k++) {
    const at = arena.ifCountersAt(k, index);
    arena.f.fill(0, at, at + 8);
  }
  if (from === undefined) return;
  for (const [name, at] of IF_NAMES) {
    arena.f[arena.ifCountersAt(0, index) + at] = from[name as IfCounter];
  }
}

/** Epoch callbacks of a CPU that have not run: what it told last. */
export function callbacksOf(arena: Arena, cpu: number): number {
  return arena.f[arena.cpuCountersAt(cpu) + WORK.callbacks]!;
}
