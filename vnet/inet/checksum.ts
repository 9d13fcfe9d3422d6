/** The Internet checksum (RFC 1071). @module */
import type { Arena } from "../../core/memory/arena.ts";
import { AF } from "../../core/net/domain.ts";
import { type Address, unscoped } from "./address.ts";

/** One's complement sum of `len` bytes, complemented: 0 when a header that includes its checksum is right. */
export function checksum(u8: Uint8Array, at: number, len: number, initial = 0): number {
  let sum = initial;
  const even = at + (len & ~1);
  for (let i = at; i < even; i += 2) sum += u8[i]! << 8 | u8[i + 1]!;
  if ((len & 1) === 1) sum += u8[at + len - 1]! << 8;
  return complement(sum);
}

/** The same of bytes in the arena: in WebAssembly, 4 times as fast at 64 bytes and 14 times at 1480. */
export function arenaChecksum(arena: Arena, at: number, len: number, initial = 0): number {
  const { u8, wasm } = arena;
  return wasm === undefined ? checksum(u8, at, len, initial) : complement(initial + wasm.sum(at, len));
}

function complement(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Sum of the pseudo header of IPv4 (RFC 768) or IPv6 (RFC 8200 8.1): `n` bytes of addresses that follow each other. */
export function pseudoSum(u8: Uint8Array, addresses: number, n: number, proto: number, len: number): number {
  let sum = proto + (len >>> 16) + (len & 0xffff);
  for (let i = addresses; i < addresses + n; i += 2) sum += u8[i]! << 8 | u8[i + 1]!;
  return sum;
}

/** Sum of the pseudo header with addresses as they stand in tables. */
export function addressSum(family: number, x: Address, y: Address, proto: number, len: number): number {
  let sum = proto + (len >>> 16) + (len & 0xffff);
  for (const w of [x, y]) {
    for (let i = 0; i < (family === AF.inet ? 1 : 4); i++) {
      const word = i === 0 && family === AF.inet6 ? unscoped(w[0]) : w[i]!;
      sum += (word >>> 16) + (word & 0xffff);
    }
  }
  return sum;
}

/** Writes a 16-bit value. */
export function put16(u8: Uint8Array, at: number, v: number): void {
  u8[at] = v >>> 8 & 255;
  u8[at + 1] = v & 255;
}

/** Reads a 16-bit value. */
export function at16(u8: Uint8Array, at: number): number {
  return u8[at]! << 8 | u8[at + 1]!;
}

/** Writes the checksum of an IPv4 header. */
export function sealIpv4(u8: Uint8Array, at: number): void {
  put16(u8, at + 10, 0);
  put16(u8, at + 10, checksum(u8, at, (u8[at]! & 15) * 4));
}
