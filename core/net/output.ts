/**
 * Output: run to completion where the driver's queue is on this CPU, through a stamped ring where it is not.
 *
 * 1. A look-up found the interface attached in the sender's vnet, with some gencnt. Until the section ends no
 *    grace period that follows unlink can end, so a transmit in the same section is before the move.
 * 2. A ring outlives the section. So an entry carries the sender's gencnt, and the consumer compares: a packet
 *    that vnet A queued never leaves under vnet B. Purging is accounting, never the barrier.
 * 3. The consumer enters its own section, loads the ring's tail, then the gencnt. An entry's stamp was current
 *    when it was pushed, and the tail that shows it was stored after: so a gencnt loaded after the tail is
 *    never older than a stamp, and a valid packet is never taken for a stale one.
 * 4. Stamps in one ring never go back (one sender, gencnt only grows), so stale entries come first. The consumer
 *    takes a run of one stamp at a time: it is stale as a whole, or not at all.
 * 5. Only the consumer empties a ring. What the driver did not accept stays in it until `txWake`.
 * 6. One flow stays in order: a queue has one consumer, a sender uses one ring per queue, and its own CPU's
 *    packets go through that ring too while anything is in it.
 *
 * Atomics per batch: run to completion 3 (enter, gencnt, exit); through a ring 5 (+ tail, sleep flag) and
 * 5 for the consumer (enter, tail, gencnt, head, exit). No allocation, no throw.
 *
 * @module
 */
import { get, load } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET, MBUF, ringWords } from "../memory/arena.ts";
import { type Batch, ERRNO, PacketBatch } from "../memory/batch.ts";
import { DROP, type Drop, ENDED, IFC, WORK } from "../memory/counters.ts";
import { CSUM, isPartial } from "../memory/csum.ts";
import { OWNER, ownerWord } from "../memory/mbuf.ts";
import {
  ringPeek,
  ringPush,
  ringReady,
  ringRelease,
  ringRoom,
  ringSeemsEmpty,
  ringStamp,
  ringWaits,
} from "../memory/ring.ts";
import { IFCAP, IFF } from "./flags.ts";
import { runBacklog } from "./input.ts";
import type { Net } from "./net.ts";
import { type AttachedIfp, netOf, type NetSection, type Section } from "./section.ts";
import { tapBatch, tapDrops } from "./tap.ts";

/** An output queue that a CPU empties: one ring per sending CPU. */
export interface OwnedQueue {
  readonly index: number;
  readonly queue: number;
  /** Rings by sending CPU. */
  readonly rings: readonly number[];
  /** The driver had no room: wait for `txWake`. */
  blocked: boolean;
}

/** Word offset of the ring from CPU `sender` to queue `queue` of an interface. */
export function ringAt(rings: number, ringSize: number, cpus: number, queue: number, sender: number): number {
  return rings + (queue * cpus + sender) * ringWords(ringSize);
}

/**
 * Sends a batch through an interface that was looked up in this section. Consumes every packet, accepted or
 * not; `b.errno` says why some were refused: `ENETDOWN` (not UP), `ENOBUFS` (full), `ENXIO` (its driver failed, or it is
 * going). Each refusal is counted by reason. FreeBSD's `if_output`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifOutput, ifunit, mAlloc } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * await nul.up();
 * const sent = kernel.vnet0.section((s) => ifOutput(s, ifunit(s, nul.name)!, mAlloc(s, 32, 60)));
 * console.log(sent); // 32
 * ```
 * @param flow chooses the output queue; packets of one flow keep their order. A driver with a queue on every CPU ignores it
 * @returns packets that the driver or its queue took; what waits in a queue may still be dropped, when the interface moves or goes
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed or `p` was not looked up in it, `SOFTC_IF_ARGUMENT`
 * when `b` is not a batch of this CPU: nothing is consumed then
 */
export function ifOutput(s: Section, p: AttachedIfp, b: Batch, flow = 0): number {
  const net = netOf(s);
  if (net.stampSeqs[p] !== (s as NetSection).seq) {
    throw new SoftcError("SOFTC_EPOCH_OUTSIDE", `Cannot send through if#${p}`, {
      state: "looked up in another section",
      wanted: "looked up in this one",
    });
  }
  if (!(b instanceof PacketBatch) || b.pool !== net.cpu.pool) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", "Cannot send: not a batch of this CPU", {
      wanted: "a batch of mAlloc or dev.alloc",
    });
  }
  b.compact();
  const n = b.n;
  if (n === 0) return 0;
  const { arena } = net;
  const a = arena.a;
  const at = arena.ifnetAt(p);
  b.errno = ERRNO.OK;
  b.lost = 0;
  if ((get(a, at + IFNET.flags) & IFF.UP) === 0) return refuse(net, p, b, DROP.down, ERRNO.ENETDOWN);
  if (b.csums) settleCsums(net, p, b);
  if (get(a, at + IFNET.taps) !== 0) tapBatch(net, p, b, "out");
  const queues = get(a, at + IFNET.queues);
  const accepted = queues === 0
    ? direct(net, p, b)
    : queued(net, p, at, b, queues === 1 ? 0 : (flow >>> 0) % queues);
  if (net.backlog.length > 0) runBacklog(net);
  return accepted - b.lost;
}

/** Before packets leave through an interface: nothing that was checked elsewhere stays trusted, and what it cannot complete is. */
export function settleCsums(net: Net, p: number, b: PacketBatch): void {
  const { a, plan } = net.arena;
  const capable = (get(a, net.arena.ifnetAt(p) + IFNET.caps) & IFCAP.txcsum) !== 0;
  for (let i = 0; i < b.n; i++) {
    const csum = get(a, plan.mbuf + b.ids[i]! * MBUF.WORDS + MBUF.csum);
    if (csum !== CSUM.whole && !(capable && isPartial(csum))) b.finishCsum(i);
  }
}

/** A driver with a queue on every CPU: the rest of what it does not take is dropped. */
function direct(net: Net, p: AttachedIfp, b: PacketBatch): number {
  const taken = transmit(net, p, b, net.cpu.id);
  if (taken < b.n) drop(net, p, b, taken, DROP.full, ERRNO.ENOBUFS);
  return taken;
}

function queued(net: Net, p: AttachedIfp, at: number, b: PacketBatch, queue: number): number {
  const a = net.arena.a;
  const { cpus } = net.arena.plan.config;
  const me = net.cpu.id;
  const home = get(a, at + IFNET.home);
  const ring = ringAt(get(a, at + IFNET.rings), get(a, at + IFNET.ringSize), cpus, queue, me);
  let done = 0;
  if (home === me && net.cpu.hooks === 0 && !ringWaits(a, ring, net.arena.wasm)) {
    done = transmit(net, p, b, queue);
    if (done === b.n) return done;
    block(net, p, queue);
  }
  done += push(net, p, b, done, ring, home);
  if (done < b.n) drop(net, p, b, done, DROP.full, ERRNO.ENOBUFS);
  b.release();
  return done;
}

/** Puts packets from `from` on into a ring, with the gencnt that the look-up found. */
function push(net: Net, p: AttachedIfp, b: PacketBatch, from: number, ring: number, home: number): number {
  const a = net.arena.a;
  const want = b.n - from;
  const room = ringRoom(a, ring, want, net.arena.wasm);
  const m = want < room ? want : room;
  if (m <= 0) return 0;
  const { pool } = net.cpu;
  pool.handOver(b.ids, from, m, pool.mine, ownerWord(OWNER.ring, p));
  ringPush(a, ring, b.ids, from, m, net.stamps[p]!, net.arena.wasm);
  if (home !== net.cpu.id) net.cpu.ring(home);
  return m;
}

/** Calls the gate and counts; returns how many were accepted. */
function transmit(net: Net, p: number, b: PacketBatch, queue: number): number {
  const gate = net.gates[p];
  if (gate === undefined) return 0;
  const { arena, cpu } = net;
  const f = arena.f;
  const c = arena.ifCountersAt(cpu.id, p);
  const n = b.n;
  const bytes = bytesFrom(net, b, 0);
  const taken = gate.transmit(b, queue);
  cpu.counters.count(WORK.handled, taken);
  if (b.lost > 0) {
    f[c + IFC.oqdrops]! += b.lost;
    f[c + IFC.opackets]! += taken - b.lost;
    return taken;
  }
  f[c + IFC.opackets]! += taken;
  f[c + IFC.obytes]! += taken === n ? bytes : bytes - bytesFrom(net, b, taken);
  return taken;
}

function bytesFrom(net: Net, b: PacketBatch, from: number): number {
  const a = net.arena.a;
  const lengths = net.arena.plan.mbuf + MBUF.len;
  const { ids, n } = b;
  let sum = 0;
  for (let i = from; i < n; i++) {
    const id = ids[i]!;
    if (id >= 0) sum += a[lengths + id * MBUF.WORDS]!;
  }
  return sum;
}

function refuse(net: Net, p: number, b: PacketBatch, reason: Drop, errno: number): number {
  drop(net, p, b, 0, reason, errno);
  return 0;
}

function drop(net: Net, p: number, b: PacketBatch, from: number, reason: Drop, errno: number): void {
  // In front of `from` the driver had them; a driver that took some from behind is not followed there.
  if (b.gone <= from && get(net.arena.a, net.arena.ifnetAt(p) + IFNET.taps) !== 0) {
    tapDrops(net, p, b, from, "out", reason);
  }
  const n = b.endFrom(from, reason, "output (dropped)");
  net.arena.f[net.arena.ifCountersAt(net.cpu.id, p) + IFC.oqdrops]! += n;
  b.errno = errno;
}

function block(net: Net, p: number, queue: number): void {
  for (const q of net.queues) if (q.index === p && q.queue === queue) q.blocked = true;
}

/** Empties the queues that this CPU owns: a source of its pump. */
export function pollQueues(net: Net, budget: number): number {
  let work = 0;
  for (let i = 0; i < net.queues.length; i++) {
    const q = net.queues[i]!;
    for (let k = 0; k < q.rings.length && !q.blocked; k++) work += consume(net, q, q.rings[k]!, budget);
  }
  return work;
}

/** Whether an owned queue has packets that the driver may take. */
export function queuesWait(net: Net): boolean {
  for (const q of net.queues) {
    if (q.blocked) continue;
    for (const ring of q.rings) if (ringWaits(net.arena.a, ring)) return true;
  }
  return false;
}

/** Takes up to `budget` entries of one ring; returns how many left it. */
export function consume(net: Net, q: OwnedQueue, ring: number, budget: number): number {
  const a = net.arena.a;
  if (ringSeemsEmpty(a, ring)) return 0;
  const b = net.borrow(q.index, ENDED.wire);
  const { wasm } = net.arena;
  net.cpu.epoch.enter();
  try {
    const ready = ringReady(a, ring, budget, wasm);
    if (ready <= 0) return 0;
    const gencnt = load(a, net.arena.ifnetAt(q.index) + IFNET.gencnt, wasm);
    const n = ringPeek(a, ring, b.ids, ready < budget ? ready : budget);
    const { pool } = net.cpu;
    pool.handOver(b.ids, 0, n, ownerWord(OWNER.ring, q.index), pool.mine);
    b.n = n;
    let taken = n;
    if (ringStamp(a, ring) !== gencnt) {
      b.endFrom(0, DROP.moved, "output (dropped)");
      net.arena.f[net.arena.ifCountersAt(net.cpu.id, q.index) + IFC.oqdrops]! += n;
    } else if (net.gates[q.index] === undefined) b.endFrom(0, DROP.detached, "output (dropped)");
    else taken = transmit(net, q.index, b, q.queue);
    if (taken < n) {
      pool.handOver(b.ids, taken, n - taken, pool.mine, ownerWord(OWNER.ring, q.index));
      q.blocked = true;
    }
    ringRelease(a, ring, taken, wasm);
    return taken;
  } finally {
    net.cpu.epoch.exit();
    net.giveBack();
    if (net.backlog.length > 0) runBacklog(net);
  }
}

/** Drops what is left in a queue, in any vnet: its owner does this when the interface goes (accounting, not a barrier). */
export function purgeQueue(net: Net, q: OwnedQueue): number {
  const a = net.arena.a;
  const b = net.borrow(q.index);
  let sum = 0;
  for (const ring of q.rings) {
    for (let ready = ringReady(a, ring, 128); ready > 0; ready = ringReady(a, ring, 128)) {
      const n = ringPeek(a, ring, b.ids, Math.min(ready, 128));
      net.cpu.pool.handOver(b.ids, 0, n, ownerWord(OWNER.ring, q.index), net.cpu.pool.mine);
      net.cpu.pool.end(b.ids, 0, n, DROP.purged, "purge");
      ringRelease(a, ring, n);
      sum += n;
    }
  }
  net.arena.f[net.arena.ifCountersAt(net.cpu.id, q.index) + IFC.oqdrops]! += sum;
  net.giveBack();
  q.blocked = false;
  return sum;
}

/** Transmits what waits in a queue now, as far as the driver takes it; what comes meanwhile is not waited for. */
export function flushQueue(net: Net, q: OwnedQueue): number {
  let sum = 0;
  for (const ring of q.rings) {
    for (
      let left = ringReady(net.arena.a, ring, Infinity), n = 1;
      left > 0 && n > 0 && !q.blocked;
      left -= n
    ) {
      sum += n = consume(net, q, ring, Math.min(left, 128));
    }
  }
  return sum;
}

/**
 * Drops only what is stale (another gencnt than the slot's): what a vmove's posted purge does. It ends at the
 * first entry that is not (4): the owner may hear of it when the new vnet sends already.
 */
export function purgeStale(net: Net, q: OwnedQueue): number {
  const { arena, cpu } = net;
  const b = net.borrow(q.index);
  let sum = 0;
  for (const ring of q.rings) {
    for (let ready = ringReady(arena.a, ring, 128); ready > 0; ready = ringReady(arena.a, ring, 128)) {
      const gencnt = load(arena.a, arena.ifnetAt(q.index) + IFNET.gencnt);
      const n = ringPeek(arena.a, ring, b.ids, Math.min(ready, 128));
      if (ringStamp(arena.a, ring) === gencnt) break;
      cpu.pool.handOver(b.ids, 0, n, ownerWord(OWNER.ring, q.index), cpu.pool.mine);
      cpu.pool.end(b.ids, 0, n, DROP.moved, "purge");
      ringRelease(arena.a, ring, n);
      sum += n;
    }
  }
  arena.f[arena.ifCountersAt(cpu.id, q.index) + IFC.oqdrops]! += sum;
  net.giveBack();
  q.blocked = false;
  return sum;
}
