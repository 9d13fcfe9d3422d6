/**
 * IPv4 on the receiving CPU: header checks, delivery, forwarding (RFC 791, RFC 1122 3.2.1, RFC 1812 5).
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import { IFT } from "../../core/net/flags.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { addressAt, isMulticast, wordAt } from "./address.ts";
import { findAddress } from "./address_list.ts";
import { arenaChecksum, at16, checksum, pseudoSum, put16 } from "./checksum.ts";
import { isHeard } from "./group_messages.ts";
import { ETHER } from "./headers.ts";
import { ICMP, icmpError, icmpInput, UNREACH } from "./icmp.ts";
import { DF, fragment, MF } from "./ip4_send.ts";
import { ADDR_KIND, ARRIVAL, IPPROTO, RTF } from "./layout.ts";
import { controlPush, socketInput, socketKey } from "./sockets.ts";
import type { Stack } from "./stack.ts";

/** An IPv4 header (RFC 791 3.1): version, header length, total length, checksum. 0 or a drop reason. */
export function checkIpv4(u8: Uint8Array, at: number, len: number): number {
  if (len < 20 || u8[at]! >> 4 !== 4) return DROP.malformed;
  const header = (u8[at]! & 15) * 4;
  const total = u8[at + 2]! << 8 | u8[at + 3]!;
  if (header < 20 || header > total || total > len) return DROP.malformed;
  return checksum(u8, at, header) === 0 ? 0 : DROP.checksum;
}

/** A received packet whose header is right. `data` is the interface's own. Consumes it. */
export function ip4Input(st: Stack, id: number, p: AttachedIfp, data: number, toUs: boolean): void {
  const { u8 } = st;
  const ip = st.at(id) + ETHER;
  // What is behind the packet is the link's padding.
  st.setLen(id, ETHER + at16(u8, ip + 2));
  const looped = st.looped(id);
  const source = wordAt(u8, ip + 12);
  const destination = wordAt(u8, ip + 16);
  if (source >>> 28 >= 14) return st.drop(id, DROP.malformed);
  if ((source >>> 24 === 127 || destination >>> 24 === 127) && !looped && !isLoop(st, p)) {
    return st.drop(id, DROP.filtered);
  }
  if (sourceRouted(u8, ip)) return st.drop(id, DROP.filtered);
  if (isMulticast(AF.inet, destination)) {
    const member = (destination & 0xfffffff) === 1 ||
      findAddress(st.a, data, ADDR_KIND.group, destination, 0, 0, 0) !== 0;
    return member ? local(st, id, p, ip, true) : st.drop(id, DROP.nosocket);
  }
  if (destination === -1) return local(st, id, p, ip, true);
  const flags = st.route(AF.inet, destination, 0, 0, 0);
  if (flags >= 0 && (flags & RTF.local) !== 0) return local(st, id, p, ip, false);
  if (flags >= 0 && (flags & RTF.broadcast) !== 0 && st.rIf === p) return local(st, id, p, ip, true);
  if (!st.forwards(AF.inet)) return st.drop(id, DROP.nosocket);
  // A frame to all that carries a packet to one is not passed on (RFC 1812 5.3.4).
  if (!toUs || source === 0 || destination === 0 || linkLocal4(source) || linkLocal4(destination)) {
    return st.drop(id, DROP.filtered);
  }
  forward(st, id, ip, flags);
}

function linkLocal4(w: number): boolean {
  return w >>> 16 === 0xa9fe;
}

/** A loopback interface. */
function isLoop(st: Stack, p: AttachedIfp): boolean {
  return get(st.a, st.net.arena.ifnetAt(p) + IFNET.type) === IFT.loop;
}

/** Loose and strict source route (RFC 791 3.1): refused, as everywhere today. */
function sourceRouted(u8: Uint8Array, ip: number): boolean {
  const end = ip + (u8[ip]! & 15) * 4;
  for (let i = ip + 20; i < end;) {
    const type = u8[i]!;
    if (type === 131 || type === 137) return true;
    if (type === 0) return false;
    i += type === 1 ? 1 : Math.max(2, u8[i + 1]!);
  }
  return false;
}

function forward(st: Stack, id: number, ip: number, flags: number): void {
  const { u8 } = st;
  if (u8[ip + 8]! <= 1) {
    icmpError(st, id, ICMP.timeExceeded, 0);
    return st.drop(id, DROP.ttl);
  }
  if (flags < 0 || (flags & (RTF.reject | RTF.broadcast)) !== 0) {
    icmpError(st, id, ICMP.unreachable, flags < 0 ? UNREACH.net : UNREACH.host);
    return st.drop(id, DROP.noroute);
  }
  const mtu = st.rMtu;
  const total = at16(u8, ip + 2);
  if (total > mtu && (at16(u8, ip + 6) & DF) !== 0) {
    // RFC 1191: the MTU of the next hop goes into the message.
    icmpError(st, id, ICMP.unreachable, UNREACH.needFragment, mtu);
    return st.drop(id, DROP.toobig);
  }
  // One less in the upper byte of a word of the header: one more in its sum (RFC 1624).
  u8[ip + 8]!--;
  const sum = at16(u8, ip + 10) + 0x100;
  put16(u8, ip + 10, (sum & 0xffff) + (sum >>> 16));
  if (total > mtu) fragment(st, id, ip, mtu);
  else st.emit(id, AF.inet);
}

function local(st: Stack, id: number, p: AttachedIfp, ip: number, group: boolean): void {
  const { u8 } = st;
  if ((at16(u8, ip + 6) & (MF | 0x1fff)) !== 0) {
    return controlPush(st, id, ARRIVAL.fragment + AF.inet);
  }
  const body = ip + (u8[ip]! & 15) * 4;
  switch (u8[ip + 9]!) {
    case IPPROTO.icmp:
      return icmpInput(st, id, p, ip, body, group);
    case IPPROTO.igmp:
      return igmpInput(st, id, ip, body);
    case IPPROTO.udp:
      return udp4(st, id, ip, body, group);
    default:
      icmpError(st, id, ICMP.unreachable, UNREACH.protocol);
      return st.drop(id, DROP.noproto);
  }
}

/** IGMP (RFC 3376): what a host listens to goes to CPU 0. */
function igmpInput(st: Stack, id: number, ip: number, body: number): void {
  const { u8 } = st;
  const len = ip + at16(u8, ip + 2) - body;
  if (len < 8) return st.drop(id, DROP.malformed);
  if (arenaChecksum(st.net.arena, body, len) !== 0) return st.drop(id, DROP.checksum);
  if (!isHeard(AF.inet, u8[body]!)) return st.delivered(id);
  controlPush(st, id, ARRIVAL.group + AF.inet);
}

/** UDP (RFC 768): length, checksum (0 = none), the socket that wants it. */
function udp4(st: Stack, id: number, ip: number, udp: number, group: boolean): void {
  const { u8 } = st;
  const room = ip + at16(u8, ip + 2) - udp;
  const len = room < 8 ? 0 : at16(u8, udp + 4);
  if (len < 8 || len > room) return st.drop(id, DROP.malformed);
  if (
    at16(u8, udp + 6) !== 0 && !st.trusted(id) &&
    arenaChecksum(st.net.arena, udp, len, pseudoSum(u8, ip + 12, 8, IPPROTO.udp, len)) !== 0
  ) {
    return st.drop(id, DROP.checksum);
  }
  const key = socketKey(IPPROTO.udp, at16(u8, udp + 2));
  const local = addressAt(u8, ip + 16, AF.inet);
  const remote = addressAt(u8, ip + 12, AF.inet);
  if (socketInput(st, id, AF.inet, key, local, remote, at16(u8, udp), group)) return;
  if (!group) icmpError(st, id, ICMP.unreachable, UNREACH.port);
  st.drop(id, DROP.nosocket);
}
