/**
 * The sending half of the IP stack on one CPU: route, resolve, frame, send.
 *
 * A stack works in one section of one vnet at a time, from `begin` to `end`. What it looked up last is kept
 * for the next packet to the same place, never past the section. Packets for one interface leave as a batch.
 *
 * @module
 */
import { add, get, load, set, store } from "../../core/doors/arena.ts";
import { IFNET, MBUF, VNET } from "../../core/memory/arena.ts";
import { BATCH_MAX, type PacketBatch } from "../../core/memory/batch.ts";
import { BORN, DROP, ENDED } from "../../core/memory/counters.ts";
import { completeCsum, CSUM, isPartial } from "../../core/memory/csum.ts";
import { OWNER, ownerWord } from "../../core/memory/mbuf.ts";
import { AF, afdata } from "../../core/net/domain.ts";
import { IFCAP, IFT } from "../../core/net/flags.ts";
import { flowHash } from "../../core/net/flow.ts";
import { makeHandle } from "../../core/net/handle.ts";
import type { Net } from "../../core/net/net.ts";
import { ifOutput } from "../../core/net/output.ts";
import { type AttachedIfp, ifnetByHandle, type NetSection } from "../../core/net/section.ts";
import { tapDropped } from "../../core/net/tap.ts";
import { type Address, isMulticast, putWord, scoped, unscoped, wordAt } from "./address.ts";
import { put16 } from "./checksum.ts";
import { Upper } from "./extensions.ts";
import { AFDATA, ETHERTYPE, LLE, ROUTE, RTF, VINET } from "./layout.ts";
import {
  HELD,
  HOLD_MAX,
  holdPush,
  holdTake,
  ND,
  neighbourClaim,
  neighbourRead,
  NeighbourView,
} from "./neighbour.ts";
import { routeLookup } from "./routes.ts";
import { solicit } from "./solicit.ts";

const SITE = "input (delivered or dropped)" as const;
/** Word offset of the tag that says which neighbour a held packet is for: on its way out it has no use for the word. */
const TAG = MBUF.rcvGen;

/** Checksum word of a packet that the stack sent to itself; beside those of CSUM. */
const LOOPED = 2;

/** What happened that CPU 0 must hear: an address is somebody else's too. */
export const NOTE = { duplicate: 1 } as const;
/** Tells CPU 0. */
export type Notify = (kind: number, index: number, id: number) => void;

/** The stack of one CPU. */
export class Stack {
  readonly net: Net;
  readonly a: Int32Array;
  readonly u8: Uint8Array;
  readonly notify: Notify;
  s!: NetSection;
  /** The vnet's words. */
  vnetAt = 0;
  /** The last route: what was looked up, and what was found. */
  rFlags = -1;
  rIf = 0 as AttachedIfp;
  rData = 0;
  rMtu = 0;
  readonly rSource = new Int32Array(4);
  readonly #key = new Int32Array(4);
  #family = -1;
  readonly #hop = new Int32Array(4);
  readonly #view = new NeighbourView();
  #resolved = false;
  #out!: PacketBatch;
  /** Where the batch that is being gathered goes: an interface, how many queues it chooses from, and the flow. */
  #outIf = 0;
  #outQueues = 0;
  #outFlow = 0;
  readonly #one = new Int32Array(1);
  /** What the last walk through extension headers found. */
  readonly upper = new Upper();
  readonly #held = new Int32Array(HOLD_MAX + 1);
  /** ICMP errors that may be sent now (RFC 1812 4.3.2.8, RFC 4443 2.4 f), and when that was counted. */
  #tokens = ERROR_BURST;
  #tokensAt = 0;

  constructor(net: Net, notify: Notify) {
    this.net = net;
    this.a = net.arena.a;
    this.u8 = net.arena.u8;
    this.notify = notify;
  }

  /** Starts work in an open section of a vnet. */
  begin(s: NetSection, vnetId: number): void {
    const { arena } = this.net;
    this.s = s;
    this.vnetAt = arena.vnetAt(vnetId % arena.plan.config.vnets) + VNET.inet;
    this.#family = -1;
    this.#out = this.net.borrow(0);
    this.#outIf = 0;
    this.#outQueues = 0;
  }

  /** Sends what is gathered. Before the section ends. */
  end(): void {
    this.flush();
    this.net.giveBack();
  }

  /** Sends the batch that is being gathered. */
  flush(): void {
    const out = this.#out;
    if (out.n > 0) ifOutput(this.s, this.#outIf as AttachedIfp, out, this.#outFlow);
    out.reset(0, DROP.driver, "freeAll");
  }

  /** Byte offset of a packet. */
  at(id: number): number {
    const { pool } = this.net.cpu;
    return pool.clusterAt(id) + get(this.a, pool.headerAt(id) + MBUF.off);
  }

  /** Length of a packet. */
  len(id: number): number {
    return get(this.a, this.net.cpu.pool.headerAt(id) + MBUF.len);
  }

  /** Sets the length of a packet. */
  setLen(id: number, len: number): void {
    set(this.a, this.net.cpu.pool.headerAt(id) + MBUF.len, len);
  }

  /** Begins a packet of `len` bytes; -1 when mbufs run out. */
  alloc(len: number, born: number = BORN.stack): number {
    return this.net.cpu.pool.alloc(this.#one, 0, 1, born, len) === 1 ? this.#one[0]! : -1;
  }

  /** Drops a packet for a reason. */
  drop(id: number, reason: number): void {
    tapDropped(this.net, id, reason);
    this.#end(id, reason);
  }

  /** Ends a packet that a handler of the vnet took. */
  delivered(id: number): void {
    this.#end(id, ENDED.delivered);
  }

  #end(id: number, ended: number): void {
    this.#one[0] = id;
    this.net.cpu.pool.end(this.#one, 0, 1, ended, SITE);
  }

  /** The packet's life ends and another begins in the same buffer: a reply. */
  reborn(): void {
    const { counters } = this.net.cpu;
    counters.count(ENDED.delivered, 1);
    counters.count(BORN.stack, 1);
  }

  /** Whether the stack sent the packet to itself; asked once. */
  looped(id: number): boolean {
    const word = this.net.cpu.pool.headerAt(id) + MBUF.csum;
    if (get(this.a, word) !== LOOPED) return false;
    set(this.a, word, CSUM.whole);
    return true;
  }

  /** Whether the transport checksum of a received packet need not be checked: it was, or it was never on a wire. */
  trusted(id: number): boolean {
    return get(this.a, this.net.cpu.pool.headerAt(id) + MBUF.csum) !== CSUM.whole;
  }

  /** Says that the transport checksum of a packet is partial. */
  setPartial(id: number, csum: number): void {
    set(this.a, this.net.cpu.pool.headerAt(id) + MBUF.csum, csum);
  }

  /** Completes a partial checksum: before anybody looks at it, copies it or cuts the packet. */
  finish(id: number): void {
    const word = this.net.cpu.pool.headerAt(id) + MBUF.csum;
    const csum = get(this.a, word);
    if (csum === CSUM.whole) return;
    if (isPartial(csum)) completeCsum(this.u8, this.at(id), this.len(id), csum);
    set(this.a, word, CSUM.whole);
  }

  /** Passes a packet of this CPU to another owner, or back. */
  handOver(id: number, before: number, after: number): void {
    this.#one[0] = id;
    this.net.cpu.pool.handOver(this.#one, 0, 1, before, after);
  }

  /** A list of one packet, until the next call of any method. */
  single(id: number): Int32Array {
    this.#one[0] = id;
    return this.#one;
  }

  /** One word of the vnet. */
  vnetWord(word: number): number {
    return load(this.a, this.vnetAt + word);
  }

  /** Whether packets of a family are forwarded. */
  forwards(family: number): boolean {
    return (this.vnetWord(VINET.forwarding) & 1 << family) !== 0;
  }

  /**
   * Finds the way to an address; fills `rFlags` (-1 = none), `rIf`, `rData`, `rMtu`, `rSource`. Addresses are
   * as they stand in tables. A route through an interface that is gone, or in another vnet, is no route (R03).
   */
  route(family: number, w0: number, w1: number, w2: number, w3: number): number {
    const key = this.#key;
    if (this.#family === family && key[3] === w3 && key[0] === w0 && key[1] === w1 && key[2] === w2) {
      return this.rFlags;
    }
    this.#family = family;
    key[0] = w0;
    key[1] = w1;
    key[2] = w2;
    key[3] = w3;
    this.#resolved = false;
    const { a } = this;
    const t = load(a, this.vnetAt + VINET.routes + family);
    const e = t === 0 ? 0 : routeLookup(a, t, w0, w1, w2, w3);
    if (e === 0) return this.rFlags = -1;
    const flags = get(a, e + ROUTE.flags);
    if ((flags & RTF.reject) !== 0) return this.rFlags = flags;
    const p = ifnetByHandle(this.s, makeHandle(get(a, e + ROUTE.gencnt), get(a, e + ROUTE.index)));
    // Read once, valid to the section's end (R01, R02).
    const data = p === undefined ? 0 : afdata(this.s, p, family);
    if (p === undefined || data === 0) return this.rFlags = -1;
    this.rIf = p;
    this.rData = data;
    this.rMtu = get(a, data + AFDATA.mtu);
    const hop = (flags & RTF.gateway) !== 0 ? e + ROUTE.gateway : -1;
    for (let i = 0; i < 4; i++) {
      this.#hop[i] = hop < 0 ? key[i]! : get(a, hop + i);
      this.rSource[i] = get(a, e + ROUTE.source + i);
    }
    return this.rFlags = flags;
  }

  /** The way is a given interface, whatever the tables say: link-local groups, neighbour messages, broadcast. */
  routeVia(
    p: AttachedIfp,
    family: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    flags = 0,
  ): boolean {
    const data = afdata(this.s, p, family);
    this.#family = -1;
    if (data === 0) return false;
    this.rIf = p;
    this.rData = data;
    this.rMtu = get(this.a, data + AFDATA.mtu);
    this.rFlags = flags;
    this.#resolved = false;
    const hop = this.#hop;
    hop[0] = w0;
    hop[1] = w1;
    hop[2] = w2;
    hop[3] = w3;
    return true;
  }

  /**
   * Frames a packet and sends it the way that was found. Consumes it. Its IP header is complete; a transport
   * checksum may be partial, and is completed here unless the interface does it (FreeBSD's in_delayed_cksum).
   */
  emit(id: number, family: number): void {
    const { a, u8, rIf } = this;
    const at = this.at(id);
    const slot = this.net.arena.ifnetAt(rIf);
    const csum = get(a, this.net.cpu.pool.headerAt(id) + MBUF.csum);
    if (csum !== CSUM.whole && !(isPartial(csum) && this.#completes(slot))) this.finish(id);
    put16(u8, at + 12, family === AF.inet ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6);
    if ((this.rFlags & RTF.local) !== 0) return this.#loop(id, at, slot);
    const hop = this.#hop;
    if (get(a, slot + IFNET.type) === IFT.loop) {
      u8.fill(0, at, at + 12);
      return this.send(id, rIf);
    }
    this.putSource(at, slot);
    if ((this.rFlags & RTF.broadcast) !== 0) u8.fill(255, at, at + 6);
    else if (isMulticast(family, hop[0]!)) this.#groupMac(at, family);
    else if (this.#resolved || this.#resolve(family)) this.putMac(at, this.#view.macHigh, this.#view.macLow);
    else return this.#hold(id, family);
    this.send(id, rIf);
  }

  /** Whether the way that was found leads through a driver that completes partial checksums. */
  #completes(slot: number): boolean {
    return (this.rFlags & RTF.local) === 0 && (get(this.a, slot + IFNET.caps) & IFCAP.txcsum) !== 0;
  }

  /** Adds a framed packet to the batch for an interface that was looked up in this section, and one of its queues. */
  send(id: number, p: AttachedIfp): void {
    const out = this.#out;
    if (this.#outIf !== p || out.n === BATCH_MAX) {
      this.flush();
      this.#outIf = p;
      this.#outQueues = get(this.a, this.net.arena.ifnetAt(p) + IFNET.queues);
      this.#outFlow = 0;
    }
    if (this.#outQueues > 1) {
      const flow = flowHash(this.net.arena, id) % this.#outQueues;
      if (flow !== this.#outFlow) this.flush();
      this.#outFlow = flow;
    }
    out.ids[out.n++] = id;
  }

  /** Writes the interface's own address as the frame's source. */
  putSource(at: number, slot: number): void {
    const high = get(this.a, slot + IFNET.macHigh);
    put16(this.u8, at + 6, high);
    putWord(this.u8, at + 8, get(this.a, slot + IFNET.macLow));
  }

  /** Writes the frame's destination. */
  putMac(at: number, high: number, low: number): void {
    put16(this.u8, at, high);
    putWord(this.u8, at + 2, low);
  }

  /** The frame's address of a group (RFC 1112 6.4, RFC 2464 7). */
  #groupMac(at: number, family: number): void {
    const low = this.#hop[family === AF.inet ? 0 : 3]!;
    if (family === AF.inet) this.putMac(at, 0x0100, 0x5e000000 | low & 0x7fffff);
    else this.putMac(at, 0x3333, low);
  }

  /** To itself: the packet goes on as received on the interface that has the address, when this call has returned. */
  #loop(id: number, at: number, slot: number): void {
    const h = this.net.cpu.pool.headerAt(id);
    // The interface's own address, so that the check of the frame's destination lets it in.
    this.putMac(at, get(this.a, slot + IFNET.macHigh), get(this.a, slot + IFNET.macLow));
    this.putSource(at, slot);
    set(this.a, h + MBUF.csum, LOOPED);
    set(this.a, h + MBUF.rcvIndex, this.rIf);
    set(this.a, h + MBUF.rcvGen, load(this.a, slot + IFNET.gencnt));
    const b = this.net.borrow(0);
    b.ids[0] = id;
    b.n = 1;
    this.net.backlog.push(b);
    this.net.giveBack();
  }

  #resolve(_family: number): boolean {
    const t = load(this.a, this.rData + AFDATA.neigh);
    if (t === 0) return false;
    const hop = this.#hop;
    const e = neighbourRead(this.a, t, hop[0]!, hop[1]!, hop[2]!, hop[3]!, this.#view);
    if (e === 0 || this.#view.state <= ND.incomplete) return false;
    // CPU 0 asks a stale neighbour again once somebody uses it (RFC 4861 7.3.3).
    if (this.#view.state === ND.stale) store(this.a, e + USED, 1);
    return this.#resolved = true;
  }

  /** Parks a packet until its neighbour answers; asks when nobody did (neighbour.ts, 4 and 5). */
  #hold(id: number, family: number): void {
    const { a, rIf } = this;
    const { pool } = this.net.cpu;
    const t = load(a, this.rData + AFDATA.neigh);
    const [w0, w1, w2, w3] = this.#hop as unknown as Address;
    const claimed = t === 0 ? 0 : neighbourClaim(a, t, w0, w1, w2, w3);
    if (claimed === 0) return this.drop(id, DROP.unresolved);
    const e = Math.abs(claimed);
    const owner = ownerWord(OWNER.hold, rIf);
    const h = pool.headerAt(id);
    set(a, h + TAG, tagOf(w0, w1, w2, w3));
    this.handOver(id, pool.mine, owner);
    if (holdPush(a, e, id, h + MBUF.flow) !== HELD) {
      this.handOver(id, owner, pool.mine);
      return this.drop(id, DROP.unresolved);
    }
    if (claimed < 0) solicit(this, rIf, family, w0, w1, w2, w3);
    else if (neighbourRead(a, t, w0, w1, w2, w3, this.#view) === e && this.#view.state > ND.incomplete) {
      this.sendHeld(rIf, e, w0, w1, w2, w3, this.#view.macHigh, this.#view.macLow);
    }
  }

  /** Sends what waited for a neighbour. What is in its queue for another (an entry reused meanwhile) is dropped. */
  sendHeld(
    p: AttachedIfp,
    e: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
    high: number,
    low: number,
  ): void {
    const { a } = this;
    const { pool } = this.net.cpu;
    const tag = tagOf(w0, w1, w2, w3);
    const held = this.#held;
    const n = holdTake(a, e, held, (id) => pool.headerAt(id) + MBUF.flow);
    if (n > 0) pool.handOver(held, 0, n, ownerWord(OWNER.hold, p), pool.mine);
    for (let i = 0; i < n; i++) {
      const id = held[i]!;
      const h = pool.headerAt(id);
      const mine = get(a, h + TAG) === tag;
      set(a, h + TAG, 0);
      if (!mine) {
        this.drop(id, DROP.unresolved);
        continue;
      }
      this.putMac(this.at(id), high, low);
      this.send(id, p);
    }
  }

  /** Drops what waits behind an entry; `each` may look at a packet first. Returns how many. CPU 0. */
  dropHeld(index: number, e: number, reason: number, close: boolean, each?: (id: number) => void): number {
    const { pool } = this.net.cpu;
    const ids = new Int32Array(HOLD_MAX + 1);
    const n = holdTake(this.a, e, ids, (id) => pool.headerAt(id) + MBUF.flow, close);
    if (n === 0) return 0;
    pool.handOver(ids, 0, n, ownerWord(OWNER.hold, index), pool.mine);
    if (each !== undefined) { for (let i = 0; i < n; i++) each(ids[i]!); }
    for (let i = 0; i < n; i++) set(this.a, pool.headerAt(ids[i]!) + TAG, 0);
    pool.end(ids, 0, n, reason, "purge");
    return n;
  }

  /** Writes the source address that the route found asks for. */
  putRouteSource(at: number, family: number): void {
    putWord(this.u8, at, family === AF.inet ? this.rSource[0]! : unscoped(this.rSource[0]!));
    if (family === AF.inet6) { for (let i = 1; i < 4; i++) putWord(this.u8, at + 4 * i, this.rSource[i]!); }
  }

  /** Finds the way to the IPv6 address at `at`, which was seen on (or goes out of) interface `index`. */
  route6(at: number, index: number): number {
    const { u8 } = this;
    return this.route(
      AF.inet6,
      scoped(wordAt(u8, at), index),
      wordAt(u8, at + 4),
      wordAt(u8, at + 8),
      wordAt(u8, at + 12),
    );
  }

  /** Whether one more ICMP error may be sent now. */
  mayError(): boolean {
    const now = this.net.cpu.clock.now();
    this.#tokens = Math.min(ERROR_BURST, this.#tokens + (now - this.#tokensAt) * ERRORS_PER_MS);
    this.#tokensAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Adds to a shared counter word. */
  count(word: number): void {
    add(this.a, word, 1);
  }
}

const USED = LLE.used;
/** ICMP errors of a family per CPU: 1,000 per second, 100 at once. */
const ERROR_BURST = 100;
const ERRORS_PER_MS = 1;

function tagOf(w0: number, w1: number, w2: number, w3: number): number {
  return w0 ^ Math.imul(w1, 3) ^ Math.imul(w2, 5) ^ w3;
}
