/** Completing a partial checksum (NEEDS_CSUM), from a header that a device wrote and nobody trusts. @module */
import { HEADER } from "./spec.ts";

/** Completes the checksum of the `len` bytes at `packet`, as the header at `at` says; false when its offsets are not inside them. */
export function completeChecksum(u8: Uint8Array, at: number, packet: number, len: number): boolean {
  const start = u8[at + HEADER.csumStart]! | u8[at + HEADER.csumStart + 1]! << 8;
  const offset = u8[at + HEADER.csumOffset]! | u8[at + HEADER.csumOffset + 1]! << 8;
  if (start + offset + 2 > len) return false;
  let sum = 0;
  for (let i = start; i < len; i += 2) sum += u8[packet + i]! << 8 | (i + 1 < len ? u8[packet + i + 1]! : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  // 0 means "no checksum" in UDP: the other zero of one's complement is sent.
  const value = (~sum & 0xffff) || 0xffff;
  u8[packet + start + offset] = value >> 8;
  u8[packet + start + offset + 1] = value & 255;
  return true;
}
