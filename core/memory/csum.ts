/**
 * What is known of a packet's transport checksum: one word of the mbuf header.
 *
 * A partial checksum is the sum of the pseudo header alone; whoever puts the packet on a wire adds the rest. It is
 * described as virtio and Linux do, by two offsets, so no protocol needs to be known to complete it. A packet
 * with a partial checksum was never on a wire, so its receiver need not check it.
 *
 * @module
 */

/** The word. What is neither is a partial checksum: {@linkcode partialCsum}. */
export const CSUM = {
  /** Written in full as far as is known; to be checked. */
  whole: 0,
  /** Somebody who may be trusted has checked it. */
  valid: 1,
} as const;

/**
 * The word of a partial checksum: it covers the frame from byte `start`, 14 or more, and lies `offset` bytes behind that (csum_start and csum_offset of virtio 1.3, 5.1.6).
 *
 * @example
 * ```ts
 * import { isPartial, partialCsum } from "@softc/softc/driver";
 *
 * const udp = partialCsum(14 + 20, 6); // behind Ethernet and IPv4, csum of UDP
 * console.log(isPartial(udp)); // true
 * ```
 */
export function partialCsum(start: number, offset: number): number {
  return start << 16 | offset;
}

/**
 * Whether the word says that a checksum is partial.
 *
 * @example
 * ```ts
 * import { CSUM, isPartial, partialCsum } from "@softc/softc/driver";
 *
 * console.log(isPartial(partialCsum(34, 16)), isPartial(CSUM.valid)); // true false
 * ```
 */
export function isPartial(csum: number): boolean {
  return csum > 0xffff;
}

/** Whether the offsets of a partial checksum lie inside a frame of `len` bytes, behind its Ethernet header. */
export function csumInside(csum: number, len: number): boolean {
  const start = csum >>> 16;
  return start >= 14 && start + (csum & 0xffff) + 2 <= len;
}

/** Completes the partial checksum of the `len` bytes at `at`, whose offsets lie inside them. */
export function completeCsum(u8: Uint8Array, at: number, len: number, csum: number): void {
  const start = at + (csum >>> 16);
  const end = at + len;
  let sum = 0;
  for (let i = start; i < end; i += 2) sum += u8[i]! << 8 | (i + 1 < end ? u8[i + 1]! : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  // 0 means "no checksum" in UDP: the other zero of one's complement is sent.
  const value = (~sum & 0xffff) || 0xffff;
  const field = start + (csum & 0xffff);
  u8[field] = value >> 8;
  u8[field + 1] = value & 255;
}
