/**
 * ICMP (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3) and ICMPv6 (RFC 4443): echo, and errors.
 *
 * An error is never sent about an error, about a packet to a group or a broadcast (but "packet too big"),
 * about a fragment that is not the first, or to a source that is no single host. Errors of a family are limited per CPU.
 *
 * @module
 */
import { DROP } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import {
  type Address,
  addressAt,
  isLinkLocal,
  isMulticast,
  putAddress,
  putWord,
  scopedAt,
  wordAt,
} from "./address.ts";
import { arenaChecksum, at16, checksum, pseudoSum, put16, sealIpv4 } from "./checksum.ts";
import { walk } from "./extensions.ts";
import { ETHER, header4, sealIcmp6 } from "./headers.ts";
import { ARRIVAL, IPPROTO, NEXT } from "./layout.ts";
import { send4 } from "./ip4_send.ts";
import { ndInput } from "./nd.ts";
import { controlPush, socketInput, socketKey } from "./sockets.ts";
import { newIcmp6 } from "./solicit.ts";
import type { Stack } from "./stack.ts";

/** ICMP types and codes (IANA). */
export const ICMP = {
  echoReply: 0,
  unreachable: 3,
  echo: 8,
  timeExceeded: 11,
  parameter: 12,
} as const;
/** Codes of "unreachable". */
export const UNREACH = { net: 0, host: 1, protocol: 2, port: 3, needFragment: 4 } as const;
/** ICMPv6 types. */
export const ICMP6 = {
  unreachable: 1,
  tooBig: 2,
  timeExceeded: 3,
  parameter: 4,
  echo: 128,
  echoReply: 129,
} as const;
/** Codes of ICMPv6 "unreachable". */
export const UNREACH6 = { noRoute: 0, admin: 1, scope: 2, address: 3, port: 4 } as const;

/** Bytes of the packet that an ICMP error quotes at most: 576 in all (RFC 1812 4.3.2.3). */
const QUOTE4 = 576 - 28;
/** The same for IPv6: the minimum MTU in all (RFC 4443 2.4 c). */
const QUOTE6 = 1280 - 48;

/** An ICMP message to an address of this vnet. `ip` and `body` are offsets. Consumes the packet. */
export function icmpInput(
  st: Stack,
  id: number,
  p: AttachedIfp,
  ip: number,
  body: number,
  group: boolean,
): void {
  const { u8 } = st;
  const len = ip + at16(u8, ip + 2) - body;
  if (len < 8) return st.drop(id, DROP.malformed);
  st.finish(id);
  if (arenaChecksum(st.net.arena, body, len) !== 0) return st.drop(id, DROP.checksum);
  switch (u8[body]!) {
    case ICMP.echo:
      // A broadcast ping is not answered (RFC 1122 3.2.2.6).
      return group ? st.drop(id, DROP.filtered) : echoReply(st, id, ip, body, len);
    case ICMP.echoReply:
      return answered(st, id, p, AF.inet, ip, body);
    case ICMP.unreachable:
    case ICMP.timeExceeded:
    case ICMP.parameter:
      return aboutOurs(st, id, body + 8, len - 8);
    default:
      return st.drop(id, DROP.noproto);
  }
}

/** An echo reply, to who asked. */
function answered(st: Stack, id: number, p: number, family: number, ip: number, body: number): void {
  const { u8 } = st;
  const six = family === AF.inet6;
  const key = socketKey(six ? IPPROTO.icmp6 : IPPROTO.icmp, at16(u8, body + 4));
  const remote = addressOf(u8, ip + (six ? 8 : 12), family, p);
  const local = addressOf(u8, ip + (six ? 24 : 16), family, p);
  if (!socketInput(st, id, family, key, local, remote, 0, false)) st.drop(id, DROP.nosocket);
}

/** An address of the packet as it stands in tables. */
function addressOf(u8: Uint8Array, at: number, family: number, p: number): Address {
  return family === AF.inet6 ? scopedAt(u8, at, p) : addressAt(u8, at, family);
}

/** The request's life ends, the reply's begins in its buffer. */
function echoReply(st: Stack, id: number, ip: number, body: number, len: number): void {
  const { u8 } = st;
  const from = wordAt(u8, ip + 12);
  putWord(u8, ip + 12, wordAt(u8, ip + 16));
  putWord(u8, ip + 16, from);
  u8[ip + 8] = 64;
  put16(u8, ip + 6, 0);
  sealIpv4(u8, ip);
  u8[body] = ICMP.echoReply;
  put16(u8, body + 2, 0);
  put16(u8, body + 2, arenaChecksum(st.net.arena, body, len));
  st.reborn();
  if (st.route(AF.inet, from, 0, 0, 0) < 0) return st.drop(id, DROP.noroute);
  send4(st, id);
}

/** An error about something that a socket of ours sent: the quoted packet says which. */
function aboutOurs(st: Stack, id: number, quoted: number, len: number): void {
  const { u8 } = st;
  if (len < 28 || u8[quoted]! >> 4 !== 4) return st.drop(id, DROP.malformed);
  const header = (u8[quoted]! & 15) * 4;
  if (header < 20 || header + 8 > len) return st.drop(id, DROP.malformed);
  quotedToSocket(st, id, 0, AF.inet, u8[quoted + 9]!, quoted + header, quoted + 12, quoted + 16);
}

/** The same for IPv6; what was quoted may be the first fragment of what was sent. */
function aboutOurs6(st: Stack, id: number, p: number, quoted: number, end: number): void {
  const { u8, upper } = st;
  if (end - quoted < 48 || u8[quoted]! >> 4 !== 6) return st.drop(id, DROP.malformed);
  let bad = walk(u8, u8[quoted + 6]!, quoted + 40, quoted + 6, end, upper);
  if (bad === 0 && upper.proto === NEXT.fragment && at16(u8, upper.at + 2) >> 3 === 0) {
    bad = walk(u8, u8[upper.at]!, upper.at + 8, upper.at, end, upper);
  }
  if (bad !== 0 || upper.at + 8 > end) return st.drop(id, DROP.malformed);
  quotedToSocket(st, id, p, AF.inet6, upper.proto, upper.at, quoted + 8, quoted + 24);
}

function quotedToSocket(
  st: Stack,
  id: number,
  p: number,
  family: number,
  proto: number,
  transport: number,
  source: number,
  destination: number,
): void {
  const { u8 } = st;
  const echo = proto === IPPROTO.icmp || proto === IPPROTO.icmp6;
  const port = at16(u8, transport + (echo ? 4 : 0));
  const rport = echo ? 0 : at16(u8, transport + 2);
  const local = addressOf(u8, source, family, p);
  const remote = addressOf(u8, destination, family, p);
  const key = socketKey(proto, port);
  if (!socketInput(st, id, family, key, local, remote, rport, false, ARRIVAL.error)) {
    st.drop(id, DROP.nosocket);
  }
}

/** Sends an ICMP error about the packet `id`, which stays the caller's. `value` is the MTU of "need fragment". */
export function icmpError(st: Stack, id: number, type: number, code: number, value = 0): void {
  const { u8 } = st;
  const ip = st.at(id) + ETHER;
  const header = (u8[ip]! & 15) * 4;
  const source = wordAt(u8, ip + 12);
  const destination = wordAt(u8, ip + 16);
  if ((at16(u8, ip + 6) & 0x1fff) !== 0) return;
  if (isMulticast(AF.inet, destination) || destination === -1) return;
  if (source === 0 || source >>> 28 >= 14 || source >>> 24 === 127) return;
  if (u8[ip + 9] === IPPROTO.icmp && isIcmpError(u8[ip + header]!)) return;
  if ((u8[st.at(id)]! & 1) === 1 || !st.mayError()) return;
  const flags = st.route(AF.inet, source, 0, 0, 0);
  // To a broadcast address as source there is no way back (RFC 1122 3.2.2).
  if (flags < 0 || (flags & 12) !== 0) return;
  const quote = Math.min(at16(u8, ip + 2), QUOTE4);
  const e = st.alloc(ETHER + 28 + quote);
  if (e < 0) return;
  const at = st.at(e) + ETHER;
  header4(u8, at, IPPROTO.icmp, 28 + quote, 64, 0, 0);
  st.putRouteSource(at + 12, AF.inet);
  putWord(u8, at + 16, source);
  sealIpv4(u8, at);
  u8[at + 20] = type;
  u8[at + 21] = code;
  put16(u8, at + 22, 0);
  putWord(u8, at + 24, value);
  st.finish(id);
  u8.copyWithin(at + 28, ip, ip + quote);
  put16(u8, at + 22, checksum(u8, at + 20, 8 + quote));
  st.emit(e, AF.inet);
}

function isIcmpError(type: number): boolean {
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** An ICMPv6 message to an address or group of this vnet; `end` is where the packet ends. Consumes the packet. */
export function icmp6Input(
  st: Stack,
  id: number,
  p: AttachedIfp,
  ip: number,
  body: number,
  end: number,
): void {
  const { u8 } = st;
  const len = end - body;
  if (len < 8) return st.drop(id, DROP.malformed);
  st.finish(id);
  if (arenaChecksum(st.net.arena, body, len, pseudoSum(u8, ip + 8, 32, IPPROTO.icmp6, len)) !== 0) {
    return st.drop(id, DROP.checksum);
  }
  switch (u8[body]!) {
    case ICMP6.echo:
      return echoReply6(st, id, p, ip, body, len);
    case ICMP6.echoReply:
      return answered(st, id, p, AF.inet6, ip, body);
    case ICMP6.unreachable:
    case ICMP6.tooBig:
    case ICMP6.timeExceeded:
    case ICMP6.parameter:
      return aboutOurs6(st, id, p, body + 8, end);
    case 135:
    case 136:
      return ndInput(st, id, p, ip, body, len);
    case 130:
    case 131:
      // One hop far, from the link, with a router alert (RFC 3810 6.2).
      if (u8[ip + 7] !== 1 || !isLinkLocal(wordAt(u8, ip + 8)) || u8[ip + 6] !== 0) {
        return st.drop(id, DROP.malformed);
      }
      return controlPush(st, id, ARRIVAL.group + AF.inet6);
    // Router messages, redirects and what others leave are understood and not acted upon: this host is
    // configured by hand.
    case 132:
    case 133:
    case 134:
    case 137:
    case 143:
      return st.delivered(id);
    default:
      return st.drop(id, DROP.noproto);
  }
}

function echoReply6(st: Stack, id: number, p: AttachedIfp, ip: number, body: number, len: number): void {
  const { u8 } = st;
  // Extension headers are not sent back.
  if (body !== ip + 40) {
    u8.copyWithin(ip + 40, body, body + len);
    st.setLen(id, ETHER + 40 + len);
    put16(u8, ip + 4, len);
    u8[ip + 6] = IPPROTO.icmp6;
  }
  const from: Address = addressAt(u8, ip + 8, AF.inet6);
  const toGroup = u8[ip + 24] === 255;
  putAddress(u8, ip + 8, AF.inet6, addressAt(u8, ip + 24, AF.inet6));
  putAddress(u8, ip + 24, AF.inet6, from);
  putWord(u8, ip, 0x60000000);
  u8[ip + 7] = 64;
  u8[ip + 40] = ICMP6.echoReply;
  st.reborn();
  if (st.route6(ip + 24, p) < 0) return st.drop(id, DROP.noroute);
  if (toGroup) st.putRouteSource(ip + 8, AF.inet6);
  if (40 + len > st.rMtu && (st.rFlags & 1) === 0) return st.drop(id, DROP.toobig);
  sealIcmp6(u8, ip);
  st.emit(id, AF.inet6);
}

/** Sends an ICMPv6 error about the packet `id`, which came in on `p` and stays the caller's. */
export function icmp6Error(st: Stack, id: number, p: number, type: number, code: number, value = 0): void {
  const { u8 } = st;
  const ip = st.at(id) + ETHER;
  const total = 40 + at16(u8, ip + 4);
  const source0 = wordAt(u8, ip + 8);
  const group = u8[ip + 24] === 255 || (u8[st.at(id)]! & 1) === 1;
  if (group && type !== ICMP6.tooBig) return;
  if (source0 >>> 24 === 255 || (source0 === 0 && wordAt(u8, ip + 20) === 0)) return;
  if (u8[ip + 6] === IPPROTO.icmp6 && (u8[ip + 40]! < 128 || u8[ip + 40] === 137)) return;
  if (!st.mayError()) return;
  const flags = st.route6(ip + 8, p);
  if (flags < 0 || (flags & 12) !== 0) return;
  const quote = Math.min(total, QUOTE6);
  const e = newIcmp6(st, 8 + quote);
  if (e < 0) return;
  const at = st.at(e) + ETHER;
  st.putRouteSource(at + 8, AF.inet6);
  u8.copyWithin(at + 24, ip + 8, ip + 24);
  u8[at + 40] = type;
  u8[at + 41] = code;
  putWord(u8, at + 44, value);
  st.finish(id);
  u8.copyWithin(at + 48, ip, ip + quote);
  sealIcmp6(u8, at);
  st.emit(e, AF.inet6);
}
