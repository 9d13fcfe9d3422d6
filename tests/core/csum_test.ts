import { assert, assertEquals } from "@std/assert";
import { completeCsum, CSUM, csumInside, isPartial, partialCsum } from "../../core/memory/csum.ts";

/** A UDP packet whose checksum field holds the sum of its pseudo-header. */
const PACKET = [
  ...Array.from({ length: 14 }, () => 0xaa), // Ethernet
  ...[0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
  ...[0x30, 0x39, 0x00, 0x35, 0, 13, 0, 0, 1, 2, 3, 4, 5], // ports 12345 and 53, 5 bytes
];
const START = 34;
const OFFSET = 6;

/** One's complement sum of 16-bit words, as RFC 1071 adds them. */
function sum(bytes: readonly number[]): number {
  let s = 0;
  bytes.forEach((b, i) => s += i % 2 === 0 ? b << 8 : b);
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

const PSEUDO = [10, 0, 0, 1, 10, 0, 0, 2, 0, 17, 0, 13];

Deno.test("a partial checksum is completed to what its receiver expects", () => {
  const partial = sum(PSEUDO);
  const m = Uint8Array.from([
    ...[0, 0],
    ...PACKET.with(START + OFFSET, partial >> 8).with(START + OFFSET + 1, partial & 255),
    ...[0xff, 0xff],
  ]);
  completeCsum(m, 2, PACKET.length, partialCsum(START, OFFSET));
  assertEquals(sum([...PSEUDO, ...m.subarray(2 + START, 2 + PACKET.length)]), 0xffff);
  assertEquals([...m.subarray(2 + PACKET.length)], [0xff, 0xff], "what is behind it stays");
});

Deno.test("a sum of zero is written as its other zero: 0 says that UDP has no checksum", () => {
  const m = Uint8Array.from([...new Array(14).fill(0), 0xff, 0xff, 0, 0]);
  completeCsum(m, 0, m.length, partialCsum(14, 2));
  assertEquals([...m.subarray(14)], [0xff, 0xff, 0xff, 0xff]);
});

Deno.test("offsets outside the packet, or in its Ethernet header, are told from those inside", () => {
  for (const [start, offset] of [[START, OFFSET], [14, 0], [45, 0]] as const) {
    const csum = partialCsum(start, offset);
    assert(isPartial(csum) && csumInside(csum, PACKET.length), `${start} + ${offset}`);
  }
  for (
    const [start, offset] of [[0, 0], [13, 6], [46, 0], [14, 46], [47, 0], [65535, 65535], [
      0x8000,
      0,
    ]] as const
  ) assert(!csumInside(partialCsum(start, offset), PACKET.length), `${start} + ${offset}`);
  assert(!isPartial(CSUM.whole) && !isPartial(CSUM.valid));
});
