/** The Internet checksum (RFC 1071). @module */

/** One's complement sum of `len` bytes, complemented: 0 when a header that includes its checksum is right. */
export function checksum(u8: Uint8Array, at: number, len: number, initial = 0): number {
  let sum = initial;
  const even = at + (len & ~1);
  for (let i = at; i < even; i += 2) sum += u8[i]! << 8 | u8[i + 1]!;
  if ((len & 1) === 1) sum += u8[at + len - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
