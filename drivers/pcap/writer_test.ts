import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ARP, join } from "../../tests/pcap/blocks.ts";
import { SoftcError } from "../../core/error.ts";
import { LINKTYPE_ETHERNET, LINKTYPE_LOOP, LINKTYPE_NULL, LINKTYPE_RAW } from "./format.ts";
import { readCapture } from "./reader.ts";
import { type FrameRecord, PcapngWriter } from "./writer.ts";

const AT = 1_700_000_000_123_456_789n;

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

Deno.test("PcapngWriter writes the blocks of the specification", () => {
  const w = new PcapngWriter("x");
  w.addInterface({ name: "lo0", linkType: LINKTYPE_RAW, snapLength: 6 });
  w.frame({ interface: 0, at: 0x0123456789abcdefn, bytes: ARP, direction: "out", dropReason: "a" });
  w.statistics(0, 1n);
  assertEquals(
    hex(w.take()),
    [
      // section header: length, byte order, 1.0, length not known; shb_userappl "x"
      [
        "0a0d0d0a",
        "28000000",
        "4d3c2b1a",
        "01000000",
        "ffffffffffffffff",
        "04000100",
        "78000000",
        "00000000",
      ],
      ["28000000"],
      // interface description: RAW, snap length 6; if_name "lo0", if_tsresol 9
      [
        "01000000",
        "28000000",
        "65000000",
        "06000000",
        "02000300",
        "6c6f3000",
        "09000100",
        "09000000",
        "00000000",
      ],
      ["28000000"],
      // enhanced packet: time high then low, 6 of 42 bytes; epb_flags outbound, comment "dropped: a"
      [
        "06000000",
        "44000000",
        "00000000",
        "67452301",
        "efcdab89",
        "06000000",
        "2a000000",
        "ffffffffffff0000",
      ],
      ["02000400", "02000000", "01000a00", "64726f707065643a20610000", "00000000", "44000000"],
      // interface statistics: isb_ifrecv 1, isb_ifdrop 1
      ["05000000", "34000000", "00000000", "00000000", "01000000", "04000800", "0100000000000000"],
      ["05000800", "0100000000000000", "00000000", "34000000"],
    ].flat().join(""),
  );
});

Deno.test("PcapngWriter writes what readCapture() reads", () => {
  const w = new PcapngWriter();
  const names = [
    w.addInterface({ name: "epair0a" }),
    w.addInterface({ name: "lo0", linkType: LINKTYPE_NULL, description: "größer" }),
    w.addInterface({ name: "lo1", linkType: LINKTYPE_LOOP }),
    w.addInterface({ name: "tun0", linkType: LINKTYPE_RAW, snapLength: 20 }),
  ];
  assertEquals(names, [0, 1, 2, 3]);
  const records: FrameRecord[] = [
    { interface: 0, at: AT, bytes: ARP, direction: "in", comment: "first" },
    { interface: 3, at: AT + 1n, bytes: ARP.subarray(14), direction: "out" },
    { interface: 1, at: AT - 1n, bytes: Uint8Array.of(2, 0, 0, 0, 0x45), dropReason: "no-buffer", lost: 3 },
    { interface: 2, at: 0n, bytes: new Uint8Array(), originalLength: 9000, direction: "unknown" },
    {
      interface: 0,
      at: (1n << 64n) - 1n,
      bytes: ARP,
      direction: "in",
      dropReason: "",
      comment: "dropped too",
    },
  ];
  for (const r of records) w.frame(r);
  for (const i of names) w.statistics(i, AT);
  w.statistics(3, AT, { received: 7n, dropped: 2n ** 63n });

  const { interfaces, frames } = readCapture(w.take(), "round trip");
  assertEquals(interfaces, [
    { name: "epair0a", linkType: LINKTYPE_ETHERNET, snapLength: 0, fcsLength: 0, received: 2n, dropped: 1n },
    {
      name: "lo0",
      linkType: LINKTYPE_NULL,
      snapLength: 0,
      fcsLength: 0,
      description: "größer",
      received: 4n,
      dropped: 4n,
    },
    { name: "lo1", linkType: LINKTYPE_LOOP, snapLength: 0, fcsLength: 0, received: 1n, dropped: 0n },
    { name: "tun0", linkType: LINKTYPE_RAW, snapLength: 20, fcsLength: 0, received: 7n, dropped: 2n ** 63n },
  ]);
  assertEquals(
    frames,
    records.map(({ originalLength, bytes, comment, dropReason, lost = 0, ...r }) => ({
      direction: "unknown",
      ...r,
      bytes: r.interface === 3 ? bytes.slice(0, 20) : bytes,
      originalLength: originalLength ?? bytes.length,
      lost: BigInt(lost),
      comments: comment === undefined ? [] : [comment],
      ...(dropReason === undefined ? {} : { dropReason }),
    })),
  );
});

Deno.test("PcapngWriter.take() hands over whole blocks: the file is readable after each append", () => {
  const w = new PcapngWriter();
  w.addInterface({ name: "a" });
  const parts: Uint8Array[] = [];
  for (let n = 0; n < 200; n++) {
    const bytes = new Uint8Array(n * 50 % 1999).fill(n);
    w.frame({ interface: 0, at: BigInt(n), bytes });
    if (n === 100) w.addInterface({ name: "late", linkType: LINKTYPE_RAW });
    if (n % 3 !== 0) continue;
    const pending = w.pending;
    parts.push(w.take());
    assertEquals([parts.at(-1)?.length, w.pending], [pending, 0]);
    const { frames } = readCapture(join(parts), "so far");
    assertEquals(frames.length, n + 1);
    assertEquals(frames.at(-1)?.bytes, bytes);
  }
  assertEquals(readCapture(join(parts), "all").interfaces.map((i) => i.name), ["a", "late"]);
});

Deno.test("PcapngWriter cuts a comment that is too long where a character starts", () => {
  const w = new PcapngWriter();
  w.addInterface({ name: "a" });
  w.frame({ interface: 0, at: 0n, bytes: ARP, comment: "é".repeat(40_000) });
  const comment = readCapture(w.take(), "long").frames[0]?.comments[0];
  assertEquals(comment, "é".repeat(0xffff >> 1));
});

Deno.test("PcapngWriter refuses what the format cannot hold, and writes nothing of it", () => {
  const w = new PcapngWriter();
  w.addInterface({ name: "a" });
  const { pending } = w;
  const good: FrameRecord = { interface: 0, at: AT, bytes: ARP };
  const refusals: [() => unknown, string][] = [
    [() => w.frame({ ...good, interface: 1 }), "interface 1 is not one of its 1"],
    [() => w.statistics(-1, AT), "interface -1 is not one of its 1"],
    [() => w.frame({ ...good, at: -1n }), "the time is -1"],
    [() => w.statistics(0, 1n << 64n), "the time is 18446744073709551616"],
    [() => w.frame({ ...good, originalLength: 41 }), "originalLength is 41, not an integer from 42"],
    [() => w.frame({ ...good, lost: 0.5 }), "lost is 0.5"],
    [() => w.addInterface({ name: "b", linkType: 65536 }), "linkType is 65536"],
    [() => w.addInterface({ name: "b", snapLength: NaN }), "snapLength is NaN"],
  ];
  for (const [call, message] of refusals) {
    const e = assertThrows(call, SoftcError);
    assertEquals(e.code, "SOFTC_PCAP_ARGUMENT");
    assertStringIncludes(e.message, `Cannot write to the capture: ${message}`);
  }
  assertEquals(w.pending, pending);
});

Deno.test("PcapngWriter writes a frame without options in 32 bytes and the frame", () => {
  const w = new PcapngWriter();
  w.addInterface({ name: "a" });
  w.take();
  w.frame({ interface: 0, at: AT, bytes: ARP.subarray(0, 40) });
  assertEquals(w.pending, 32 + 40);
});
