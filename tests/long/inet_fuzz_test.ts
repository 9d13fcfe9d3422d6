/**
 * A million broken frames per protocol: truncated, padded, overlapping, with wrong checksums, turned upside
 * down. Each is dropped for a reason that is counted, or handled; nothing throws and nothing grows.
 *
 * Set `SOFTC_SEED` to repeat a run, `SOFTC_FRAMES` for another number of frames, `SOFTC_DEBUG` for the sanitizer.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { type DropReason, ifOutput, ifunit, mAlloc, type Vnet } from "../../mod.ts";
import { checksum, pseudoSum, put16 } from "../../vnet/inet/checksum.ts";
import { inetAddress, inetForwarding, inetRoute, udpOpen } from "../../vnet/mod.ts";
import { hex, kernel, link, macOf, vnets } from "../inet/kit.ts";

const FRAMES = Number(Deno.env.get("SOFTC_FRAMES") ?? 1_000_000);
const SEED = Number(Deno.env.get("SOFTC_SEED") ?? Date.now() % 1_000_000);

/** xorshift32: the same frames for the same seed. */
function generator(seed: number): (n: number) => number {
  let x = seed | 1;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
}

const ipv4 = (proto: string, payload: string, field = "0000"): string => {
  const total = (20 + payload.length / 2).toString(16).padStart(4, "0");
  return `0800 4500${total}1234${field}40${proto}0000 0a000001 0a000002 ${payload}`.replaceAll(" ", "");
};
const ipv6 = (next: string, payload: string, hops = "ff"): string => {
  const len = (payload.length / 2).toString(16).padStart(4, "0");
  return `86dd60000000${len}${next}${hops}fd000000000000000000000000000001fd000000000000000000000000000002${payload}`;
};
const data = "00".repeat(24);
const target = "fd000000000000000000000000000002";

const group = "ff020000000000000000000000001234";
/** One hop far, to all, with a router alert. */
const igmp = (message: string): string => {
  const m = message.replaceAll(" ", "");
  const total = (24 + m.length / 2).toString(16).padStart(4, "0");
  return `0800 46c0${total}0000000001020000 0a000001 e0000001 94040000 ${m}`;
};
const mld = (message: string): string =>
  `86dd60000000${
    (8 + message.length / 2).toString(16).padStart(4, "0")
  }0001fe80000000000000000000000000000aff0200000000000000000000000000013a00050200000100${message}`;

/** Frames from the EtherType on, by protocol: well formed but for checksums, which are written when a frame is made. */
const SAMPLES: Record<string, string[]> = {
  arp: [
    "0806 0001080006040001 02aabbccdd01 0a000001 000000000000 0a000002",
    "0806 0001080006040002 02aabbccdd01 0a000001 02aabbccdd02 0a000002",
    "0806 0001080006040001 02aabbccdd01 0a000002 000000000000 0a000002",
  ],
  ipv4: [
    ipv4("11", `00350007${"0020"}0000${data}`),
    ipv4("06", `00350007${data}`),
    `0800 46000030 1234000040110000 0a000001 0a000002 94040000 003500070018 0000 ${"00".repeat(16)}`,
    `0800 4500002c 1234000002110000 0a000001 0a630002 003500070018 0000 ${"00".repeat(16)}`,
    `0800 4500002c 1234000001110000 0a000001 0a630002 003500070018 0000 ${"00".repeat(16)}`,
    `0800 4500002c 1234000040110000 0a000001 e0000001 003500070018 0000 ${"00".repeat(16)}`,
  ],
  fragments: [
    ipv4("11", `0035000700380000${data}${data}`, "2000"),
    ipv4("11", `${data}${data}`, "2003"),
    ipv4("11", `${data}${data}`, "0006"),
    ipv4("01", `0800000012340001${data}`, "2000"),
    ipv4("01", `${data}`, "0004"),
    ipv4("11", `${data}`, "1fff"),
  ],
  fragments6: [
    ipv6("2c", `1100000100000000${"0035000700380000" + data + data}`),
    ipv6("2c", `1100001900000000${data}${data}`),
    ipv6("2c", `1100003000000000${data}${data}`),
    ipv6("2c", `3a00000100000000${"8000000012340001" + data}`),
    ipv6("2c", `3a00002000000000${data}`),
    ipv6("2c", `1100fff800000000${data}`),
    ipv6("2c", `3c00000100000000${"1100010400000000" + data}`),
    ipv6("00", `2c000502000000001100000100000000${"0035000700380000" + data}`),
  ],
  igmp: [
    igmp("11140000000000000214 0000"),
    igmp("1114000000000000"),
    igmp("1100000000000000"),
    igmp("11140000e0010203 0214 0001 0a000009"),
    igmp("16000000e0010203"),
    igmp("22000000000000010400 0000 e0010203"),
    igmp("17000000e0010203"),
    igmp("13000000e0010203"),
  ],
  mld: [
    mld(`8200000007d00000${"00".repeat(16)}027d0000`),
    mld(`8200000007d00000${"00".repeat(16)}`),
    mld(`8200000007d00000${group}`),
    mld(`8300000000000000${group}`),
    mld(`8400000000000000${group}`),
    mld(`8f0000000000000104000000${group}`),
  ],
  icmp: [
    ipv4("01", `0800000012340001${data}`),
    ipv4("01", `0000000012340001${data}`),
    ipv4(
      "01",
      `0304000000000500450000301234000040110000 0a000002 0a000001 00070035 00100000`.replaceAll(" ", ""),
    ),
    ipv4(
      "01",
      `0b00000000000000450000301234000040010000 0a000002 0a000001 08000000 12340001`.replaceAll(" ", ""),
    ),
    ipv4("01", `0d00000012340001${data}`),
  ],
  udp: [
    ipv4("11", `00350007${"0020"}0000${data}`),
    ipv4("11", `00350008${"0020"}0000${data}`),
    ipv4("11", `0035000700080000`),
  ],
  ipv6: [
    ipv6("11", `0035000700200000${data}`),
    ipv6("00", `1100050200000000${"0035000700200000" + data}`),
    ipv6("3c", `1100010400000000${"0035000700200000" + data}`),
    ipv6("2b", `1100000000000000${"0035000700200000" + data}`),
    ipv6("2c", `1100000000001234${"0035000700200000" + data}`),
    ipv6("3b", ""),
    ipv6("84", data),
  ],
  icmpv6: [
    ipv6("3a", `8000000012340001${data}`),
    ipv6("3a", `8700000000000000${target}010102aabbccdd01`),
    ipv6("3a", `8700000000000000${target}`),
    ipv6("3a", `8800000060000000fd000000000000000000000000000001020102aabbccdd01`),
    ipv6("3a", `0200000000000500${ipv6("11", `0007003500100000${"00".repeat(8)}`).slice(4)}`),
    ipv6("3a", `8600000040000708${"00".repeat(8)}`),
  ],
};

/** Reasons that each protocol's frames must have met. */
const MET: Record<string, DropReason[]> = {
  arp: ["malformed"],
  ipv4: ["malformed", "checksum", "noproto", "nosocket", "ttl", "filtered"],
  fragments: ["malformed", "fragment"],
  fragments6: ["malformed", "fragment"],
  igmp: ["malformed", "checksum", "noproto", "filtered"],
  mld: ["malformed", "checksum"],
  icmp: ["malformed", "checksum", "noproto", "nosocket"],
  udp: ["malformed", "checksum", "nosocket"],
  ipv6: ["malformed", "checksum", "filtered", "noproto"],
  icmpv6: ["malformed", "checksum", "nosocket"],
};

/** What CPU 0 does between batches: its ring needs emptying more often. */
const BY_CPU_0 = new Set(["fragments", "fragments6", "igmp", "mld"]);

/** Writes the checksums of what the frame seems to be. */
function seal(f: Uint8Array, n: number): void {
  if (f[12] === 8 && f[13] === 0 && n >= 34) {
    const header = Math.min((f[14]! & 15) * 4, n - 14);
    put16(f, 24, 0);
    put16(f, 24, checksum(f, 14, header));
    const body = 14 + header;
    const len = Math.min(f[16]! << 8 | f[17]!, n - 14) - header;
    if ((f[23] === 1 || f[23] === 2) && len >= 8) {
      put16(f, body + 2, 0);
      put16(f, body + 2, checksum(f, body, len));
    } else if (f[23] === 17 && len >= 8) {
      put16(f, body + 6, 0);
      put16(f, body + 6, checksum(f, body, len, pseudoSum(f, 26, 8, 17, len)));
    }
  } else if (f[12] === 0x86 && n >= 62) {
    const len = Math.min(f[18]! << 8 | f[19]!, n - 54);
    // Behind the router alert of the messages about groups.
    const skip = f[20] === 0 && f[54] === 58 ? 8 : 0;
    const proto = skip > 0 ? 58 : f[20]!;
    const at = proto === 58 ? 56 + skip : proto === 17 ? 60 : 0;
    if (at !== 0 && len - skip >= 8) {
      put16(f, at, 0);
      put16(f, at, checksum(f, 54 + skip, len - skip, pseudoSum(f, 22, 32, proto, len - skip)));
    }
  }
}

for (const [protocol, samples] of Object.entries(SAMPLES)) {
  Deno.test(`${FRAMES} broken ${protocol} frames: counted, never thrown, nothing grows (seed ${SEED})`, () =>
    kernel({ cpus: 1, debug: Deno.env.has("SOFTC_DEBUG") }, async (k) => {
      const random = generator(SEED);
      const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
      const [x, y] = await link(a, b);
      await inetAddress(y, "10.0.0.2/24");
      await inetAddress(y, "fd00::2/64", { dad: false });
      // What is forwarded goes back to where it came from: a loop, but for its hop limit.
      inetForwarding(b, true);
      inetRoute(b, "10.99.0.0/16", "10.0.0.1");
      const socket = udpOpen(b, { port: 7, buffer: 4 });
      const socket6 = udpOpen(b, { port: 7, family: 6, buffer: 4 });
      socket.join("224.1.2.3", y);
      socket6.join("ff02::1234", y);
      const bodies = samples.map((s) => hex(s));
      const header = [...macOf(y), ...macOf(x)];
      const frame = new Uint8Array(1984);

      const make = (): number => {
        const body = bodies[random(bodies.length)]!;
        frame.set(header);
        frame.set(body, 12);
        let n = 12 + body.length;
        const kind = random(16);
        // Some identifications differ, so that datagrams begin and do not end.
        if (protocol === "fragments") put16(frame, 18, random(4) === 0 ? random(65536) : random(32));
        if (protocol === "fragments6") put16(frame, 60, random(4) === 0 ? random(65536) : random(32));
        if (kind >= 2 && kind < 12) {
          for (let m = random(4) + 1; m > 0; m--) frame[12 + random(n - 12)] = random(256);
        }
        if (random(4) !== 0) seal(frame, n);
        if (kind === 12) n = random(n);
        if (kind === 13) {
          const more = random(1984 - n);
          for (let i = 0; i < more; i++) frame[n + i] = i;
          n += more;
        }
        if (kind === 14) frame[random(n)]! ^= 1 << random(8);
        // Addresses of the frame: to all, to another, from a group.
        if (kind === 15) frame[random(12)] = random(256);
        return n;
      };

      const batch = (): void => {
        a.section((s) => {
          const p = ifunit(s, x.name)!;
          const out = mAlloc(s, 64, 0);
          for (let i = 0; i < out.length; i++) {
            const n = make();
            out.setLen(i, n);
            out.copyFrom(i, frame.subarray(0, n));
          }
          ifOutput(s, p, out);
        });
      };

      const settle = async (): Promise<void> => {
        await new Promise((resolve) => setImmediate(resolve));
        while (await socket.receive(0) !== undefined);
        while (await socket6.receive(0) !== undefined);
      };

      const every = BY_CPU_0.has(protocol) ? 2 : 32;
      let arena = 0;
      let heap = 0;
      for (let sent = 0, n = 0; sent < FRAMES; sent += 64, n++) {
        batch();
        if (n % every === every - 1) await settle();
        if (sent < FRAMES / 4) {
          arena = k.inspect().arenaUsed;
          if (sent + 64 >= FRAMES / 4) heap = Deno.memoryUsage().heapUsed;
        }
      }
      await settle();
      const l = await k.ledger();
      console.log(
        `  ${protocol}: ${JSON.stringify(l.dropped)} delivered ${l.ended.delivered} born ${l.sent}`,
      );
      assertEquals(l.unaccounted, 0);
      assert(l.born.stack >= FRAMES);
      for (const reason of MET[protocol]!) assert((l.dropped[reason] ?? 0) > 0, `${protocol}: no ${reason}`);
      // Fragments and packets for neighbours that do not answer wait, within their limits.
      const waiting = l.live.reduce((sum, x) => sum + x.lives, 0);
      assert(waiting <= 64 * 128 + 64 * 16 + 1024, `${waiting} wait`);
      assertEquals(k.inspect().arenaUsed, arena, "arena");
      assert(Deno.memoryUsage().heapUsed < heap + 32 * 2 ** 20, "heap");
      socket.close();
      socket6.close();
    }));
}
