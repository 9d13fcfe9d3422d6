/** Flow hash: the same for every packet of a flow, so that steering keeps its order. @module */
import { type Arena, CLUSTER, MBUF } from "../memory/arena.ts";

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

/** Hash of an Ethernet frame, mbuf `id`: of IP addresses, protocol and TCP or UDP ports (none in an IPv4 fragment); of the MAC addresses when it is not IP; 0 under 14 bytes. 31 bits. */
export function flowHash(arena: Arena, id: number): number {
  const { u8 } = arena;
  const h = arena.plan.mbuf + id * MBUF.WORDS;
  const at = arena.plan.data * 4 + id * CLUSTER + arena.a[h + MBUF.off]!;
  const len = arena.a[h + MBUF.len]!;
  if (len < 14) return 0;
  const type = u8[at + 12]! << 8 | u8[at + 13]!;
  if (type === IPV4 && len >= 34) {
    const ihl = (u8[at + 14]! & 15) * 4;
    const fragment = ((u8[at + 20]! & 0x3f) << 8 | u8[at + 21]!) !== 0;
    return mix(u8, at + 26, 8, u8[at + 23]!, fragment ? -1 : at + 14 + ihl, at + len);
  }
  if (type === IPV6 && len >= 54) return mix(u8, at + 22, 32, u8[at + 20]!, at + 54, at + len);
  return mix(u8, at, 12, 0, -1, 0);
}

function mix(u8: Uint8Array, from: number, n: number, proto: number, ports: number, end: number): number {
  let h = 0x811c9dc5 ^ proto;
  for (let i = 0; i < n; i++) h = Math.imul(h ^ u8[from + i]!, 0x01000193);
  if ((proto === 6 || proto === 17) && ports >= 0 && ports + 4 <= end) {
    for (let i = 0; i < 4; i++) h = Math.imul(h ^ u8[ports + i]!, 0x01000193);
  }
  return (h ^ h >>> 15) & 0x7fffffff;
}
