/**
 * tshark and capinfos read what softc writes, and read in odd files what softc reads.
 *
 * Needs tshark and capinfos (Debian: tshark wireshark-common).
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { LINKTYPE_NULL, LINKTYPE_RAW } from "../../drivers/pcap/format.ts";
import { readCapture } from "../../drivers/pcap/reader.ts";
import { PcapngWriter } from "../../drivers/pcap/writer.ts";
import { ARP, oddFile } from "../pcap/blocks.ts";

/** 192.0.2.1 pings 192.0.2.2: an IPv4 packet with right checksums, 28 bytes. */
const PING = Uint8Array.from(
  "4500001c000040004001b6ddc0000201c00002020800f7fc00010002".match(/../g)!,
  (hex) => parseInt(hex, 16),
);

const missing = ["tshark", "capinfos"].filter((tool) => !runs(tool));
if (missing.length > 0) console.log(`skipped: pcapng against tshark: ${missing.join(" and ")} not installed`);

function runs(tool: string): boolean {
  try {
    return new Deno.Command(tool, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

async function output(tool: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(tool, {
    args,
    env: { TZ: "UTC", LC_ALL: "C.UTF-8" },
  })
    .output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Fields of each frame, as tshark sees them. */
async function fields(path: string, ...names: string[]): Promise<string[][]> {
  const text = await output(
    "tshark",
    "-r",
    path,
    ..."-o ip.check_checksum:TRUE -T fields -E separator=| -E occurrence=a -E aggregator=;".split(" "),
    ...names.flatMap((name) => ["-e", name]),
  );
  return text.trimEnd().split("\n").map((line) => line.split("|"));
}

function test(name: string, fn: (path: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing.length > 0,
    async fn() {
      const path = await Deno.makeTempFile({ suffix: ".pcapng" });
      try {
        await fn(path);
      } finally {
        await Deno.remove(path);
      }
    },
  });
}

test("tshark dissects three interfaces, nanoseconds, direction, drop reason and comments", async (path) => {
  const w = new PcapngWriter("softc test");
  const ether = w.addInterface({ name: "epair0a", description: "one end" });
  const lo = w.addInterface({ name: "lo0", linkType: LINKTYPE_NULL });
  const raw = w.addInterface({ name: "tun0", linkType: LINKTYPE_RAW, snapLength: 24 });
  const at = 1_700_000_000_123_456_789n;
  w.frame({ interface: ether, at, bytes: ARP, direction: "out", comment: "größer" });
  const family = Uint8Array.of(2, 0, 0, 0, ...PING);
  w.frame({ interface: lo, at: at + 1n, bytes: family, direction: "in", dropReason: "no-buffer", lost: 5 });
  w.frame({ interface: raw, at: at + 1_000_000_000n, bytes: PING, direction: "in" });
  w.frame({ interface: raw, at: at + 1_000_000_002n, bytes: PING.subarray(0, 20), originalLength: 28 });
  for (const i of [ether, lo, raw]) w.statistics(i, at + 2_000_000_000n);
  await Deno.writeFile(path, w.take());

  const rows = await fields(
    path,
    "frame.interface_name",
    "frame.time_epoch",
    "frame.cap_len",
    "frame.len",
    "frame.packet_flags_direction",
    "frame.drop_count",
    "frame.comment",
    "frame.protocols",
    "ip.checksum.status",
  );
  assertEquals(rows, [
    ["epair0a", "1700000000.123456789", "42", "42", "0x00000002", "", "größer", "eth:ethertype:arp", ""],
    ["lo0", "1700000000.123456790", "32", "32", "0x00000001", "5", "dropped: no-buffer", "null:ip:icmp", "1"],
    ["tun0", "1700000001.123456789", "24", "28", "0x00000001", "", "", "raw:ip:icmp", "1"],
    ["tun0", "1700000001.123456791", "20", "28", "", "", "", "raw:ip:icmp", "1"],
  ]);

  const info = await output("capinfos", path);
  assertStringIncludes(info, "Number of packets:   4\n");
  assertStringIncludes(info, "Number of interfaces in file: 3\n");
  assertStringIncludes(info, "Capture application: softc test\n");
  for (
    const line of [
      "Name = epair0a",
      "Description = one end",
      "Name = lo0",
      "Name = tun0",
      "Capture length = 24",
    ]
  ) {
    assertStringIncludes(info, line);
  }
  assertEquals(info.match(/Number of stat entries = 1\n/g)?.length, 3);
  assertEquals([...info.matchAll(/Number of packets = (\d)/g)].map((m) => m[1]), ["1", "1", "2"]);
});

test("tshark finds nothing malformed in a file of 1000 frames of all lengths", async (path) => {
  const w = new PcapngWriter();
  w.addInterface({ name: "a" });
  for (let n = 0; n < 1000; n++) {
    const bytes = new Uint8Array(14 + n);
    bytes.set(ARP.subarray(0, 12)); // EtherType and payload stay 0: an 802.3 frame of length 0
    w.frame({ interface: 0, at: BigInt(n), bytes, ...(n % 2 ? { comment: "x".repeat(n % 7) } : {}) });
  }
  await Deno.writeFile(path, w.take());
  const rows = await fields(path, "frame.time_epoch", "frame.len");
  assertEquals(rows, Array.from({ length: 1000 }, (_, n) => [`0.${`${n}`.padStart(9, "0")}`, `${14 + n}`]));
});

for (const littleEndian of [true, false]) {
  test(`tshark reads old blocks and odd clocks as softc does, ${littleEndian ? "little" : "big"} endian`, async (path) => {
    const file = oddFile(littleEndian);
    await Deno.writeFile(path, file);
    const names = ["interface_id", "time_epoch", "cap_len", "len", "packet_flags_direction", "drop_count"];
    const rows = await fields(path, ...names.map((name) => `frame.${name}`));
    const { frames } = readCapture(file, "odd");
    const directions = { unknown: "", in: "0x00000001", out: "0x00000002" };
    assertEquals(
      rows.filter(([id]) => id !== ""), // tshark shows a custom block as a frame of no interface
      frames.map((f, i) => [
        `${f.interface}`,
        // A simple packet block has no time; softc lends it that of the frame before.
        i === 3 ? "" : `${f.at}`.replace(/(?=.{9}$)/, "."),
        `${f.bytes.length}`,
        `${f.originalLength}`,
        directions[f.direction],
        f.lost === 0n ? "" : `${f.lost}`,
      ]),
    );
  });
}

test("tshark finds nothing to object to in the example capture", async () => {
  const path = new URL("../../examples/data/linux.pcapng", import.meta.url).pathname;
  const bad =
    "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || " +
    "icmp.checksum.status == 0 || icmpv6.checksum.status == 0";
  const checks = ["ip", "tcp", "udp"].flatMap((p) => ["-o", `${p}.check_checksum:TRUE`]);
  assertEquals(await output("tshark", "-r", path, ...checks, "-Y", bad), "");
  const protocols = (await fields(path, "frame.protocols")).flat();
  const { frames } = readCapture(await Deno.readFile(path), path);
  assertEquals(frames.length, protocols.length);
  for (const p of ["ethertype:arp", "ip:icmp", "ipv6:icmpv6", "ip:udp", "ipv6:udp", "ip:tcp", "ipv6:tcp"]) {
    assert(protocols.some((f) => f.includes(p)), p);
  }
});
