import { assert, assertEquals, assertThrows } from "@std/assert";
import { get, load } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import {
  discard,
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifVmove,
  pktgen,
  SoftcError,
  type TapPacket,
  vnetCreate,
} from "../../mod.ts";
import { type Bench, FLOW_AT, frames, send, udpFrame, until, untilAsync, withCleanKernel } from "./kit.ts";
import { inetAddress, udpOpen } from "../../vnet/mod.ts";

function withLoopback(o: { cpus?: number; debug?: boolean }, body: (b: Bench, lo: Ifnet) => Promise<void>) {
  return withCleanKernel(o, async (b) => {
    await b.k.modules.load("softc:loopback");
    discard(b.k.vnet0);
    const [lo] = await ifCloneCreate(b.k.vnet0, "lo");
    await lo.up();
    await body(b, lo);
  });
}

const seq = (p: TapPacket): number => new DataView(p.bytes.buffer, p.bytes.byteOffset).getUint32(FLOW_AT + 4);

Deno.test("[B56] a tap sees each packet once in each direction, with its bytes, length and CPU", async () => {
  const report = await withLoopback({ cpus: 2 }, async ({ k }, lo) => {
    await lo.set({ dispatch: 1 });
    const got: TapPacket[] = [];
    const tap = lo.tap({ onPacket: (p) => void got.push(p), snap: 60 });
    for (let i = 0; i < 5; i++) send(k.vnet0, lo, frames(10, 0, i * 10));
    await until("100 copies", () => got.length >= 100);
    await tap.close();
    for (const [direction, cpu] of [["out", 0], ["in", 1]] as const) {
      const way = got.filter((p) => p.direction === direction);
      assertEquals(way.map(seq), Array.from({ length: 50 }, (_, i) => i));
      assertEquals(
        [...new Set(way.map((p) => `${p.cpu} ${p.bytes.length} ${p.length}`))],
        [`${cpu} 60 64`],
      );
      assertEquals(way[7]!.bytes, udpFrame(0, 7).subarray(0, 60));
    }
    assertEquals([got.length, tap.missed], [100, 0]);
  });
  assertEquals([report.born.copy, report.born.stack, report.ended.delivered], [100, 50, 150]);
});

Deno.test("every tap of an interface sees every packet; a closed one sees none", async () =>
  void await withLoopback({}, async ({ k }, lo) => {
    const counts = [0, 0, 0];
    const taps = counts.map((_, i) => lo.tap({ onPacket: () => void counts[i]!++ }));
    send(k.vnet0, lo, frames(3));
    // What was copied before is still delivered.
    await taps[1]!.close();
    assertEquals(counts[1], 6);
    send(k.vnet0, lo, frames(2));
    await until("the others", () => counts[0] === 10 && counts[2] === 10);
    assertEquals([counts[1], await taps[1]!.close()], [6, undefined]);
    for (const t of taps) await t.close();
  }));

Deno.test("copies that find no room are not made, only counted: the packet itself goes on", async () =>
  void await withLoopback({}, async ({ k }, lo) => {
    let seen = 0;
    const tap = lo.tap({ onPacket: () => void seen++ });
    // One turn of this thread: nobody takes copies out meanwhile.
    for (let i = 0; i < 6; i++) assertEquals(send(k.vnet0, lo, frames(100)).accepted, 100);
    assertEquals(tap.missed, 1200 - 512);
    await until("the copies", () => seen === 512);
    await tap.close();
    assertEquals([seen, tap.missed, (await k.ledger()).dropped], [512, 688, {}]);
  }));

Deno.test("a tap that asks for drops sees what protocols drop, with the reason; one that does not sees each packet once", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    await k.modules.load("softc:epair");
    const [x, y] = await ifCloneCreate(k.vnet0, "epair") as [Ifnet, Ifnet];
    for (const i of [x, y]) await i.up();
    const cut = udpFrame(9, 1).subarray(0, 30);
    const broken = udpFrame(9, 2);
    broken[24]! ^= 1;
    const strange = udpFrame(9, 3);
    strange[12] = 0x88;
    for (const configured of [false, true]) {
      if (configured) await inetAddress(y, "10.0.0.2/24");
      const mac = Uint8Array.from(y.toJSON().mac.split(":"), (h) => parseInt(h, 16));
      const all = [udpFrame(0, 0), cut, broken, strange].map((f) => (f.set(mac), f));
      const seen: string[] = [];
      let plain = 0;
      const taps = [
        y.tap({
          drops: true,
          onPacket: (p) => void (p.direction === "in" && seen.push(`${p.length} ${p.dropped ?? "-"}`)),
        }),
        y.tap({ onPacket: (p) => void (p.direction === "in" && plain++) }),
      ];
      send(k.vnet0, x, all);
      for (const t of taps) await t.close();
      assertEquals(seen.toSorted(), [
        "30 -",
        "30 malformed",
        "64 -",
        "64 -",
        "64 -",
        "64 checksum",
        "64 noproto",
        "64 nosocket",
      ], configured ? "with an address" : "without");
      assertEquals(plain, 4);
    }
    // A packet that the stack made and cannot send came in nowhere.
    let out = 0;
    const tap = y.tap({ drops: true, onPacket: (p) => void (p.direction === "in" && out++) });
    const socket = udpOpen(k.vnet0, { connect: { address: "192.0.2.1", port: 9 } });
    socket.send(new Uint8Array(4));
    socket.close();
    await tap.close();
    assertEquals(out, 0);
  }));

Deno.test("[B56] a tap that is closed is freed after the sections that could have found it, not before", async () =>
  void await withLoopback({ debug: true }, async ({ k, own }, lo) => {
    const { a } = own.arena;
    const tap = lo.tap({ onPacket: () => {} });
    const block = load(a, own.arena.ifnetAt(lo.index) + IFNET.taps);
    const reader = epochOpen(k, "somebody who taps a packet");
    let over = false;
    const closed = tap.close().then(() => void (over = true));
    for (let n = 0; n < 20; n++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      // A freed word throws in debug mode.
      assertEquals([get(a, block), over], [0, false]);
    }
    reader.close();
    await closed;
    assertThrows(() => get(a, block), SoftcError, "SOFTC_ARENA_FREED");
  }));

Deno.test("[B56] taps come and go at full traffic on every CPU, and nothing freed is touched", async () => {
  const report = await withLoopback({ cpus: 2, debug: true }, async ({ k }, lo) => {
    const gen = await pktgen({ vnet: k.vnet0, ifnet: lo, frame: udpFrame(), batch: 8 });
    let seen = 0;
    for (let i = 0; i < 30; i++) {
      const before = seen;
      const taps = [0, 1].map(() => lo.tap({ onPacket: () => void seen++ }));
      await until("a copy", () => seen > before);
      await Promise.all(taps.map((t) => t.close()));
    }
    await gen.stop();
    assert(seen > 0);
  });
  assert(report.perCpu.every((n) => n > 0));
});

Deno.test("debug: a tap outlives its interface and can still be closed", async () =>
  void await withLoopback({ debug: true }, async ({ k, own }, lo) => {
    let seen = 0;
    const tap = lo.tap({ onPacket: () => void seen++ });
    send(k.vnet0, lo, frames(4));
    await ifCloneDestroy(lo);
    await tap.close();
    assertEquals([seen, own.ifs.taps.size], [8, 0]);
  }));

Deno.test("a move takes taps off: nothing of the other vnet is seen, and closing later is safe", async () =>
  void await withLoopback({ debug: true }, async ({ k }, lo) => {
    const v = await vnetCreate(k.vnet0, "v");
    let [before, after] = [0, 0];
    const old = lo.tap({ onPacket: () => void before++ });
    send(k.vnet0, lo, frames(2));
    const { ifnet } = await ifVmove(lo, v);
    const tap = ifnet.tap({ onPacket: () => void after++ });
    send(v, ifnet, frames(3));
    await until("copies in the new vnet", () => after === 6);
    await old.close();
    send(v, ifnet, frames(1));
    await until("the new tap still sees", () => after === 8);
    await tap.close();
    assertEquals(before, 4);
  }));

Deno.test("a listener that throws is reported, and the kernel goes on", async () =>
  void await withLoopback({}, async ({ k, faults }, lo) => {
    let seen = 0;
    const tap = lo.tap({
      onPacket: () => {
        seen++;
        throw new Error("planted");
      },
    });
    send(k.vnet0, lo, frames(1));
    await until("a copy", () => seen > 0 && faults.length > 0);
    await tap.close();
    send(k.vnet0, lo, frames(1));
    await untilAsync("still delivering", async () => (await k.ledger()).ended.delivered === 4);
    assert(faults.every((e) => e.message.includes("planted")), String(faults));
  }));
