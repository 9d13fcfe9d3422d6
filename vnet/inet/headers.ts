/** Headers as the stack writes them: of a frame, of IPv4 and of IPv6. @module */
import { putWord } from "./address.ts";
import { checksum, pseudoSum, put16 } from "./checksum.ts";
import { IPPROTO } from "./layout.ts";

/** Bytes of an Ethernet header. */
export const ETHER = 14;

/** Writes an IPv4 header without options, addresses and checksum (RFC 791 3.1). */
export function header4(
  u8: Uint8Array,
  ip: number,
  proto: number,
  total: number,
  ttl: number,
  fragment: number,
  ident: number,
): void {
  put16(u8, ip, 0x4500);
  put16(u8, ip + 2, total);
  put16(u8, ip + 4, ident);
  put16(u8, ip + 6, fragment);
  u8[ip + 8] = ttl;
  u8[ip + 9] = proto;
}

/** Writes an IPv6 header without addresses (RFC 8200 3). */
export function header6(u8: Uint8Array, ip: number, proto: number, payload: number, hops: number): void {
  putWord(u8, ip, 0x60000000);
  put16(u8, ip + 4, payload);
  u8[ip + 6] = proto;
  u8[ip + 7] = hops;
}

/** Writes the checksum of the ICMPv6 message at `at` of a packet whose addresses are complete (RFC 4443 2.3). */
export function sealIcmp6(
  u8: Uint8Array,
  ip: number,
  at = ip + 40,
  len = u8[ip + 4]! << 8 | u8[ip + 5]!,
): void {
  put16(u8, at + 2, 0);
  put16(u8, at + 2, checksum(u8, at, len, pseudoSum(u8, ip + 8, 32, IPPROTO.icmp6, len)));
}
