/**
 * What CPU 0 sends: a datagram of a socket or a reply to one that came in pieces. Cut into fragments where it
 * must be (RFC 791 3.2, RFC 8200 4.5), refused where it may not ("don't fragment").
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { BORN } from "../../core/memory/counters.ts";
import { partialCsum } from "../../core/memory/csum.ts";
import { AF } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { type Address, putAddress, putWord } from "./address.ts";
import { addressSum, at16, checksum, put16, sealIpv4 } from "./checksum.ts";
import { sourceOn } from "./address_list.ts";
import { ETHER, header4, header6 } from "./headers.ts";
import { DF, MF } from "./ip4_send.ts";
import { IPPROTO, NEXT, RTF } from "./layout.ts";
import type { Stack } from "./stack.ts";

/** Why a datagram was not sent: FreeBSD's errno numbers. */
export const SEND = { ok: 0, tooBig: 40, noAddress: 49, unreachable: 51, noBuffers: 55 } as const;

/** A datagram to send. */
export interface Datagram {
  readonly family: number;
  /** As it stands in tables. */
  readonly destination: Address;
  /** The socket's own address; the route's unless given. */
  readonly source: Address | undefined;
  readonly proto: number;
  readonly ttl: number;
  readonly dontFragment: boolean;
  /** Out of this interface, whatever the routes say. */
  readonly via: AttachedIfp | undefined;
  /** Everything goes to all (with `via`). */
  readonly broadcast: boolean;
  /** The transport header, its checksum to be written, and the data. */
  readonly payload: Uint8Array;
  readonly ident: number;
  /** Largest packet that the way was found to take. */
  readonly pathMtu: number;
}

/** Sends a datagram in the stack's section; 0 or why not. */
export function sendDatagram(st: Stack, d: Datagram): number {
  const [w0, w1, w2, w3] = d.destination;
  if (d.via !== undefined) {
    if (!st.routeVia(d.via, d.family, w0, w1, w2, w3, d.broadcast ? RTF.broadcast : 0)) {
      return SEND.unreachable;
    }
  } else {
    const flags = st.route(d.family, w0, w1, w2, w3);
    if (flags < 0 || (flags & RTF.reject) !== 0) return SEND.unreachable;
  }
  const source = d.source ?? chosen(st, d);
  if (source === undefined) return SEND.noAddress;
  const mtu = Math.min(st.rMtu, d.pathMtu);
  const whole = (d.family === AF.inet ? 20 : 40) + d.payload.length <= mtu;
  if (!whole && d.dontFragment) return SEND.tooBig;
  const partial = seal(d, source, whole);
  const send = d.family === AF.inet ? send4 : send6;
  return send(st, d, source, whole ? Infinity : mtu, partial);
}

/** The route's source address, or one of the interface. */
function chosen(st: Stack, d: Datagram): Address | undefined {
  const { rSource: r, a } = st;
  if (d.via === undefined) return [r[0]!, r[1]!, r[2]!, r[3]!];
  const e = sourceOn(a, st.rData, ...d.destination);
  return e === 0 ? undefined : [get(a, e), get(a, e + 1), get(a, e + 2), get(a, e + 3)];
}

/**
 * Writes the transport checksum. That of a UDP datagram which leaves in one piece stays partial; answers where it
 * lies, counted from the transport header, or -1 when it is whole.
 */
function seal(d: Datagram, source: Address, whole: boolean): number {
  const { payload, proto, family, destination } = d;
  const at = proto === IPPROTO.udp ? 6 : 2;
  const sum = proto === IPPROTO.icmp ? 0 : addressSum(family, source, destination, proto, payload.length);
  if (whole && proto === IPPROTO.udp) {
    put16(payload, at, ~checksum(payload, 0, 0, sum));
    return at;
  }
  put16(payload, at, 0);
  const c = checksum(payload, 0, payload.length, sum);
  put16(payload, at, c === 0 && proto === IPPROTO.udp ? 0xffff : c);
  return -1;
}

/** Sends in pieces that `mtu` holds; whole when that is `Infinity`. */
function send4(st: Stack, d: Datagram, source: Address, mtu: number, partial: number): number {
  const { u8 } = st;
  const { payload } = d;
  const piece = mtu === Infinity ? payload.length : (mtu - 20) & ~7;
  for (let at = 0; at === 0 || at < payload.length; at += piece) {
    const part = payload.subarray(at, at + piece);
    const id = st.alloc(ETHER + 20 + part.length, at === 0 ? BORN.stack : BORN.split);
    if (id < 0) return SEND.noBuffers;
    const ip = st.at(id) + ETHER;
    const more = at + part.length < payload.length ? MF : 0;
    header4(u8, ip, d.proto, 20 + part.length, d.ttl, more | at >> 3 | (d.dontFragment ? DF : 0), d.ident);
    putAddress(u8, ip + 12, AF.inet, source);
    putAddress(u8, ip + 16, AF.inet, d.destination);
    sealIpv4(u8, ip);
    u8.set(part, ip + 20);
    if (partial >= 0) st.setPartial(id, partialCsum(ETHER + 20, partial));
    st.emit(id, AF.inet);
  }
  return SEND.ok;
}

function send6(st: Stack, d: Datagram, source: Address, mtu: number, partial: number): number {
  const { u8 } = st;
  const { payload } = d;
  const whole = mtu === Infinity;
  const header = whole ? 40 : 48;
  const piece = whole ? payload.length : (mtu - header) & ~7;
  for (let at = 0; at === 0 || at < payload.length; at += piece) {
    const part = payload.subarray(at, at + piece);
    const id = st.alloc(ETHER + header + part.length, at === 0 ? BORN.stack : BORN.split);
    if (id < 0) return SEND.noBuffers;
    const ip = st.at(id) + ETHER;
    header6(u8, ip, whole ? d.proto : NEXT.fragment, header - 40 + part.length, d.ttl);
    putAddress(u8, ip + 8, AF.inet6, source);
    putAddress(u8, ip + 24, AF.inet6, d.destination);
    if (!whole) {
      putWord(u8, ip + 40, d.proto << 24 | at | (at + part.length < payload.length ? 1 : 0));
      putWord(u8, ip + 44, d.ident);
    }
    u8.set(part, ip + header);
    if (partial >= 0) st.setPartial(id, partialCsum(ETHER + 40, partial));
    st.emit(id, AF.inet6);
  }
  return SEND.ok;
}

/** A UDP header and data (RFC 768), its checksum still 0. */
export function udpPayload(lport: number, rport: number, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + data.length);
  put16(out, 0, lport);
  put16(out, 2, rport);
  put16(out, 4, out.length);
  out.set(data, 8);
  return out;
}

/** An ICMP echo request with an identifier and a sequence number, its checksum still 0. */
export function echoPayload(family: number, ident: number, seq: number, size: number): Uint8Array {
  const out = new Uint8Array(8 + size);
  out[0] = family === AF.inet ? 8 : 128;
  put16(out, 4, ident);
  put16(out, 6, seq);
  for (let i = 8; i < out.length; i++) out[i] = i & 255;
  return out;
}

/** Source and destination port of a UDP header. */
export function ports(b: Uint8Array, at: number): [number, number] {
  return [at16(b, at), at16(b, at + 2)];
}
