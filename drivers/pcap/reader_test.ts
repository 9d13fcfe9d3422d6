import { assert, assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import { ARP, Blocks, join, oddFile } from "../../tests/pcap/blocks.ts";
import { isSoftcError, SoftcError } from "../../core/error.ts";
import type { Capture } from "./format.ts";
import { readCapture } from "./reader.ts";

const DATA = new URL("../../tests/data/pcap/", import.meta.url);

/** What tshark read in a frame of a vector (tests/data/pcap/make.sh). */
interface Dissected {
  at: string;
  captured: number;
  original: number;
  encapsulation: number;
  bytes: string;
  interface?: string;
  comment?: string;
}
const EXPECTED: [string, Dissected[]][] = JSON.parse(Deno.readTextFileSync(new URL("expected.json", DATA)));

/** tshark's encapsulation numbers, as LINKTYPEs. */
const LINKTYPES: Record<number, number> = { 1: 1, 7: 101, 25: 113 };

function vector(name: string): Uint8Array {
  return Deno.readFileSync(new URL(name, DATA));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

function read(file: Blocks | Uint8Array): Capture {
  return readCapture(file instanceof Blocks ? file.bytes() : file, "test.pcapng");
}

function assertBad(file: Blocks | Uint8Array, offset: number, reason: string): SoftcError {
  const e = assertThrows(() => read(file), SoftcError);
  assertEquals(e.code, "SOFTC_PCAP_BAD");
  assertStringIncludes(e.message, `Cannot read capture "test.pcapng" at offset ${offset}: `);
  assertStringIncludes(e.message, reason);
  return e;
}

for (const [name, rows] of EXPECTED) {
  Deno.test(`readCapture() reads in ${name} what tshark reads`, () => {
    const { interfaces, frames } = readCapture(vector(name), name);
    assertEquals(
      frames.map((f) => ({
        at: `${f.at}`,
        captured: f.bytes.length,
        original: f.originalLength,
        linkType: interfaces[f.interface]?.linkType,
        bytes: hex(f.bytes),
        interface: interfaces[f.interface]?.name,
        comment: f.comments[0],
      })),
      rows.map(({ encapsulation, ...row }, i) => ({
        ...row,
        linkType: LINKTYPES[encapsulation],
        interface: row.interface && row.interface !== "unknown" ? row.interface : `if${frames[i]?.interface}`,
        comment: row.comment,
      })),
    );
  });
}

Deno.test("readCapture() meets both byte orders and both resolutions in the vectors", () => {
  const starts = new Set(EXPECTED.map(([name]) => hex(vector(name).subarray(0, 4))));
  for (const magic of ["a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "0a0d0d0a"]) {
    assert(starts.has(magic), magic);
  }
  assertEquals(hex(vector("big.pcapng").subarray(8, 12)), "1a2b3c4d");
  assertEquals(hex(vector("little.pcapng").subarray(8, 12)), "4d3c2b1a");
});

Deno.test("readCapture() reads the recorder's statistics and interface names", () => {
  const { interfaces, frames } = readCapture(vector("dumpcap.pcapng"), "dumpcap.pcapng");
  assertEquals(interfaces.map((i) => i.name), ["lo", "any"]);
  assertEquals(interfaces[0]?.description, "Loopback");
  for (const i of interfaces) {
    assertEquals(i.dropped, 0n);
    assertEquals(i.received, BigInt(frames.filter((f) => interfaces[f.interface] === i).length));
  }
});

Deno.test("readCapture() numbers the interfaces of all sections through", () => {
  const { interfaces, frames } = readCapture(vector("sections.pcapng"), "sections.pcapng");
  assertEquals(interfaces.length, 3);
  assertEquals(frames.map((f) => f.interface), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
});

Deno.test("readCapture() gives frames as views into the file", () => {
  const file = vector("little-us.pcap");
  for (const f of readCapture(file, "x").frames) assertEquals(f.bytes.buffer, file.buffer);
});

for (const littleEndian of [true, false]) {
  Deno.test(`readCapture() reads old blocks and odd clocks, ${littleEndian ? "little" : "big"} endian`, () => {
    const { interfaces, frames } = read(oddFile(littleEndian));
    const second = 1_700_000_000n * 1_000_000_000n;
    assertEquals(interfaces.map((i) => i.name), ["binary", "if1", "if2"]);
    assertEquals(frames.map((f) => [f.interface, f.at - second, f.bytes.length, f.direction, f.lost]), [
      [0, 3_600_500_000_000n, 42, "in", 0n],
      [1, 7_000n, 42, "out", 3n],
      [1, 8_000n, 42, "unknown", 0n],
      [0, 8_000n, 60, "unknown", 0n], // a simple packet block: the time of the frame before
      [2, 123n, 42, "unknown", 0n],
    ]);
    assertEquals(frames[3]?.originalLength, 100);
    assertEquals(frames[4]?.comments, ["one", "two"]);
  });
}

Deno.test("readCapture() knows the frame check sequence of both formats", () => {
  const pcap = vector("little-us.pcap");
  pcap[23] = 0x24; // two 16-bit words, valid
  assertEquals(read(pcap).interfaces[0], { name: "if0", linkType: 1, snapLength: 65535, fcsLength: 4 });
  assertEquals(
    read(new Blocks().section().iface(1, 0, [[13, Uint8Array.of(4)]])).interfaces[0]?.fcsLength,
    4,
  );
});

Deno.test("readCapture() reads a capture without frames", () => {
  assertEquals(read(vector("little-us.pcap").subarray(0, 24)).frames, []);
  assertEquals(read(new Blocks().section()), { interfaces: [], frames: [] });
});

/** Offsets at which a file may end and still be whole. */
function boundaries(file: Uint8Array): Set<number> {
  const ends = new Set<number>();
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const pcapng = view.getUint32(0) === 0x0a0d0d0a;
  let little = !pcapng && view.getUint8(0) !== 0xa1;
  if (!pcapng) ends.add(24);
  for (let at = pcapng ? 0 : 24; at < file.length;) {
    if (pcapng && view.getUint32(at) === 0x0a0d0d0a) little = view.getUint8(at + 8) === 0x4d;
    at += pcapng ? view.getUint32(at + 4, little) : 16 + view.getUint32(at + 8, little);
    ends.add(at);
  }
  return ends;
}

for (const [name] of EXPECTED) {
  Deno.test(`readCapture() refuses ${name} cut at any byte inside a record, with the offset`, () => {
    const file = vector(name);
    const whole = readCapture(file, name);
    const ends = boundaries(file);
    assert(ends.has(file.length));
    for (let n = 0; n < file.length; n++) {
      const cut = file.slice(0, n);
      if (ends.has(n)) {
        const { frames } = read(cut);
        assertEquals(frames, whole.frames.slice(0, frames.length));
      } else {
        const e = assertThrows(() => read(cut), SoftcError);
        assertEquals(e.code, "SOFTC_PCAP_BAD");
        assertLess(Number(/at offset (\d+): .*cut short/.exec(e.message)?.[1]), n + 1);
      }
    }
  });
}

Deno.test("readCapture() of a damaged file reads it or refuses it, nothing else", () => {
  const files = [...EXPECTED.map(([name]) => vector(name)), oddFile(true), oddFile(false)];
  let refused = 0;
  for (const file of files) {
    for (let at = 0; at < file.length; at++) {
      const was = file[at]!;
      for (const value of [0, 0xff, was ^ 0x80, was ^ 1]) {
        file[at] = value;
        try {
          assertLess(read(file).frames.length, file.length / 16);
        } catch (e) {
          assert(isSoftcError(e, "SOFTC_PCAP_BAD"), String(e));
          refused++;
        }
      }
      file[at] = was;
    }
  }
  assertLess(1000, refused);
});

Deno.test("readCapture() refuses what is no capture, and says what it is", () => {
  assertBad(new Uint8Array(), 0, "the file is cut short: 4 bytes wanted, 0 left");
  assertBad(
    new TextEncoder().encode("hello, world"),
    0,
    "neither pcap nor pcapng: it starts with the bytes 68656c6c",
  );
  assertEquals(
    assertBad(Uint8Array.of(0x1f, 0x8b, 8, 0), 0, "a gzip file").fix,
    "decompress it first: gunzip",
  );
  assertBad(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), 0, "a zstd file");
  assertBad(Uint8Array.of(0x34, 0xcd, 0xb2, 0xa1), 0, "a modified pcap file");
});

Deno.test("readCapture() refuses a pcap file that breaks its format", () => {
  const edit = (at: number, ...bytes: number[]) => {
    const file = vector("little-us.pcap");
    file.set(bytes, at);
    return file;
  };
  assertBad(edit(4, 3, 0), 4, "pcap version 3.4 is not supported, only 2.4");
  assertBad(edit(28, 0x40, 0x42, 0x0f, 0), 28, "the fraction of a second is 1000000, a second or more");
  assertBad(edit(32, 0xff), 32, "the packet has 255 bytes recorded of 86");
  assertBad(
    edit(32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    24,
    "4294967311 bytes wanted, 436 left",
  );
});

Deno.test("readCapture() refuses a pcapng file that breaks its format", () => {
  const one = () => new Blocks().section().iface(); // 28 + 20 bytes
  const b = new Blocks();
  assertBad(new Blocks().section(-1n, 2), 12, "pcapng version 2.0 is not supported");
  assertBad(new Blocks().section(64n).iface(), 0, "the section is cut short: 64 bytes wanted, 20 left");
  assertBad(one().raw(new Uint8Array(12)), 52, "the block says that it has 0 bytes, its type needs 12");
  assertBad(one().block(7, ARP.subarray(0, 4), [], 18), 52, "18 is no multiple of 4");
  assertBad(one().block(7, ARP.subarray(0, 4), [], 0xfffffffc), 48, "4294967292 bytes wanted, 16 left");
  assertBad(one().block(7, ARP.subarray(0, 4), [], 16, 20), 60, "16 at its start and 20 at its end");
  assertBad(one().block(6, ARP.subarray(0, 4)), 52, "16 bytes, its type needs 32");
  assertBad(one().enhanced(1, 0n, ARP), 56, "of interface 1, the section has described 1");
  assertBad(one().section().enhanced(0, 0n, ARP), 84, "of interface 0, the section has described 0");
  assertBad(new Blocks().section().simple(42, ARP), 28, "of interface 0");
  assertBad(one().simple(42, join([ARP, ARP])), 56, "room for more than the packet's 42 bytes");
  assertBad(one().simple(100, ARP), 48, "the packet's 100 bytes do not fit");
  assertBad(one().enhanced(0, 0n, ARP, [], 0xffffffff), 48, "the packet's 4294967295 bytes do not fit");
  const data = b.words([32, 0], [32, 0], [32, 0], [32, 60], [32, 42]);
  assertBad(one().block(6, join([data, new Uint8Array(60)])), 48, "the packet has 60 bytes recorded of 42");
  assertBad(new Blocks().section().iface(1, 0, [[9, ARP.subarray(0, 2)]]), 44, "2 bytes instead of 1");
  assertBad(one().enhanced(0, 0n, ARP, [[2, ARP.subarray(0, 8)]]), 120, "8 bytes instead of 4");
  const options = b.words([16, 1], [16, 0xffff]);
  assertBad(one().block(1, join([new Uint8Array(8), options])), 64, "option 1 has 65535 bytes");
  const header = new Blocks().section().bytes();
  header[8] = 0;
  assertBad(header, 8, "no byte-order magic");
});
