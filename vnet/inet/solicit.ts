/**
 * What the stack says to find its neighbours and to be found: ARP (RFC 826), neighbour solicitations and
 * advertisements (RFC 4861).
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF, afdata } from "../../core/net/domain.ts";
import { IFT } from "../../core/net/flags.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { type Address, putAddress, putWord, solicitedNode, unscoped } from "./address.ts";
import { putEntry, sourceOn } from "./address_list.ts";
import { put16 } from "./checksum.ts";
import { ETHER, header6, sealIcmp6 } from "./headers.ts";
import { ETHERTYPE, IPPROTO } from "./layout.ts";
import type { NeighbourView } from "./neighbour.ts";
import type { Stack } from "./stack.ts";

/** Asks who has an address: the link, or the neighbour that is known alone (RFC 4861 7.2.2). */
export function solicit(
  st: Stack,
  p: AttachedIfp,
  family: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  known?: NeighbourView,
): void {
  const source = sourceOn(st.a, afdata(st.s, p, family), w0, w1, w2, w3);
  if (source === 0) return;
  if (family === AF.inet) sendArp(st, p, 1, get(st.a, source), w0, known);
  else sendSolicitation(st, p, source, w0, w1, w2, w3, known !== undefined);
}

/** Sends an ARP packet; to all unless a neighbour is given. */
export function sendArp(
  st: Stack,
  p: AttachedIfp,
  op: number,
  sender: number,
  target: number,
  to?: NeighbourView,
): void {
  const id = st.alloc(ETHER + 28);
  if (id < 0) return;
  const { a, u8 } = st;
  const at = st.at(id);
  const slot = st.net.arena.ifnetAt(p);
  if (to === undefined) u8.fill(255, at, at + 6);
  else st.putMac(at, to.macHigh, to.macLow);
  st.putSource(at, slot);
  put16(u8, at + 12, ETHERTYPE.arp);
  const h = at + ETHER;
  putWord(u8, h, 0x00010800);
  putWord(u8, h + 4, 0x06040000 | op);
  put16(u8, h + 8, get(a, slot + IFNET.macHigh));
  putWord(u8, h + 10, get(a, slot + IFNET.macLow));
  putWord(u8, h + 14, sender);
  u8.fill(0, h + 18, h + 24);
  putWord(u8, h + 24, target);
  st.send(id, p);
}

/** Sends a neighbour solicitation from an entry of the address list; from `::` when it is 0 (RFC 4862 5.4.2). */
export function sendSolicitation(
  st: Stack,
  p: AttachedIfp,
  source: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
  unicast = false,
): void {
  const { a, u8 } = st;
  const id = newIcmp6(st, 24 + (source === 0 ? 0 : 8));
  if (id < 0) return;
  const ip = st.at(id) + ETHER;
  const body = ip + 40;
  u8[body] = 135;
  u8[ip + 7] = 255;
  putWord(u8, body + 8, unscoped(w0));
  putWord(u8, body + 12, w1);
  putWord(u8, body + 16, w2);
  putWord(u8, body + 20, w3);
  if (source !== 0) {
    linkOption(st, body + 24, 1, p);
    putEntry(a, u8, ip + 8, AF.inet6, source);
  }
  const to: Address = unicast ? [w0, w1, w2, w3] : solicitedNode(w3);
  putAddress(u8, ip + 24, AF.inet6, to);
  sealIcmp6(u8, ip);
  if (get(a, st.net.arena.ifnetAt(p) + IFNET.type) === IFT.loop) return st.drop(id, DROP.filtered);
  if (st.routeVia(p, AF.inet6, ...to)) st.emit(id, AF.inet6);
  else st.drop(id, DROP.noroute);
}

/** Sends a neighbour advertisement of one of our addresses (RFC 4861 4.4). */
export function sendAdvertisement(
  st: Stack,
  p: AttachedIfp,
  flags: number,
  target: Address,
  to: Address,
): void {
  const { u8 } = st;
  const id = newIcmp6(st, 32);
  if (id < 0) return;
  const ip = st.at(id) + ETHER;
  const body = ip + 40;
  u8[body] = 136;
  u8[ip + 7] = 255;
  u8[body + 4] = flags | (st.forwards(AF.inet6) ? 0x80 : 0);
  putAddress(u8, body + 8, AF.inet6, target);
  linkOption(st, body + 24, 2, p);
  putAddress(u8, ip + 8, AF.inet6, target);
  putAddress(u8, ip + 24, AF.inet6, to);
  sealIcmp6(u8, ip);
  if (st.routeVia(p, AF.inet6, ...to)) st.emit(id, AF.inet6);
  else st.drop(id, DROP.noroute);
}

function linkOption({ a, u8, net }: Stack, at: number, type: number, p: AttachedIfp): void {
  const slot = net.arena.ifnetAt(p);
  put16(u8, at, type << 8 | 1);
  put16(u8, at + 2, get(a, slot + IFNET.macHigh));
  putWord(u8, at + 4, get(a, slot + IFNET.macLow));
}

/** An ICMPv6 packet with `len` bytes of ICMP, zeroed, its header but for addresses written; -1 when mbufs run out. */
export function newIcmp6(st: Stack, len: number): number {
  const id = st.alloc(ETHER + 40 + len);
  if (id < 0) return id;
  const ip = st.at(id) + ETHER;
  st.u8.fill(0, ip, ip + 40 + len);
  header6(st.u8, ip, IPPROTO.icmp6, len, 64);
  return id;
}
