/**
 * What a host says of the groups that it hears: RFC 3376 and RFC 2236 over IPv4, RFC 3810 and RFC 2710 over IPv6.
 * Frames are compared byte by byte with what the RFCs draw; Linux judges them in tests/real/tap_groups_test.ts.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ifDetach, type Ifnet, ifVmove, type Kernel, type Vnet } from "../../mod.ts";
import { checksum, pseudoSum, put16 } from "../../vnet/inet/checksum.ts";
import { inetAddress, inetAddresses, udpOpen, type UdpSocket } from "../../vnet/mod.ts";
import { hex, kernel, link, macOf, send, until, vnets, watch } from "./kit.ts";

interface Rig {
  readonly k: Kernel;
  readonly b: Vnet;
  readonly x: Ifnet;
  /** The interface with the groups. */
  readonly y: Ifnet;
  readonly socket: UdpSocket;
  /** What was said since the last call: the group's message without the headers before it, in hexadecimal. */
  said(): string[];
  /** The same, once the clock has moved in steps. */
  later(ms: number): Promise<string[]>;
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
const text = (b: Uint8Array): string => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");

/** Checks all that every message has in common, and gives back its body with a zero checksum. */
function body(f: Uint8Array, family: 4 | 6): string {
  const ip = f.subarray(14);
  if (family === 4) {
    assertEquals(text(ip.subarray(0, 2)), "46c0", "IPv4 with one word of options, internetwork control");
    assertEquals([ip[8], ip[9]], [1, 2], "one hop, IGMP");
    assertEquals(text(ip.subarray(20, 24)), "94040000", "router alert (RFC 2113)");
    assertEquals([checksum(f, 14, 24), checksum(f, 38, f.length - 38)], [0, 0], "checksums");
    assertEquals(text(f.subarray(0, 6)), "01005e" + text(Uint8Array.of(ip[17]! & 127, ip[18]!, ip[19]!)));
    return text(ip.subarray(16, 20)) + " " + text(ip.subarray(24, 26)) + "0000" + text(ip.subarray(28));
  }
  assertEquals([ip[6], ip[7]], [0, 1], "options for every hop, one hop");
  assertEquals(text(ip.subarray(40, 48)), "3a00050200000100", "ICMPv6, router alert (RFC 2711), padding");
  assert(ip[8] === 0xfe || text(ip.subarray(8, 24)) === "00".repeat(16), "from a link-local address or none");
  assertEquals(checksum(f, 62, f.length - 62, pseudoSum(f, 22, 32, 58, f.length - 62)), 0, "checksum");
  assertEquals(text(f.subarray(0, 6)), "3333" + text(ip.subarray(36, 40)));
  return text(ip.subarray(24, 40)) + " " + text(ip.subarray(48, 50)) + "0000" + text(ip.subarray(52));
}

function rig(family: 4 | 6, fn: (r: Rig) => Promise<void>): Promise<void> {
  return kernel({ clock: "virtual", debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(y, family === 4 ? "10.0.0.2/24" : "fd00::2/64", { dad: false });
    k.advance(20_000);
    await turn();
    const seen = watch(y);
    const said = (): string[] =>
      seen.frames.splice(0).filter((f) =>
        f.direction === "out" &&
        (family === 4 ? f.bytes[23] === 2 : f.bytes[12] === 0x86 && f.bytes[20] === 0 && f.bytes[62]! < 144)
      ).map((f) => body(f.bytes, family));
    const socket = udpOpen(b, { family });
    await fn({
      k,
      b,
      x,
      y,
      socket,
      said,
      async later(ms) {
        const step = Math.max(100, ms / 50);
        for (let t = 0; t < ms; t += step) {
          k.advance(Math.min(step, ms - t));
          await turn();
        }
        return said();
      },
    });
    socket.close();
    await seen.close();
  });
}

/** Sends a message as a router on the link does. */
async function asks({ x }: Rig, family: 4 | 6, to: string, message: string, hops = 1): Promise<void> {
  const m = hex(message);
  const f = new Uint8Array((family === 4 ? 38 : 62) + m.length);
  if (family === 4) {
    f.set([1, 0, 0x5e, 0, 0, 1, ...macOf(x), 8, 0]);
    f.set(
      hex(`46c0${(24 + m.length).toString(16).padStart(4, "0")}00000000010200000a000001${to}94040000`),
      14,
    );
    put16(f, 24, checksum(f, 14, 24));
    f.set(m, 38);
    put16(f, 40, checksum(m, 0, m.length));
  } else {
    f.set([0x33, 0x33, 0, 0, 0, 1, ...macOf(x), 0x86, 0xdd]);
    f.set(hex(`60000000${(8 + m.length).toString(16).padStart(4, "0")}000${hops}`), 14);
    f.set(hex(`fe80000000000000000000000000000a${to}3a00050200000100`), 22);
    f.set(m, 62);
    put16(f, 64, checksum(f, 62, m.length, pseudoSum(f, 22, 32, 58, m.length)));
  }
  send(x, f);
  await turn();
}

const ALL4 = "e0000001";
const ALL6 = "ff020000000000000000000000000001";
const G6 = "ff020000000000000000000000001234";
/** The group of ::2's solicitations. */
const S6 = "ff0200000000000000000001ff000002";
const V2 = "ff020000000000000000000000000016";

Deno.test("IGMPv3: a join and a leave are reported, each once more within a second", () =>
  rig(4, async (r) => {
    r.socket.join("224.1.2.3", r.y);
    await turn();
    assertEquals(r.said(), ["e0000016 220000000000000104000000e0010203"], "change to exclude nothing");
    assertEquals(await r.later(1000), ["e0000016 220000000000000104000000e0010203"]);
    assertEquals(await r.later(5000), []);
    const other = udpOpen(r.b, {});
    other.join("224.1.2.3", r.y);
    assertEquals(r.socket.leave("224.1.2.3", r.y), true);
    assertEquals(await r.later(2000), [], "somebody hears it still");
    other.close();
    await turn();
    assertEquals(r.said(), ["e0000016 220000000000000103000000e0010203"], "change to include nothing");
    assertEquals(await r.later(1000), ["e0000016 220000000000000103000000e0010203"]);
    assertEquals(await r.later(5000), []);
  }));

Deno.test("IGMPv3: queries are answered within the time that they allow", () =>
  rig(4, async (r) => {
    r.socket.join("224.1.2.3", r.y);
    r.socket.join("224.9.9.9", r.y);
    await r.later(2000);
    // Maximum 2 seconds (20 tenths), about all groups.
    await asks(r, 4, ALL4, "1114000000000000027d0000");
    assertEquals(await r.later(2000), [
      "e0000016 220000000000000202000000e001020302000000e0090909",
    ], "both in one report: mode is exclude");
    await asks(r, 4, "e0010203", "11140000e0010203027d0000");
    assertEquals(await r.later(2000), ["e0000016 220000000000000102000000e0010203"]);
    await asks(r, 4, "e0010203", "11140000e0050505027d0000");
    assertEquals(await r.later(2000), [], "not heard here");
    // 0x8f = (15 + 16) * 8 tenths: 24.8 seconds (RFC 3376 4.1.1), so two questions have one answer.
    await asks(r, 4, ALL4, "118f000000000000027d0000");
    await asks(r, 4, ALL4, "118f000000000000027d0000");
    assertEquals((await r.later(24_800)).length, 1);
  }));

Deno.test("IGMPv2: an older querier is spoken to in its version for 260 seconds; others' reports suffice", () =>
  rig(4, async (r) => {
    r.socket.join("224.1.2.3", r.y);
    await r.later(2000);
    await asks(r, 4, ALL4, "1114000000000000");
    assertEquals(await r.later(2000), ["e0010203 16000000e0010203"]);
    await asks(r, 4, ALL4, "1114000000000000");
    await asks(r, 4, "e0010203", "16000000e0010203");
    assertEquals(await r.later(2000), [], "another one has said it");
    r.socket.join("224.9.9.9", r.y);
    await turn();
    assertEquals(r.said(), ["e0090909 16000000e0090909"]);
    assertEquals(await r.later(10_000), ["e0090909 16000000e0090909"]);
    r.socket.leave("224.9.9.9", r.y);
    await turn();
    assertEquals(r.said(), ["e0000002 17000000e0090909"], "to all routers, once");
    assertEquals(await r.later(2000), []);
    // The newer version again, when nobody has asked in the older one.
    await r.later(250_000);
    await asks(r, 4, ALL4, "1114000000000000027d0000");
    assertEquals(await r.later(2000), ["e0000016 220000000000000102000000e0010203"]);
    // IGMPv1: no maximum, no leaves.
    await asks(r, 4, ALL4, "1100000000000000");
    assertEquals(await r.later(10_000), ["e0010203 12000000e0010203"]);
    r.socket.leave("224.1.2.3", r.y);
    assertEquals(await r.later(2000), []);
  }));

Deno.test("MLDv2: groups of sockets and of solicitations are reported, queries answered", () =>
  rig(6, async (r) => {
    r.socket.join("ff02::1234", r.y);
    await turn();
    assertEquals(r.said(), [`${V2} 8f0000000000000104000000${G6}`]);
    assertEquals(await r.later(1000), [`${V2} 8f0000000000000104000000${G6}`]);
    await asks(r, 6, ALL6, `8200000007d00000${"00".repeat(16)}027d0000`);
    const [all, ...rest] = await r.later(2000);
    assertEquals(rest, []);
    for (const g of [G6, S6]) assert(all!.includes(`02000000${g}`), `${g} in ${all}`);
    assert(!all!.includes(ALL6), "all nodes is never reported");
    await asks(r, 6, G6, `8200000007d00000${G6}027d0000`);
    assertEquals(await r.later(2000), [`${V2} 8f0000000000000102000000${G6}`]);
    await asks(r, 6, ALL6, `8200000007d00000${"00".repeat(16)}027d0000`, 2);
    assertEquals(await r.later(2000), [], "came through a router: ignored");
    assertEquals((await r.k.ledger()).dropped.malformed, 1);
    r.socket.leave("ff02::1234", r.y);
    await turn();
    assertEquals(r.said(), [`${V2} 8f0000000000000103000000${G6}`]);
    const [address] = inetAddresses(r.y).filter((n) => n.prefix === "fd00::2/64");
    await r.later(1000);
    address!.remove();
    await turn();
    assertEquals(r.said(), [`${V2} 8f0000000000000103000000${S6}`], "nobody asks for it any more");
    await r.later(1000);
  }));

Deno.test("MLDv1: an older querier is spoken to in its version", () =>
  rig(6, async (r) => {
    await asks(r, 6, ALL6, `8200000007d00000${"00".repeat(16)}`);
    await r.later(2000);
    r.socket.join("ff02::1234", r.y);
    await turn();
    assertEquals(r.said(), [`${G6} 8300000000000000${G6}`]);
    await r.later(10_000);
    await asks(r, 6, G6, `8200000007d00000${G6}`);
    assertEquals(await r.later(2000), [`${G6} 8300000000000000${G6}`]);
    r.socket.leave("ff02::1234", r.y);
    await turn();
    assertEquals(r.said(), [`ff020000000000000000000000000002 8400000000000000${G6}`]);
  }));

Deno.test("what is never reported: all hosts, all nodes, what does not leave the interface", () =>
  rig(6, async (r) => {
    for (const g of ["ff02::1", "ff01::1234"]) r.socket.join(g, r.y);
    const four = udpOpen(r.b, {});
    four.join("224.0.0.1", r.y);
    assertEquals(await r.later(2000), []);
    four.close();
  }));

Deno.test("R32: leaving after the interface went away, or in another vnet, says nothing", () =>
  rig(4, async (r) => {
    r.socket.join("224.1.2.3", r.y);
    const later = udpOpen(r.b, {});
    later.join("224.9.9.9", r.y);
    const { ifnet: moved } = await ifVmove(r.y, r.k.vnet0, { name: "moved" });
    await turn();
    r.said();
    const seen = watch(moved);
    assertEquals(r.socket.leave("224.1.2.3", r.y), true);
    await ifDetach(moved);
    later.close();
    assertEquals([await r.later(2000), seen.frames], [[], []]);
    await seen.close();
  }));

Deno.test("what was joined while the interface was down is said when it comes up", () =>
  rig(4, async (r) => {
    await r.y.down();
    r.socket.join("224.1.2.3", r.y);
    assertEquals(await r.later(2000), []);
    await r.y.up();
    await until("the report", () => r.said().length === 1);
  }));

Deno.test("two hundred groups are reported in packets that fit", () =>
  rig(4, async (r) => {
    for (let i = 0; i < 200; i++) r.socket.join(`224.5.0.${i}`, r.y);
    await r.later(2000);
    await asks(r, 4, ALL4, "1114000000000000027d0000");
    const reports = await r.later(2000);
    assertEquals(reports.map((t) => parseInt(t.slice(21, 25), 16)), [152, 48]);
  }));

Deno.test("broken messages are counted, by reason", () =>
  rig(4, async (r) => {
    r.socket.join("224.1.2.3", r.y);
    await r.later(2000);
    const { dropped } = await r.k.ledger();
    await asks(r, 4, ALL4, "111400000000");
    await asks(r, 4, ALL4, "111400000000000001");
    const after = (await r.k.ledger()).dropped;
    assertEquals(after.malformed! - (dropped.malformed ?? 0), 2);
    assertEquals(await r.later(2000), []);
  }));
