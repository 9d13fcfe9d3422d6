/**
 * Reads the classic pcap format: one header, then packets of one interface.
 *
 * @module
 */

import type { Capture, CapturedFrame } from "./format.ts";
import type { Source } from "./_source.ts";

const FILE_HEADER = 24;
const PACKET_HEADER = 16;
/** The link type word's flag for a valid FCS length, which is in its top four bits, in 16-bit words. */
const FCS_VALID = 0x04000000;

const NO_COMMENTS: readonly string[] = [];

/** Reads a file whose byte order is known; `tick` is the nanoseconds in a fraction's unit. */
export function readPcap(source: Source, tick: number): Capture {
  source.need(0, FILE_HEADER, "file header");
  const major = source.u16(4), minor = source.u16(6);
  if (major !== 2 || minor !== 4) source.bad(4, `pcap version ${major}.${minor} is not supported, only 2.4`);
  const link = source.u32(20);

  const frames: CapturedFrame[] = [];
  let offset = FILE_HEADER;
  while (offset < source.bytes.length) {
    source.need(offset, PACKET_HEADER, "packet header");
    const fraction = source.u32(offset + 4) * tick;
    if (fraction >= 1e9) {
      source.bad(offset + 4, `the fraction of a second is ${fraction / tick}, a second or more`);
    }
    const captured = source.u32(offset + 8), originalLength = source.u32(offset + 12);
    if (captured > originalLength) {
      source.bad(offset + 8, `the packet has ${captured} bytes recorded of ${originalLength}`);
    }
    source.need(offset, PACKET_HEADER + captured, "packet");
    frames.push({
      at: BigInt(source.u32(offset)) * 1_000_000_000n + BigInt(fraction),
      interface: 0,
      bytes: source.slice(offset + PACKET_HEADER, captured),
      originalLength,
      direction: "unknown",
      lost: 0n,
      comments: NO_COMMENTS,
    });
    offset += PACKET_HEADER + captured;
  }
  return {
    interfaces: [{
      name: "if0",
      linkType: link & 0x03ffffff,
      snapLength: source.u32(16),
      fcsLength: link & FCS_VALID ? (link >>> 28) * 2 : 0,
    }],
    frames,
  };
}
