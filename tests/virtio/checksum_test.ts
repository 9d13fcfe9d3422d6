import { assert, assertEquals } from "@std/assert";
import { completeChecksum } from "../../drivers/virtio/checksum.ts";

/** A UDP packet whose checksum field holds the sum of its pseudo-header, as NEEDS_CSUM leaves it. */
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

function memory(header: readonly number[]): Uint8Array {
  const partial = sum(PSEUDO);
  const packet = PACKET.with(START + OFFSET, partial >> 8).with(START + OFFSET + 1, partial & 255);
  return Uint8Array.from([...header, ...packet]);
}

const header = (
  start: number,
  offset: number,
): number[] => [1, 0, 0, 0, 0, 0, start & 255, start >> 8, offset & 255, offset >> 8, 0, 0];

Deno.test("a partial checksum is completed to what its receiver expects", () => {
  const m = memory(header(START, OFFSET));
  assert(completeChecksum(m, 0, 12, PACKET.length));
  assertEquals(sum([...PSEUDO, ...m.subarray(12 + START)]), 0xffff);
});

Deno.test("offsets outside the packet are refused, and nothing is written", () => {
  for (
    const [start, offset] of [[46, 0], [0, 46], [65535, 65535], [PACKET.length, 0], [
      PACKET.length - 1,
      0,
    ]] as const
  ) {
    const m = memory(header(start, offset));
    const before = [...m];
    assert(!completeChecksum(m, 0, 12, PACKET.length), `${start} + ${offset}`);
    assertEquals([...m], before);
  }
});
