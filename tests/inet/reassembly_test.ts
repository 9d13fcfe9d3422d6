import { assertEquals } from "@std/assert";
import type { Ifnet, Kernel, Vnet } from "../../mod.ts";
import { checksum, put16 } from "../../vnet/inet/checksum.ts";
import { inetAddress, inetNeighbour, udpOpen } from "../../vnet/mod.ts";
import { kernel, link, macOf, send, until, vnets, watch } from "./kit.ts";

interface Rig {
  readonly k: Kernel;
  readonly x: Ifnet;
  readonly y: Ifnet;
  readonly b: Vnet;
}

/** 10.0.0.1 sends pieces by hand to 10.0.0.2. */
function rig(body: (r: Rig) => Promise<void>): Promise<void> {
  return kernel({ clock: "virtual", debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(y, "10.0.0.2/24");
    inetNeighbour(y, "10.0.0.1", x.toJSON().mac);
    await body({ k, x, y, b });
  });
}

/** Sends bytes `from` to `to` of a UDP datagram of 100 bytes of data to port 7, without a checksum. */
function piece({ x, y }: Rig, from: number, to: number, last = to === 108, ident = 1, total = 108): void {
  const whole = new Uint8Array(Math.max(total, to));
  whole.fill(0x61);
  whole.set([0, 9, 0, 7, total >> 8, total & 255, 0, 0]);
  const f = new Uint8Array(34 + to - from);
  f.set([...macOf(y), ...macOf(x), 8, 0, 0x45]);
  put16(f, 16, 20 + to - from);
  put16(f, 18, ident);
  put16(f, 20, (last ? 0 : 0x2000) | from >> 3);
  f.set([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 22);
  put16(f, 24, checksum(f, 14, 20));
  f.set(whole.subarray(from, to), 34);
  send(x, f);
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3));
const live = async (k: Kernel): Promise<number> => (await k.ledger()).live.reduce((n, l) => n + l.lives, 0);

Deno.test("pieces are put together in any order; all but one are merged", () =>
  rig(async (r) => {
    const s = udpOpen(r.b, { port: 7 });
    for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
      const parts = [[0, 40], [40, 80], [80, 108]] as const;
      for (const n of order) piece(r, parts[n]![0], parts[n]![1]);
      await until("the datagram", () => true);
      assertEquals((await s.receive())?.data.length, 100);
    }
    const l = await r.k.ledger();
    assertEquals([l.ended.merged, l.live], [6, []]);
  }));

Deno.test("what overlaps, contradicts itself or is too long ends with all that came of its datagram", () =>
  rig(async (r) => {
    const s = udpOpen(r.b, { port: 7 });
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

Deno.test("at most 64 datagrams wait, for 30 seconds; then their sender is told and all is counted", () =>
  rig(async (r) => {
    const seen = watch(r.x);
    for (let i = 0; i < 100; i++) {
      piece(r, 0, 48, false, i);
      if (i % 50 === 49) await turn();
    }
    assertEquals(await live(r.k), 64);
    r.k.advance(29_000);
    await turn();
    assertEquals(await live(r.k), 64);
    r.k.advance(1_500);
    await until("the end", () => seen.frames.length > 120);
    const l = await r.k.ledger();
    assertEquals([l.dropped.fragment, l.live, l.unaccounted], [100, [], 0]);
    const told = seen.frames.filter((f) => f.direction === "in" && f.bytes[23] === 1 && f.bytes[34] === 11);
    assertEquals(told.every((f) => f.bytes[35] === 1), true);
    assertEquals(told.length, 64);
    await seen.close();
  }));

Deno.test("at most 128 pieces of one datagram wait", () =>
  rig(async (r) => {
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

Deno.test("what waits when the vnet goes is counted; a ping and a reader that wait end", () =>
  rig(async (r) => {
    piece(r, 0, 48, false);
    await turn();
    assertEquals(await live(r.k), 1);
    const s = udpOpen(r.b, { port: 8 });
    const reading = s.receive();
    const { ping } = await import("../../vnet/mod.ts");
    const pinging = ping(r.b, "10.0.0.77");
    await r.k.shutdown();
    assertEquals(await reading, undefined);
    assertEquals((await pinging).received, 0);
  }));
