/**
 * IPv4 on its way out: what is larger than the link's MTU is fragmented (RFC 791 3.2), or refused when its
 * header says "don't fragment".
 *
 * @module
 */
import { set } from "../../core/doors/arena.ts";
import { MBUF } from "../../core/memory/arena.ts";
import { BORN, DROP } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import { at16, put16, sealIpv4 } from "./checksum.ts";
import { ETHER } from "./headers.ts";
import { RTF } from "./layout.ts";
import type { Stack } from "./stack.ts";

/** "Don't fragment" and "more fragments". */
export const DF = 0x4000;
/** More fragments follow. */
export const MF = 0x2000;

/** Sends a complete IPv4 packet the way that was found. Consumes it. */
export function send4(st: Stack, id: number): void {
  const ip = st.at(id) + ETHER;
  if (at16(st.u8, ip + 2) <= st.rMtu || (st.rFlags & RTF.local) !== 0) return st.emit(id, AF.inet);
  if ((at16(st.u8, ip + 6) & DF) !== 0) return st.drop(id, DROP.toobig);
  fragment(st, id, ip, st.rMtu);
}

/** Cuts a packet: the first piece keeps its buffer and its life, each other piece is born `split`. */
export function fragment(st: Stack, id: number, ip: number, mtu: number): void {
  const { u8 } = st;
  st.finish(id);
  const header = (u8[ip]! & 15) * 4;
  const total = at16(u8, ip + 2);
  const field = at16(u8, ip + 6);
  const piece = (mtu - header) & ~7;
  if (piece < 8) return st.drop(id, DROP.toobig);
  const h = st.net.cpu.pool.headerAt(id);
  for (let at = piece; at < total - header; at += piece) {
    const n = Math.min(piece, total - header - at);
    const more = at + n < total - header ? MF : field & MF;
    const f = st.alloc(ETHER + header + n, BORN.split);
    // What cannot be sent whole is not sent: its other pieces time out at the receiver.
    if (f < 0) break;
    const to = st.at(f) + ETHER;
    u8.copyWithin(to, ip, ip + header);
    copiedOptions(u8, to, header);
    u8.copyWithin(to + header, ip + header + at, ip + header + at + n);
    put16(u8, to + 2, header + n);
    put16(u8, to + 6, more | (field & 0x1fff) + (at >> 3));
    sealIpv4(u8, to);
    st.emit(f, AF.inet);
  }
  put16(u8, ip + 2, header + piece);
  put16(u8, ip + 6, field & 0x1fff | MF);
  sealIpv4(u8, ip);
  set(st.a, h + MBUF.len, ETHER + header + piece);
  st.emit(id, AF.inet);
}

/** Options that are not copied into later fragments become "no operation". */
function copiedOptions(u8: Uint8Array, ip: number, header: number): void {
  for (let i = ip + 20; i < ip + header;) {
    const type = u8[i]!;
    if (type === 0) return;
    const n = type === 1 ? 1 : Math.max(2, Math.min(u8[i + 1]!, ip + header - i));
    if ((type & 0x80) === 0) u8.fill(1, i, i + n);
    i += n;
  }
}
