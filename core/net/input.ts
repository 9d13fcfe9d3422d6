/**
 * Input: from a driver to the top of the stack, in one section (rule 2).
 *
 * 1. A received packet carries its interface as a weak handle (index and gencnt in the mbuf header). Whoever
 *    takes it up in a later section compares again, and drops it when the interface is gone, moved or reused
 *    (R05, rule 4b).
 * 2. Input from inside a hook, or from inside input, joins this CPU's backlog, which runs when the outer call
 *    has returned: a hook is never re-entered and the stack does not grow with a packet's way.
 * 3. Between CPUs, packets travel in one single-producer ring per pair; the consumer compares the stamp as the
 *    output path does.
 *
 * @module
 */
import { get, load } from "../doors/arena.ts";
import { IFNET, INPUT_RING, MBUF } from "../memory/arena.ts";
import type { PacketBatch } from "../memory/batch.ts";
import { DROP, type Drop, IFC, WORK } from "../memory/counters.ts";
import { OWNER, ownerWord } from "../memory/mbuf.ts";
import {
  ringInit,
  ringPeek,
  ringPush,
  ringReady,
  ringRelease,
  ringRoom,
  ringSeemsEmpty,
  ringWaits,
} from "../memory/ring.ts";
import type { Arena } from "../memory/arena.ts";
import { DISPATCH, IFF } from "./flags.ts";
import { flowHash } from "./flow.ts";
import type { Net } from "./net.ts";
import { ifOutput, settleCsums } from "./output.ts";
import { type AttachedIfp, ifnetByHandle, type NetSection } from "./section.ts";
import type { Domain } from "./domain.ts";
import { makeHandle } from "./handle.ts";
import { tapBatch, tapDrops } from "./tap.ts";

const SITE = "input (delivered or dropped)" as const;
/** Packets of backlog that one call works off; the rest waits for the pump. */
const BACKLOG_BUDGET = 4096;

/** Makes the rings between CPUs' input. Once, on CPU 0, before any other CPU runs. */
export function inputInit(arena: Arena): void {
  const { cpus } = arena.plan.config;
  for (let from = 0; from < cpus; from++) {
    for (let to = 0; to < cpus; to++) ringInit(arena.a, arena.inputRingAt(from, to), INPUT_RING);
  }
}

/** Packets that the interface `index` received on this CPU. Consumes all of them. */
export function ifInput(net: Net, index: number, b: PacketBatch): void {
  b.compact();
  const n = b.n;
  if (n === 0) return;
  const { cpu, arena } = net;
  const a = arena.a;
  cpu.epoch.enter();
  try {
    const gencnt = load(a, arena.ifnetAt(index) + IFNET.gencnt, arena.wasm);
    if ((gencnt & 1) === 0) return drop(net, index, b, DROP.detached);
    const { ids } = b;
    const headers = arena.plan.mbuf;
    for (let i = 0; i < n; i++) {
      const h = headers + ids[i]! * MBUF.WORDS;
      a[h + MBUF.rcvIndex] = index;
      a[h + MBUF.rcvGen] = gencnt;
    }
    if (cpu.hooks > 0 || net.receiving) {
      const taken = net.backlog.push(b);
      if (taken < n) drop(net, index, b, DROP.backlog, taken);
      b.release();
    } else {
      dispatch(net, index, gencnt, b);
      if (net.backlog.length > 0) runBacklog(net);
    }
  } finally {
    cpu.epoch.exit();
  }
}

/** Works the backlog off: inside or outside a section, but never inside a hook. */
export function runBacklog(net: Net): number {
  if (net.cpu.hooks > 0 || net.receiving) return 0;
  let work = 0;
  const b = net.borrow(0);
  net.cpu.epoch.enter();
  try {
    while (net.backlog.length > 0 && work < BACKLOG_BUDGET) {
      work += net.backlog.pop(b.reset(0, DROP.driver, "freeAll"), 64);
      byInterface(net, b, dispatch);
    }
  } finally {
    net.cpu.epoch.exit();
    net.giveBack();
  }
  // What is left is the pump's, which sleeps on CPU 0 while a user's section runs.
  if (net.backlog.length > 0) net.cpu.ring(net.cpu.id);
  return work;
}

/** Takes input that other CPUs sent here: a source of the pump. */
export function pollInput(net: Net, budget: number): number {
  const { arena, cpu } = net;
  const a = arena.a;
  let work = 0;
  for (let from = 0; from < arena.plan.config.cpus; from++) {
    const ring = arena.inputRingAt(from, cpu.id);
    if (ringSeemsEmpty(a, ring)) continue;
    const b = net.borrow(0);
    cpu.epoch.enter();
    try {
      const ready = ringReady(a, ring, budget, arena.wasm);
      if (ready <= 0) continue;
      const n = ringPeek(a, ring, b.ids, Math.min(budget, ready));
      cpu.pool.handOver(b.ids, 0, n, ownerWord(OWNER.input, cpu.id), cpu.pool.mine);
      ringRelease(a, ring, n, arena.wasm);
      b.n = n;
      byInterface(net, b, receive);
      work += n;
    } finally {
      cpu.epoch.exit();
      net.giveBack();
    }
  }
  if (net.backlog.length > 0) work += runBacklog(net);
  return work;
}

/** Whether input from another CPU waits. */
export function inputWaits(net: Net): boolean {
  if (net.backlog.length > 0) return true;
  const { arena, cpu } = net;
  for (let from = 0; from < arena.plan.config.cpus; from++) {
    if (ringWaits(arena.a, arena.inputRingAt(from, cpu.id))) return true;
  }
  return false;
}

type Handler = (net: Net, index: number, gencnt: number, b: PacketBatch) => void;

/** Splits a batch into runs of one interface each, checks that each is still the same, and hands the runs on. */
function byInterface(net: Net, b: PacketBatch, then: Handler): void {
  const a = net.arena.a;
  const headers = net.arena.plan.mbuf;
  const { ids, n } = b;
  for (let i = 0; i < n;) {
    const h = headers + ids[i]! * MBUF.WORDS;
    const index = a[h + MBUF.rcvIndex]!;
    const gencnt = a[h + MBUF.rcvGen]!;
    let j = i + 1;
    for (; j < n; j++) {
      const next = headers + ids[j]! * MBUF.WORDS;
      if (a[next + MBUF.rcvIndex] !== index || a[next + MBUF.rcvGen] !== gencnt) break;
    }
    withRun(net, b, i, j, index, gencnt, then);
    i = j;
  }
  b.release();
}

function withRun(
  net: Net,
  b: PacketBatch,
  from: number,
  to: number,
  index: number,
  gencnt: number,
  then: Handler,
): void {
  const run = net.borrow(index);
  try {
    for (let i = from; i < to; i++) run.ids[i - from] = b.ids[i]!;
    run.n = to - from;
    if (load(net.arena.a, net.arena.ifnetAt(index) + IFNET.gencnt, net.arena.wasm) === gencnt) {
      then(net, index, gencnt, run);
    } else drop(net, index, run, DROP.gone);
  } finally {
    net.giveBack();
  }
}

/** Chooses the CPU that processes the packets. */
function dispatch(net: Net, index: number, gencnt: number, b: PacketBatch): void {
  const to = get(net.arena.a, net.arena.ifnetAt(index) + IFNET.dispatch);
  if (to === DISPATCH.flow) return steer(net, index, gencnt, b);
  if (to === DISPATCH.direct || to === net.cpu.id) return receive(net, index, gencnt, b);
  defer(net, index, b, to);
}

/** Each flow to one CPU, by hash: packets of a flow keep their order. */
function steer(net: Net, index: number, gencnt: number, b: PacketBatch): void {
  const { cpus } = net.arena.plan.config;
  for (let k = 0; k < cpus; k++) {
    const part = net.borrow(index);
    try {
      for (let i = 0; i < b.n; i++) {
        const id = b.ids[i]!;
        if (id < 0 || flowHash(net.arena, id) % cpus !== k) continue;
        part.ids[part.n++] = id;
        // Given away: its bytes are another's from here on, and so would its flow be.
        b.ids[i] = -1;
      }
      if (part.n > 0) {
        if (k === net.cpu.id) receive(net, index, gencnt, part);
        else defer(net, index, part, k);
      }
    } finally {
      net.giveBack();
    }
  }
  b.release();
}

function defer(net: Net, index: number, b: PacketBatch, to: number): void {
  const { arena, cpu } = net;
  const ring = arena.inputRingAt(cpu.id, to);
  const room = ringRoom(arena.a, ring, b.n, arena.wasm);
  const m = b.n < room ? b.n : room;
  if (m > 0) {
    cpu.pool.handOver(b.ids, 0, m, cpu.pool.mine, ownerWord(OWNER.input, to));
    // The stamp is not used: the gencnt is in each mbuf.
    ringPush(arena.a, ring, b.ids, 0, m, 0, arena.wasm);
    cpu.ring(to);
  }
  if (m < b.n) drop(net, index, b, DROP.backlog, m);
  b.release();
}

/** The input path proper: flags, counters, taps, cross-connect, protocol. */
function receive(net: Net, index: number, gencnt: number, b: PacketBatch): void {
  const { arena, cpu } = net;
  const a = arena.a;
  const at = arena.ifnetAt(index);
  const outer = net.receiving;
  const s = net.open(get(a, at + IFNET.vnet));
  net.receiving = true;
  try {
    net.stamps[index] = gencnt;
    net.stampSeqs[index] = s.seq;
    if ((get(a, at + IFNET.flags) & IFF.UP) === 0) return drop(net, index, b, DROP.down);
    count(net, index, b);
    cpu.counters.count(WORK.handled, b.n);
    if (get(a, at + IFNET.taps) !== 0) tapBatch(net, index as AttachedIfp, b, "in");
    // A hint, confirmed by an atomic load: what is read after it belongs to it (R18).
    const toGen = get(a, at + IFNET.xconnectGen) === 0 ? 0 : load(a, at + IFNET.xconnectGen);
    if (toGen !== 0) {
      const to = ifnetByHandle(s, makeHandle(toGen, get(a, at + IFNET.xconnect)));
      if (to === undefined) drop(net, index, b, DROP.gone);
      else {
        settleCsums(net, to, b);
        ifOutput(s, to, b, 0);
      }
      return;
    }
    if (net.sink !== undefined) net.sink(index, b);
    else demux(net, s, index as AttachedIfp, b);
  } finally {
    net.receiving = outer;
    net.close(s);
  }
}

/** Gives runs of one EtherType to the domain that takes it. */
function demux(net: Net, s: NetSection, p: AttachedIfp, b: PacketBatch): void {
  const { u8 } = net.arena;
  for (let i = 0; i < b.n;) {
    const type = etherType(u8, b.at(i), b.len(i));
    let j = i + 1;
    while (j < b.n && etherType(u8, b.at(j), b.len(j)) === type) j++;
    const domain = domainOf(net, type);
    const run = net.borrow(p);
    for (let k = i; k < j; k++) run.ids[k - i] = b.ids[k]!;
    run.n = j - i;
    try {
      if (domain === undefined) drop(net, p, run, type < 0 ? DROP.malformed : DROP.noproto);
      else domain.input(s, p, run);
    } finally {
      net.giveBack();
    }
    i = j;
  }
  b.release();
}

function domainOf(net: Net, type: number): Domain | undefined {
  for (let i = 0; i < net.domains.length; i++) {
    if (net.domains[i]!.etherTypes.includes(type)) return net.domains[i];
  }
  return undefined;
}

/** EtherType of a frame; -1 when it is too short to have one. */
function etherType(u8: Uint8Array, at: number, len: number): number {
  return len < 14 ? -1 : u8[at + 12]! << 8 | u8[at + 13]!;
}

function count(net: Net, index: number, b: PacketBatch): void {
  const { arena } = net;
  const a = arena.a;
  const lengths = arena.plan.mbuf + MBUF.len;
  const { ids, n } = b;
  let bytes = 0;
  for (let i = 0; i < n; i++) bytes += a[lengths + ids[i]! * MBUF.WORDS]!;
  const c = arena.ifCountersAt(net.cpu.id, index);
  arena.f[c + IFC.ipackets]! += n;
  arena.f[c + IFC.ibytes]! += bytes;
}

/** Drops a batch from packet `from` on. */
function drop(net: Net, index: number, b: PacketBatch, reason: Drop, from = 0): void {
  // An interface that is not attached has no taps, and its slot may be free: a peer's is.
  const attached = reason !== DROP.gone && reason !== DROP.detached;
  if (attached && b.gone === 0 && get(net.arena.a, net.arena.ifnetAt(index) + IFNET.taps) !== 0) {
    tapDrops(net, index, b, from, "in", reason);
  }
  const n = b.endFrom(from, reason, SITE);
  net.arena.f[net.arena.ifCountersAt(net.cpu.id, index) + IFC.iqdrops]! += n;
}
