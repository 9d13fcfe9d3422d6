/**
 * Putting fragments together, on CPU 0: IPv4 (RFC 791 3.2, RFC 1122 3.3.2) and IPv6 (RFC 8200 4.5).
 *
 * Limits, all enforced: in a vnet 64 datagrams and 1,024 fragments at a time, 128 fragments and 65,535 bytes of
 * each datagram, 30 seconds from the first (IPv6: 60). What overlaps, contradicts itself or is longer than that is
 * dropped with all that came of its datagram (RFC 5722, for both families). A fragment that waits is held and
 * owned; every one ends: `merged` into a datagram, or dropped as `fragment`.
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
import type { AttachedIfp } from "../../core/net/section.ts";
import { type Address, addressAt, wordAt } from "./address.ts";
import { at16 } from "./checksum.ts";
import { PROBLEM, walk } from "./extensions.ts";
import { ETHER } from "./headers.ts";
import { ICMP, ICMP6, icmp6Error, icmpError } from "./icmp.ts";
import { MF } from "./ip4_send.ts";
import { KEPT } from "./socket.ts";
import type { Stack } from "./stack.ts";
import type { VnetInet } from "./vnet_inet.ts";
import { deliverWhole } from "./whole.ts";

/** The limits; milliseconds by family. */
export const REASSEMBLY = {
  datagrams: 64,
  fragments: 128,
  held: 1024,
  bytes: 65535,
  ms: [30_000, 60_000],
} as const;

/** One fragment: what is fragmented, and where in the datagram and in the packet its part lies. */
interface Piece {
  readonly id: number;
  readonly proto: number;
  readonly at: number;
  readonly from: number;
  readonly len: number;
  readonly last: boolean;
}

interface Partial {
  readonly key: string;
  readonly family: number;
  readonly pieces: Piece[];
  /** Length of the payload; unknown until the last fragment came. */
  total: number | undefined;
  readonly received: Handle;
  readonly owner: number;
  readonly timer: TimerEntry;
}

/** A datagram that came in pieces. */
export interface Whole {
  readonly family: number;
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
  #held = 0;

  constructor(readonly v: VnetInet) {}

  /** Datagrams that wait for more. */
  get size(): number {
    return this.#partials.size;
  }

  /** Takes one fragment, which CPU 0 owns; answers how its life ends, or that it is kept. */
  take(id: number, family: number): number {
    const { stack: st, net } = this.v.inet;
    const { u8 } = st;
    const ip = st.at(id) + ETHER;
    const four = family === AF.inet;
    const x = four ? piece4(u8, id, ip) : this.#piece6(id, ip);
    const addresses = four ? 2 : 8;
    let key = four ? `4 ${x.proto} ${at16(u8, ip + 4)}` : `6 ${wordAt(u8, x.from - 4)}`;
    for (let i = 0; i < addresses; i++) key += ` ${wordAt(u8, ip + (four ? 12 : 8) + 4 * i)}`;
    let p = this.#partials.get(key);
    // Every fragment but the last fills whole units of 8 bytes.
    if (!x.last && x.len % 8 !== 0) this.#problem(id, family, 4);
    else if (x.at + x.len > REASSEMBLY.bytes - (four ? 20 : 0)) this.#problem(id, family, x.from - 6 - ip);
    else if (x.len > 0) {
      if (p === undefined) {
        if (this.#partials.size >= REASSEMBLY.datagrams) return DROP.fragment;
        p = this.#open(key, id, family);
      }
      const end = x.last ? x.at + x.len : p.total;
      const fits = p.pieces.every((y) => x.at >= y.at + y.len || y.at >= x.at + x.len) &&
        (end === undefined || (x.at + x.len <= end && p.pieces.every((y) => y.at + y.len <= end))) &&
        !(x.last && p.total !== undefined) && p.pieces.length < REASSEMBLY.fragments &&
        this.#held < REASSEMBLY.held;
      if (fits) {
        p.total = end;
        p.pieces.push(x);
        st.handOver(id, net.cpu.pool.mine, p.owner);
        this.#held++;
        if (p.pieces.reduce((n, y) => n + y.len, 0) === end) this.#complete(p, id, ip);
        return KEPT;
      }
    }
    if (p !== undefined) this.#end(p, DROP.fragment);
    return DROP.fragment;
  }

  /** A fragment of IPv6. The first one must say all that is not data (RFC 7112). */
  #piece6(id: number, ip: number): Piece {
    const { u8, upper } = this.v.inet.stack;
    const end = ip + 40 + at16(u8, ip + 4);
    walk(u8, u8[ip + 6]!, ip + 40, ip + 6, end, upper);
    const header = upper.at;
    const field = at16(u8, header + 2);
    const proto = u8[header]!;
    const from = header + 8;
    const x = { id, proto, at: field & 0xfff8, from, len: end - from, last: (field & 1) === 0 };
    if (x.at > 0 || (walk(u8, proto, from, header, end, upper) === 0 && upper.at < end)) return x;
    this.#problem(id, AF.inet6, 0, PROBLEM.chain);
    return { ...x, len: 0 };
  }

  /** IPv6 tells the source what is wrong with a fragment; IPv4 does not. `field` counts from the header. */
  #problem(id: number, family: number, field: number, code: number = PROBLEM.field): void {
    if (family === AF.inet) return;
    this.#inSection(id, family, (st, p) => icmp6Error(st, id, p, ICMP6.parameter, code, field));
  }

  /** Runs `fn` with the interface that a packet came in on, if that is still there. */
  #inSection(id: number, family: number, fn: (st: Stack, p: AttachedIfp) => void): void {
    const { inet } = this.v;
    const on = inet.receivedOn(id, family);
    if (on === undefined) return;
    inet.inSection(this.v, (st) => {
      const p = inet.ifp(st, on);
      if (p !== undefined) fn(st, p);
    });
  }

  #open(key: string, id: number, family: number): Partial {
    const { net } = this.v.inet;
    const h = net.cpu.pool.headerAt(id);
    const index = get(net.arena.a, h + MBUF.rcvIndex);
    const p: Partial = {
      key,
      family,
      pieces: [],
      total: undefined,
      received: makeHandle(get(net.arena.a, h + MBUF.rcvGen), index),
      owner: ownerWord(OWNER.hold, index),
      timer: net.cpu.timers.after(REASSEMBLY.ms[family]!, () => this.#expire(p)),
    };
    this.#partials.set(key, p);
    return p;
  }

  /** Ends every piece that is held; one of them may end otherwise: the datagram's life goes on in it. */
  #end(p: Partial, how: number, id = -1, other = how): void {
    this.#partials.delete(p.key);
    p.timer.armed = false;
    this.#held -= p.pieces.length;
    const { pool } = this.v.inet.net.cpu;
    for (const x of p.pieces) pool.endOne(x.id, p.owner, x.id === id ? other : how, "purge");
  }

  /** Time is up: the sender is told when the first fragment is here (RFC 792, RFC 8200 4.5). */
  #expire(p: Partial): void {
    const first = p.pieces.find((x) => x.at === 0);
    if (first !== undefined) {
      this.#inSection(first.id, p.family, (st, ifp) => {
        if (p.family === AF.inet) icmpError(st, first.id, ICMP.timeExceeded, 1);
        else icmp6Error(st, first.id, ifp, ICMP6.timeExceeded, 1);
      });
    }
    this.#end(p, DROP.fragment);
  }

  #complete(p: Partial, id: number, ip: number): void {
    const { u8 } = this.v.inet.stack;
    const payload = new Uint8Array(p.total!);
    for (const x of p.pieces) payload.set(u8.subarray(x.from, x.from + x.len), x.at);
    const four = p.family === AF.inet;
    const first = p.pieces.find((x) => x.at === 0)!;
    const how = deliverWhole(this.v, {
      family: p.family,
      source: addressAt(u8, ip + (four ? 12 : 8), p.family),
      destination: addressAt(u8, ip + (four ? 16 : 24), p.family),
      proto: first.proto,
      payload,
      ttl: u8[ip + (four ? 8 : 7)]!,
      received: p.received,
    }, first.id);
    this.#end(p, ENDED.merged, id, how);
  }

  /** The vnet goes. */
  close(): void {
    for (const p of [...this.#partials.values()]) this.#end(p, DROP.fragment);
  }
}

function piece4(u8: Uint8Array, id: number, ip: number): Piece {
  const header = (u8[ip]! & 15) * 4;
  const field = at16(u8, ip + 6);
  return {
    id,
    proto: u8[ip + 9]!,
    at: (field & 0x1fff) * 8,
    from: ip + header,
    len: at16(u8, ip + 2) - header,
    last: (field & MF) === 0,
  };
}
