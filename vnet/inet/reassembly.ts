/**
 * Putting IPv4 fragments together (RFC 791 3.2, RFC 1122 3.3.2), on CPU 0.
 *
 * Limits, all enforced: 64 datagrams at a time in a vnet, 128 fragments and 65,535 bytes of each, 30 seconds
 * from the first. What overlaps, contradicts itself or is longer than that is dropped with all that came of
 * its datagram (as RFC 5722 asks of IPv6). A fragment that waits is held and owned; every one ends: `merged`
 * into a datagram, or dropped as `fragment`.
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import type { TimerEntry } from "../../core/doors/clock.ts";
import { MBUF } from "../../core/memory/arena.ts";
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { OWNER, ownerWord } from "../../core/memory/mbuf.ts";
import { AF } from "../../core/net/domain.ts";
import { type Handle, makeHandle } from "../../core/net/handle.ts";
import { type Address, addressAt, wordAt } from "./address.ts";
import { at16, checksum } from "./checksum.ts";
import { ICMP, icmpError } from "./icmp.ts";
import { MF } from "./ip4_send.ts";
import { IPPROTO } from "./layout.ts";
import { sendDatagram } from "./send.ts";
import { KEPT } from "./socket.ts";
import { socketKey } from "./sockets.ts";
import { ETHER } from "./stack.ts";
import type { VnetInet } from "./vnet_inet.ts";

/** The limits. */
export const REASSEMBLY = { datagrams: 64, fragments: 128, bytes: 65535 - 20, ms: 30_000 } as const;

interface Piece {
  readonly id: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

interface Partial {
  readonly key: string;
  readonly pieces: Piece[];
  /** Length of the payload; unknown until the last fragment came. */
  total: number | undefined;
  owner: number;
  timer: TimerEntry;
}

/** A datagram that came in pieces. */
export interface Whole {
  readonly source: Address;
  readonly destination: Address;
  readonly proto: number;
  readonly payload: Uint8Array;
  readonly received: Handle;
  /** Hop limit of its last fragment. */
  readonly ttl: number;
}

/** The fragments that wait in one vnet. */
export class Reassembly {
  readonly #partials = new Map<string, Partial>();

  constructor(readonly v: VnetInet) {}

  /** Datagrams that wait for more. */
  get size(): number {
    return this.#partials.size;
  }

  /** Takes one fragment, which CPU 0 owns; answers how its life ends, or that it is kept. */
  take(id: number): number {
    const { stack: st, net } = this.v.inet;
    const { u8 } = st;
    const ip = st.at(id) + ETHER;
    const header = (u8[ip]! & 15) * 4;
    const field = at16(u8, ip + 6);
    const at = (field & 0x1fff) * 8;
    const len = at16(u8, ip + 2) - header;
    const last = (field & MF) === 0;
    const key = `${wordAt(u8, ip + 12)} ${wordAt(u8, ip + 16)} ${u8[ip + 9]} ${at16(u8, ip + 4)}`;
    let p = this.#partials.get(key);
    // Every fragment but the last fills whole units of 8 bytes.
    if (len <= 0 || (!last && len % 8 !== 0) || at + len > REASSEMBLY.bytes) return this.#refuse(p);
    if (p === undefined) {
      if (this.#partials.size >= REASSEMBLY.datagrams) return DROP.fragment;
      p = this.#open(key, id);
    }
    const overlaps = p.pieces.some((x) => at < x.at + x.bytes.length && x.at < at + len);
    const end = last ? at + len : p.total;
    const beyond = end !== undefined && (at + len > end || p.pieces.some((x) => x.at + x.bytes.length > end));
    const twice = last && p.total !== undefined;
    if (overlaps || beyond || twice || p.pieces.length >= REASSEMBLY.fragments) return this.#refuse(p);
    if (last) p.total = at + len;
    p.pieces.push({ id, at, bytes: u8.slice(ip + header, ip + header + len) });
    if (p.total !== undefined && p.pieces.reduce((n, x) => n + x.bytes.length, 0) === p.total) {
      return this.#complete(p, id, ip, p.total);
    }
    st.handOver(id, net.cpu.pool.mine, p.owner);
    return KEPT;
  }

  #open(key: string, id: number): Partial {
    const { net } = this.v.inet;
    const index = get(net.arena.a, net.cpu.pool.headerAt(id) + MBUF.rcvIndex);
    const p: Partial = {
      key,
      pieces: [],
      total: undefined,
      owner: ownerWord(OWNER.hold, index),
      timer: net.cpu.timers.after(REASSEMBLY.ms, () => this.#expire(p)),
    };
    this.#partials.set(key, p);
    return p;
  }

  #refuse(p: Partial | undefined): number {
    if (p !== undefined) this.#end(p, DROP.fragment);
    return DROP.fragment;
  }

  /** Ends every piece that is held. */
  #end(p: Partial, how: number, but = -1): void {
    this.#partials.delete(p.key);
    p.timer.armed = false;
    const { pool } = this.v.inet.net.cpu;
    for (const { id } of p.pieces) if (id !== but) pool.endOne(id, p.owner, how, "purge");
  }

  /** Time is up: the sender is told when the first fragment is here (RFC 792). */
  #expire(p: Partial): void {
    const { inet } = this.v;
    const first = p.pieces.find((x) => x.at === 0);
    if (first !== undefined) inet.inSection(this.v, (st) => icmpError(st, first.id, ICMP.timeExceeded, 1));
    this.#end(p, DROP.fragment);
  }

  #complete(p: Partial, id: number, ip: number, total: number): number {
    const { net, stack } = this.v.inet;
    const { u8 } = stack;
    const payload = new Uint8Array(total);
    for (const x of p.pieces) payload.set(x.bytes, x.at);
    const h = net.cpu.pool.headerAt(id);
    const whole: Whole = {
      source: addressAt(u8, ip + 12, AF.inet),
      destination: addressAt(u8, ip + 16, AF.inet),
      proto: u8[ip + 9]!,
      payload,
      ttl: u8[ip + 8]!,
      received: makeHandle(get(net.arena.a, h + MBUF.rcvGen), get(net.arena.a, h + MBUF.rcvIndex)),
    };
    this.#end(p, ENDED.merged, id);
    // The datagram's life goes on in its last fragment.
    return this.#deliver(whole);
  }

  #deliver(w: Whole): number {
    if (w.proto === IPPROTO.icmp) return this.#icmp(w);
    if (w.proto !== IPPROTO.udp) return DROP.noproto;
    const b = w.payload;
    const len = at16(b, 4);
    if (b.length < 8 || len < 8 || len > b.length) return DROP.malformed;
    const sum = IPPROTO.udp + len +
      [w.source[0], w.destination[0]].reduce((n, x) => n + (x >>> 16) + (x & 0xffff), 0);
    if (at16(b, 6) !== 0 && checksum(b, 0, len, sum) !== 0) return DROP.checksum;
    const key = socketKey(IPPROTO.udp, at16(b, 2));
    const any = (x: Address): boolean => x.every((n) => n === 0);
    const to = this.v.sockets.find((s) =>
      s.key === key && s.family === AF.inet && (any(s.laddr) || s.laddr[0] === w.destination[0]) &&
      (s.rport === 0 || s.rport === at16(b, 0)) && (any(s.raddr) || s.raddr[0] === w.source[0])
    );
    if (to?.whole === undefined) return DROP.nosocket;
    to.whole(w);
    return ENDED.delivered;
  }

  #icmp(w: Whole): number {
    const b = w.payload;
    if (b.length < 8 || checksum(b, 0, b.length) !== 0) return DROP.checksum;
    if (b[0] === ICMP.echoReply) {
      const key = socketKey(IPPROTO.icmp, at16(b, 4));
      const to = this.v.sockets.find((s) => s.key === key && s.family === AF.inet);
      if (to?.whole === undefined) return DROP.nosocket;
      to.whole(w);
      return ENDED.delivered;
    }
    if (b[0] !== ICMP.echo) return DROP.nosocket;
    b[0] = ICMP.echoReply;
    this.v.inet.inSection(this.v, (st) =>
      sendDatagram(st, {
        family: AF.inet,
        destination: w.source,
        source: w.destination,
        proto: IPPROTO.icmp,
        ttl: 64,
        dontFragment: false,
        via: undefined,
        broadcast: false,
        payload: b,
        ident: this.v.nextIdent(),
      }));
    return ENDED.delivered;
  }

  /** The vnet goes. */
  close(): void {
    for (const p of [...this.#partials.values()]) this.#end(p, DROP.fragment);
  }
}
