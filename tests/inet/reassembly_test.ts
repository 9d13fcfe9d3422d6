import { assertEquals } from "@std/assert";
import type { Ifnet, Kernel, Vnet } from "../../mod.ts";
import { checksum, pseudoSum, put16 } from "../../vnet/inet/checksum.ts";
import { inetAddress, inetNeighbour, ping, udpOpen } from "../../vnet/mod.ts";
import { hex, kernel, link, macOf, send, until, vnets, watch } from "./kit.ts";

interface Rig {
  readonly family: 4 | 6;
  readonly k: Kernel;
  readonly x: Ifnet;
  readonly y: Ifnet;
  readonly b: Vnet;
}

/** 10.0.0.1 and fd00::1 send pieces by hand to 10.0.0.2 and fd00::2. */
function rig(family: 4 | 6, body: (r: Rig) => Promise<void>): Promise<void> {
  return kernel({ clock: "virtual", debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(y, family === 4 ? "10.0.0.2/24" : "fd00::2/64", { dad: false });
    inetNeighbour(y, family === 4 ? "10.0.0.1" : "fd00::1", x.toJSON().mac);
    await body({ family, k, x, y, b });
  });
}

const FROM6 = "fd000000000000000000000000000001";
const TO6 = "fd000000000000000000000000000002";

/** Sends part of what is fragmented: `bytes`, from byte `at` on, of protocol `proto`. */
function fragment(
  { family, x, y }: Rig,
  bytes: Uint8Array,
  at: number,
  more: boolean,
  ident = 1,
  proto = 17,
): void {
  const header = family === 4 ? 20 : 48;
  const f = new Uint8Array(14 + header + bytes.length);
  f.set([...macOf(y), ...macOf(x)]);
  if (family === 4) {
    f.set([8, 0, 0x45], 12);
    put16(f, 16, 20 + bytes.length);
    put16(f, 18, ident);
    put16(f, 20, (more ? 0x2000 : 0) | at >> 3);
    f.set([64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 22);
    put16(f, 24, checksum(f, 14, 20));
  } else {
    f.set([0x86, 0xdd, 0x60], 12);
    put16(f, 18, 8 + bytes.length);
    f.set([44, 64, ...hex(FROM6 + TO6), proto], 20);
    put16(f, 56, at | (more ? 1 : 0));
    put16(f, 60, ident);
  }
  f.set(bytes, 14 + header);
  send(x, f);
}

/** Sends bytes `from` to `to` of a UDP datagram of 100 bytes of data to port 7. */
function piece(r: Rig, from: number, to: number, last = to === 108, ident = 1, total = 108): void {
  const whole = new Uint8Array(Math.max(total, to));
  whole.fill(0x61);
  whole.set([0, 9, 0, 7, total >> 8, total & 255, 0, 0]);
  if (r.family === 6) {
    const addresses = hex(FROM6 + TO6);
    put16(whole, 6, checksum(whole, 0, total, pseudoSum(addresses, 0, 32, 17, total)));
  }
  fragment(r, whole.subarray(from, to), from, !last, ident);
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3));
const live = async (k: Kernel): Promise<number> => (await k.ledger()).live.reduce((n, l) => n + l.lives, 0);

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: pieces are put together in any order; all but one are merged`, () =>
    rig(family, async (r) => {
      const s = udpOpen(r.b, { port: 7, family });
      for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
        const parts = [[0, 40], [40, 80], [80, 108]] as const;
        for (const n of order) piece(r, parts[n]![0], parts[n]![1]);
        await until("the datagram", () => true);
        assertEquals((await s.receive())?.data.length, 100);
      }
      const l = await r.k.ledger();
      assertEquals([l.ended.merged, l.live], [6, []]);
    }));

  Deno.test(`IPv${family}: what overlaps, contradicts itself or is too long ends with all that came of its datagram`, () =>
    rig(family, async (r) => {
      const s = udpOpen(r.b, { port: 7, family });
      const cases: [string, (() => void)[]][] = [
        ["overlap", [() => piece(r, 0, 48), () => piece(r, 40, 108)]],
        ["the same twice", [() => piece(r, 0, 48), () => piece(r, 0, 48)]],
        ["inside", [() => piece(r, 0, 80), () => piece(r, 16, 32)]],
        ["behind the end", [() => piece(r, 40, 64, true), () => piece(r, 64, 104, false)]],
        ["two ends", [() => piece(r, 40, 64, true), () => piece(r, 80, 108, true)]],
        ["not a multiple of 8", [() => piece(r, 0, 41, false)]],
        ["beyond 65,535", [() => piece(r, 65528 - 8, 65528 + 100, true)]],
      ];
      for (const [name, frames] of cases) {
        const before = (await r.k.ledger()).dropped.fragment ?? 0;
        for (const f of frames) f();
        await turn();
        const l = await r.k.ledger();
        assertEquals([l.dropped.fragment! - before, l.live.length], [frames.length, 0], name);
      }
      s.close();
    }));

  Deno.test(`IPv${family}: at most 64 datagrams wait, for ${family === 4 ? 30 : 60} seconds; then their sender is told and all is counted`, () =>
    rig(family, async (r) => {
      const seen = watch(r.x);
      for (let i = 0; i < 100; i++) {
        piece(r, 0, 48, false, i);
        if (i % 50 === 49) await turn();
      }
      assertEquals(await live(r.k), 64);
      r.k.advance(family === 4 ? 29_000 : 59_000);
      await turn();
      assertEquals(await live(r.k), 64);
      r.k.advance(1_500);
      await until("the end", () => seen.frames.length > 120);
      const l = await r.k.ledger();
      assertEquals([l.dropped.fragment, l.live, l.unaccounted], [100, [], 0]);
      const at = family === 4 ? 34 : 54;
      const told = seen.frames.filter((f) =>
        f.direction === "in" && (family === 4 ? f.bytes[23] === 1 && f.bytes[at] === 11 : f.bytes[at] === 3)
      );
      assertEquals(told.every((f) => f.bytes[at + 1] === 1), true);
      assertEquals(told.length, 64);
      await seen.close();
    }));

  Deno.test(`IPv${family}: at most 128 pieces of one datagram wait`, () =>
    rig(family, async (r) => {
      for (let i = 0; i < 128; i++) {
        piece(r, i * 16, i * 16 + 8, false);
        if (i % 64 === 63) await turn();
      }
      assertEquals(await live(r.k), 128);
      piece(r, 8, 16, false);
      await turn();
      assertEquals(await live(r.k), 0);
      assertEquals((await r.k.ledger()).dropped.fragment, 129);
    }));

  Deno.test(`IPv${family}: what waits when the vnet goes is counted; a ping and a reader that wait end`, () =>
    rig(family, async (r) => {
      piece(r, 0, 48, false);
      await turn();
      assertEquals(await live(r.k), 1);
      const s = udpOpen(r.b, { port: 8, family });
      const reading = s.receive();
      const pinging = ping(r.b, family === 4 ? "10.0.0.77" : "fd00::77");
      await r.k.shutdown();
      assertEquals(await reading, undefined);
      assertEquals((await pinging).received, 0);
    }));
}

Deno.test("a fragment of IPv6 that is the whole packet waits for nobody (RFC 6946)", () =>
  rig(6, async (r) => {
    const s = udpOpen(r.b, { port: 7, family: 6 });
    piece(r, 0, 40);
    piece(r, 0, 108);
    assertEquals((await s.receive(1000))?.data.length, 100);
    assertEquals(await live(r.k), 1, "the other one waits still");
    s.close();
  }));

Deno.test("IPv6: options behind the fragment header, whole or cut (RFC 7112)", () =>
  rig(6, async (r) => {
    const s = udpOpen(r.b, { port: 7, family: 6 });
    const udp = hex(`0009000700180000${"61".repeat(16)}`);
    put16(udp, 6, checksum(udp, 0, 24, pseudoSum(hex(FROM6 + TO6), 0, 32, 17, 24)));
    const all = new Uint8Array([...hex("1100010400000000"), ...udp]);
    fragment(r, all.subarray(0, 16), 0, true, 1, 60);
    fragment(r, all.subarray(16), 16, false, 1, 60);
    assertEquals((await s.receive(1000))?.data.length, 16);
    const seen = watch(r.x);
    fragment(r, all.subarray(0, 8), 0, true, 2, 60);
    await until("the answer", () => seen.frames.some((f) => f.direction === "in" && f.bytes[54] === 4));
    const { bytes } = seen.frames.find((f) => f.direction === "in" && f.bytes[54] === 4)!;
    assertEquals([bytes[55], bytes[61]], [3, 0], "parameter problem: the first fragment has not all headers");
    assertEquals((await r.k.ledger()).dropped.fragment, 1);
    await seen.close();
    s.close();
  }));

Deno.test("IPv6 is told which field of a fragment is wrong (RFC 8200 4.5)", () =>
  rig(6, async (r) => {
    const seen = watch(r.x);
    const told = async (): Promise<number[]> => {
      const is = (f: { bytes: Uint8Array; direction: string }): boolean =>
        f.direction === "in" && f.bytes[20] === 58 && f.bytes[54] === 4;
      await until("the answer", () => seen.frames.some(is));
      const { bytes } = seen.frames.splice(0).find(is)!;
      return [bytes[55]!, bytes[61]!];
    };
    piece(r, 0, 41, false);
    assertEquals(await told(), [0, 4], "payload length");
    fragment(r, new Uint8Array(100), 65528, false);
    assertEquals(await told(), [0, 42], "fragment offset");
    await seen.close();
  }));

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: what nobody takes is refused when it is whole, as when it came whole`, () =>
    rig(family, async (r) => {
      const seen = watch(r.x);
      const at = family === 4 ? 34 : 54;
      const answers = (): number[][] =>
        seen.frames.filter((f) =>
          f.direction === "in" && (family === 4 ? f.bytes[23] === 1 : f.bytes[20] === 58)
        )
          .map((f) => [f.bytes[at]!, f.bytes[at + 1]!]).filter(([type]) => type! < 135);
      piece(r, 0, 40);
      piece(r, 40, 108);
      await until("the answer", () => answers().length === 1);
      fragment(r, new Uint8Array(16), 0, true, 2, 132);
      fragment(r, new Uint8Array(16), 16, false, 2, 132);
      await until("the answer", () => answers().length === 2);
      assertEquals(answers(), family === 4 ? [[3, 3], [3, 2]] : [[1, 4], [4, 1]]);
      const l = await r.k.ledger();
      assertEquals([l.dropped.noproto, l.ended.merged, l.live], [1, 2, []]);
      await seen.close();
    }));

  Deno.test(`IPv${family}: a reader that does not keep up loses datagrams in fragments too`, () =>
    rig(family, async (r) => {
      const s = udpOpen(r.b, { port: 7, family, buffer: 2 });
      for (let i = 0; i < 5; i++) {
        piece(r, 0, 40, false, i);
        piece(r, 40, 108, true, i);
        await turn();
      }
      assertEquals(s.dropped, 3);
      assertEquals((await r.k.ledger()).dropped.full, 3);
      s.close();
    }));

  Deno.test(`IPv${family}: at most 1,024 fragments wait in a vnet`, () =>
    rig(family, async (r) => {
      for (let i = 0; i < 16; i++) {
        for (let n = 0; n < 66; n++) piece(r, n * 16, n * 16 + 8, false, i);
        await turn();
      }
      const waiting = await live(r.k);
      const l = await r.k.ledger();
      assertEquals([waiting <= 1024, waiting + l.dropped.fragment!, l.unaccounted], [true, 16 * 66, 0]);
    }));
}
