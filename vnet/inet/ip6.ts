/**
 * IPv6 on the receiving CPU: header checks, extension headers, delivery, forwarding (RFC 8200, RFC 4291).
 *
 * @module
 */
import { DROP } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { addressAt, isLinkLocal, scopedAt, wordAt } from "./address.ts";
import { findAddress } from "./address_list.ts";
import { arenaChecksum, at16, pseudoSum } from "./checksum.ts";
import { PROBLEM, walk } from "./extensions.ts";
import { ETHER } from "./headers.ts";
import { ICMP6, icmp6Error, icmp6Input, UNREACH6 } from "./icmp.ts";
import { ADDR_KIND, ARRIVAL, IPPROTO, NEXT, RTF } from "./layout.ts";
import { controlPush, socketInput, socketKey } from "./sockets.ts";
import type { Stack } from "./stack.ts";

/** An IPv6 header (RFC 8200 3): version and payload length. 0 or a drop reason. */
export function checkIpv6(u8: Uint8Array, at: number, len: number): number {
  if (len < 40 || u8[at]! >> 4 !== 6) return DROP.malformed;
  return 40 + (u8[at + 4]! << 8 | u8[at + 5]!) > len ? DROP.malformed : 0;
}

/** A received packet whose header is right. `data` is the interface's own. Consumes it. */
export function ip6Input(st: Stack, id: number, p: AttachedIfp, data: number, toUs: boolean): void {
  const { u8 } = st;
  const ip = st.at(id) + ETHER;
  st.setLen(id, ETHER + 40 + at16(u8, ip + 4));
  if (u8[ip + 8] === 255) return st.drop(id, DROP.malformed);
  if (u8[ip + 24] === 255) {
    return ownGroup(st, data, ip) ? local(st, id, p, ip, true) : st.drop(id, DROP.nosocket);
  }
  const flags = st.route6(ip + 24, p);
  if (flags >= 0 && (flags & RTF.local) !== 0) return local(st, id, p, ip, false);
  // A packet to the address that is being tried reaches nobody but neighbour discovery (RFC 4862 5.4).
  if (!st.forwards(AF.inet6)) return st.drop(id, DROP.nosocket);
  const source0 = wordAt(u8, ip + 8);
  const anonymous = source0 === 0 && wordAt(u8, ip + 12) === 0 && wordAt(u8, ip + 16) === 0;
  if (!toUs || anonymous || isLinkLocal(source0) || isLinkLocal(wordAt(u8, ip + 24))) {
    return st.drop(id, DROP.filtered);
  }
  forward(st, id, p, ip, flags);
}

/** Groups that the interface hears: all nodes, all routers when it is one, what was joined. */
function ownGroup(st: Stack, data: number, ip: number): boolean {
  const { a, u8 } = st;
  const [w0, w1, w2, w3] = addressAt(u8, ip + 24, AF.inet6);
  if (w1 === 0 && w2 === 0 && w3 === 1 && (w0 === (0xff020000 | 0) || w0 === (0xff010000 | 0))) return true;
  if (w1 === 0 && w2 === 0 && w3 === 2 && w0 === (0xff020000 | 0)) return st.forwards(AF.inet6);
  return findAddress(a, data, ADDR_KIND.group, w0, w1, w2, w3) !== 0;
}

function forward(st: Stack, id: number, p: AttachedIfp, ip: number, flags: number): void {
  const { u8 } = st;
  if (u8[ip + 7]! <= 1) {
    icmp6Error(st, id, p, ICMP6.timeExceeded, 0);
    return st.drop(id, DROP.ttl);
  }
  if (flags < 0 || (flags & RTF.reject) !== 0) {
    icmp6Error(st, id, p, ICMP6.unreachable, UNREACH6.noRoute);
    return st.drop(id, DROP.noroute);
  }
  const mtu = st.rMtu;
  if (40 + at16(u8, ip + 4) > mtu) {
    // Only a source fragments (RFC 8200 5).
    icmp6Error(st, id, p, ICMP6.tooBig, 0, mtu);
    return st.drop(id, DROP.toobig);
  }
  u8[ip + 7]!--;
  st.emit(id, AF.inet6);
}

function local(st: Stack, id: number, p: AttachedIfp, ip: number, group: boolean): void {
  const { u8, upper } = st;
  const end = ip + 40 + at16(u8, ip + 4);
  const bad = walk(u8, u8[ip + 6]!, ip + 40, ip + 6, end, upper);
  if (bad !== 0) {
    if (upper.problem >= 0) icmp6Error(st, id, p, ICMP6.parameter, upper.problem, upper.field - ip);
    return st.drop(id, bad);
  }
  switch (upper.proto) {
    case IPPROTO.icmp6:
      return icmp6Input(st, id, p, ip, upper.at, end);
    case IPPROTO.udp:
      return udp6(st, id, p, ip, upper.at, end, group);
    case NEXT.fragment:
      return controlPush(st, id, ARRIVAL.fragment + AF.inet6);
    case NEXT.none:
      return st.drop(id, DROP.noproto);
    default:
      icmp6Error(st, id, p, ICMP6.parameter, PROBLEM.nextHeader, upper.field - ip);
      return st.drop(id, DROP.noproto);
  }
}

/** UDP over IPv6: the checksum is not optional (RFC 8200 8.1). */
function udp6(
  st: Stack,
  id: number,
  p: AttachedIfp,
  ip: number,
  udp: number,
  end: number,
  group: boolean,
): void {
  const { u8 } = st;
  const room = end - udp;
  const len = room < 8 ? 0 : at16(u8, udp + 4);
  if (len < 8 || len > room) return st.drop(id, DROP.malformed);
  if (
    at16(u8, udp + 6) === 0 ||
    !st.trusted(id) &&
      arenaChecksum(st.net.arena, udp, len, pseudoSum(u8, ip + 8, 32, IPPROTO.udp, len)) !== 0
  ) return st.drop(id, DROP.checksum);
  const key = socketKey(IPPROTO.udp, at16(u8, udp + 2));
  const to = scopedAt(u8, ip + 24, p);
  const from = scopedAt(u8, ip + 8, p);
  if (socketInput(st, id, AF.inet6, key, to, from, at16(u8, udp), group)) return;
  if (!group) icmp6Error(st, id, p, ICMP6.unreachable, UNREACH6.port);
  st.drop(id, DROP.nosocket);
}
