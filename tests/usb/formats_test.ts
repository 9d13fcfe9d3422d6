import { assert, assertEquals } from "@std/assert";
import {
  BlockWriter,
  findFunction,
  parseConfiguration,
  parseLimits,
  parseMac,
  parseString,
  readBlock,
  SoftNic,
  USB,
} from "../../drivers/usb/mod.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

function configuration(kind: "ecm" | "ncm"): Uint8Array {
  const nic = new SoftNic({ kind, mac: MAC });
  return nic.control(
    { type: 0x80, request: USB.GET_DESCRIPTOR, value: USB.CONFIGURATION << 8, index: 0 },
    MAC,
  )!;
}

Deno.test("the CDC function of a configuration is found by its descriptors", () => {
  for (const kind of ["ecm", "ncm"] as const) {
    const f = findFunction(parseConfiguration(configuration(kind)));
    assert(typeof f !== "string", String(f));
    assertEquals(
      [f.kind, f.configuration, f.control.number, f.data.number, f.data.alternate, f.maxSegment],
      [kind, 1, 0, 1, 1, 1514],
    );
    assertEquals([f.bulkIn.address, f.bulkOut.address, f.notify?.address], [0x82, 0x03, 0x81]);
  }
});

Deno.test("a configuration that lies is read to where it lies, and what is missing is named", () => {
  const good = configuration("ncm");
  const lied = (at: number, value: number): Uint8Array => good.with(at, value);
  assert(parseConfiguration(lied(9, 0)).trouble?.includes("0 bytes long"));
  assert(parseConfiguration(lied(9, 1)).trouble?.includes("1 bytes long"));
  assert(parseConfiguration(good.subarray(0, 20)).trouble?.includes("are left"));
  assertEquals(parseConfiguration(new Uint8Array(0)).trouble, "no configuration descriptor");
  const union = good.findIndex((b, i) => b === 5 && good[i + 1] === 0x24 && good[i + 2] === USB.UNION);
  assertEquals(findFunction(parseConfiguration(lied(union + 2, 99))), "ncm: no union descriptor");
  assertEquals(
    findFunction(parseConfiguration(lied(union + 4, 7))),
    "ncm: no setting of data interface 7 has both bulk endpoints",
  );
});

Deno.test("every cut and every single wrong byte of a configuration is survived", () => {
  for (const kind of ["ecm", "ncm"] as const) {
    const good = configuration(kind);
    for (let cut = 0; cut <= good.length; cut++) findFunction(parseConfiguration(good.subarray(0, cut)));
    for (let at = 0; at < good.length; at++) {
      for (const v of [0, 1, 2, 3, 4, 5, 0x24, 0x7f, 0x80, 0xff]) {
        const f = findFunction(parseConfiguration(good.with(at, v)));
        if (typeof f !== "string") assert(f.bulkIn.maxPacket > 0 && f.data.endpoints.length > 0);
      }
    }
  }
});

Deno.test("strings and MAC addresses", () => {
  const s = (text: string): Uint8Array =>
    Uint8Array.from([2 + 2 * text.length, 3, ...[...text].flatMap((c) => [c.charCodeAt(0), 0])]);
  assertEquals(parseMac(parseString(s("02AB00cdEf01"))), Uint8Array.of(2, 0xab, 0, 0xcd, 0xef, 1));
  for (const bad of ["", "02AB00CDEF0", "02AB00CDEF0G", "010000000000", "000000000000"]) {
    assertEquals(parseMac(bad), undefined, bad);
  }
  assertEquals(parseString(Uint8Array.of(200, 3, 65, 0)), "A");
  assertEquals(parseString(Uint8Array.of(4, 2, 65, 0)), undefined);
});

/** A block as NCM 1.0, 3.2 and 3.3.1 draw it: header at 0, table at 12, frames of 20 and 14 bytes at 32 and 52. */
const BLOCK = [
  ...[0x4e, 0x43, 0x4d, 0x48, 12, 0, 7, 0, 66, 0, 12, 0],
  ...[0x4e, 0x43, 0x4d, 0x30, 20, 0, 0, 0, 32, 0, 20, 0, 52, 0, 14, 0, 0, 0, 0, 0],
  ...Array.from({ length: 20 }, (_, i) => 100 + i),
  ...Array.from({ length: 14 }, (_, i) => 200 + i),
];

function read(b: readonly number[], length = b.length, max = 1984) {
  const frames: [number, number][] = [];
  const r = readBlock(Uint8Array.from(b), length, max, (at, len) => frames.push([at, len]));
  return { ...r, places: frames };
}

Deno.test("readBlock() reads a block of the specification", () => {
  const r = read(BLOCK);
  assertEquals([r.refused, r.frames, r.skipped, r.places], [undefined, 2, 0, [[32, 20], [52, 14]]]);
  const zero = [...BLOCK];
  zero[8] = 0; // the block ends with the transfer
  assertEquals(read(zero).frames, 2);
});

Deno.test("[B70] readBlock() refuses a bad header and skips a bad pair", () => {
  const changed = (at: number, ...v: number[]): number[] =>
    BLOCK.with(at, v[0]!).map((b, i) => v[i - at] ?? b);
  for (
    const [bytes, why] of [
      [changed(0, 0x4f), "NCMH"],
      [changed(4, 16), "header of 16"],
      [changed(8, 67), "block of 67"],
      [changed(10, 13), "table at 13"],
      [changed(10, 8), "table at 8"],
      [changed(10, 0xff, 0xff), "table at 65535"],
      [changed(12, 0), "NCM0"],
      [changed(15, 0x31), "NCM0"],
      [changed(16, 12), "table of 12"],
      [changed(16, 18), "table of 18"],
      [changed(16, 0xfc, 0xff), "table of 65532"],
      [changed(18, 12), "table at 12"], // a next table that does not go forward
      [BLOCK.slice(0, 19), "19 bytes"],
    ] as const
  ) assert(read([...bytes]).refused?.includes(why), `${read([...bytes]).refused} for ${why}`);
  for (
    const pair of [
      [32, 0, 13, 0], // shorter than an Ethernet header
      [32, 0, 35, 0], // past the end
      [60, 0, 20, 0],
      [11, 0, 20, 0], // in the header
      [0xff, 0xff, 0xff, 0xff],
    ]
  ) {
    const r = read(changed(20, ...pair));
    assertEquals([r.refused, r.frames, r.skipped], [undefined, 1, 1], pair.join());
  }
  assertEquals(read(BLOCK, BLOCK.length, 18).skipped, 1);
  assertEquals(read(changed(20, 0, 0)).frames, 0); // a zero pair ends the table
});

Deno.test("[B70] readBlock() reads and gives nothing outside the block, whatever is in it", () => {
  let seed = 7;
  const random = (n: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (seed >> 8) % n;
  };
  let [given, refused, skipped] = [0, 0, 0];
  for (let round = 0; round < 20_000; round++) {
    const length = BLOCK.length + random(3) * 8 - 8;
    const bytes = Uint8Array.from({ length: length + 64 }, (_, i) => BLOCK[i] ?? 0);
    for (let n = random(4); n > 0; n--) bytes[random(length)] = random(3) === 0 ? random(256) : random(80);
    const block = (bytes[8]! | bytes[9]! << 8) || length;
    const end = Math.min(block, length);
    // Behind the header a byte outside the block is an error here.
    const guarded = new Proxy(bytes, {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) {
          assert(Number(key) < Math.max(12, end), `byte ${key} of ${end}`);
        }
        return Reflect.get(target, key, target);
      },
    });
    const r = readBlock(guarded, length, 1984, (at, len) => {
      given++;
      assert(
        at >= 12 && len >= 14 && at + len <= Math.min(block, length),
        `${len} bytes at ${at} of ${block}`,
      );
    });
    refused += r.refused === undefined ? 0 : 1;
    skipped += r.skipped;
  }
  assert(
    given > 5000 && refused > 1000 && skipped > 500,
    `${given} frames, ${refused} refused, ${skipped} skipped`,
  );
});

Deno.test("what BlockWriter writes, readBlock() reads, aligned as the device asks", () => {
  const params = Uint8Array.of(
    28,
    0,
    1,
    0,
    0,
    16,
    0,
    0,
    4,
    0,
    0,
    0,
    4,
    0,
    0,
    0,
    0,
    16,
    0,
    0,
    16,
    0,
    2,
    0,
    8,
    0,
    3,
    0,
  );
  const limits = parseLimits(params, 16384)!;
  assertEquals(limits, { inSize: 4096, outSize: 4096, divisor: 16, remainder: 2, alignment: 8, frames: 3 });
  const w = new BlockWriter(limits);
  for (let round = 0; round < 3; round++) {
    w.reset();
    const b = new Uint8Array(4096).fill(0xee);
    const places: [number, number][] = [];
    for (const len of [14, 61, 1514, 60]) {
      const at = w.place(len);
      if (len === 60) {
        assertEquals(at, -1, "the device takes three frames");
        continue;
      }
      assertEquals((at + 14) % 16, 2);
      places.push([at, len]);
    }
    const total = w.finish(b);
    assertEquals([b[6], total <= 4096, (b[10]! | b[11]! << 8) % 8], [round, true, 0]);
    const got: [number, number][] = [];
    const r = readBlock(b, total, 1984, (at, len) => got.push([at, len]));
    assertEquals([r.refused, r.skipped, got], [undefined, 0, places]);
  }
  w.reset();
  assert(w.place(1984) > 0 && w.place(1984) > 0);
  assertEquals(w.place(1984), -1, "4096 bytes hold two");
});

Deno.test("nonsense in NTB parameters is refused or made harmless", () => {
  const p = (o: Record<number, number>): Uint8Array => {
    const b = Uint8Array.of(
      28,
      0,
      1,
      0,
      0,
      16,
      0,
      0,
      4,
      0,
      0,
      0,
      4,
      0,
      0,
      0,
      0,
      16,
      0,
      0,
      4,
      0,
      0,
      0,
      4,
      0,
      0,
      0,
    );
    for (const [at, v] of Object.entries(o)) b[Number(at)] = v;
    return b;
  };
  assertEquals(parseLimits(p({}).subarray(0, 27), 16384), undefined);
  assertEquals(parseLimits(p({ 2: 2 }), 16384), undefined, "no 16-bit blocks");
  assertEquals(parseLimits(p({ 5: 1 }), 16384), undefined, "blocks of 256 bytes");
  assertEquals(parseLimits(p({ 17: 0 }), 16384), undefined);
  assertEquals(parseLimits(p({ 20: 3, 24: 0, 22: 9 }), 16384)?.divisor, 4);
  assertEquals(parseLimits(p({ 7: 255 }), 16384)?.inSize, 16384);
});
