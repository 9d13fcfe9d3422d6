import { assert, assertEquals, assertGreater } from "@std/assert";
import { BORN, ENDED } from "../../core/memory/counters.ts";
import { PacketBatch } from "../../core/memory/batch.ts";
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifVmove,
  type Kernel,
  pktgen,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, withCleanKernel, withKernel } from "./kit.ts";

/** The ledger closes, while everything runs. */
async function closes(k: Kernel, when: string): Promise<void> {
  assertEquals((await k.ledger()).unaccounted, 0, when);
}

/** Waits until the interface sent more than it had. */
function flows(i: Ifnet): Promise<void> {
  const before = i.counters.opackets;
  return until(`packets through ${i.name}`, () => i.counters.opackets > before);
}

Deno.test("the ledger closes at full traffic on every CPU: detach, move and unload meanwhile", async () => {
  for (const debug of [false, true]) {
    const report = await withCleanKernel({ cpus: 2, debug }, async ({ k, faults }) => {
      for (const m of ["loopback", "null", "epair"]) await k.modules.load(`softc:${m}`);
      await k.modules.load(plugin("slow"));
      const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
      discard(a);
      discard(b);
      const make = async (cloner: string, o = {}): Promise<Ifnet> => {
        const [i] = await ifCloneCreate(a, cloner, o);
        await i.up();
        return i;
      };
      const [x, y] = await ifCloneCreate(a, "epair", { options: { dispatch: "flow" } }) as [Ifnet, Ifnet];
      await x.up();
      await y.up();
      const lo = await make("lo");
      const slow = [await make("slow", { cpu: 0 }), await make("slow", { cpu: 1, options: { room: 40 } })];
      let nul = await make("null");
      const gens = [];
      for (const i of [x, lo, ...slow, nul]) {
        gens.push(await pktgen({ vnet: a, ifnet: i, frame: udpFrame(), batch: 16 }));
        await flows(i);
      }
      await closes(k, "at full traffic");
      for (let round = 0; round < 6; round++) {
        let moved = (await ifVmove(nul, b)).ifnet;
        await closes(k, "interface in b");
        moved = (await ifVmove(moved, a)).ifnet;
        nul = moved;
        await flows(nul);
      }
      let [queued] = slow;
      for (let round = 0; round < 4; round++) {
        queued = (await ifVmove(queued!, round % 2 === 0 ? b : a)).ifnet;
        await closes(k, "ring in another vnet");
      }
      await ifDetach(slow[1]!);
      await closes(k, "detached");
      await ifCloneDestroy(lo);
      await closes(k, "destroyed");
      await k.modules.unload("slow", { mode: "drain" });
      await closes(k, "unloaded");
      await k.modules.unload("epair", { mode: "force" });
      await closes(k, "unloaded by force");
      const counts = await Promise.all(gens.map((g) => g.stop()));
      for (const c of counts) assertGreater(c.reduce((n, s) => n + s.sent, 0), 0);
      await vnetDestroy(a);
      await closes(k, "vnet destroyed");
      assertEquals(faults.map((e) => e.message), []);
    });
    assert(report.perCpu.every((n) => n > 0), `${report.perCpu}`);
    assertEquals(report.sent, report.delivered + Object.values(report.dropped).reduce((n, d) => n + d, 0));
  }
});

Deno.test("books that are taken at once by many callers are all the same kind of true", async () =>
  void await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    await i.up();
    const gen = await pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame() });
    const books = await Promise.all(Array.from({ length: 8 }, () => k.ledger()));
    await gen.stop();
    assertEquals(books.map((l) => l.unaccounted), books.map(() => 0));
  }));

Deno.test("a planted loss shows as exactly 1, a packet that ends twice as -1", async () => {
  const report = await withKernel({ cpus: 2 }, async ({ k, own }) => {
    const { pool, counters } = own.parts.cpu;
    const b = new PacketBatch(pool).reset(0, 0, "freeAll");
    b.n = pool.alloc(b.ids, 0, 2, BORN.stack, 60);
    assertEquals((await k.ledger()).unaccounted, 0);
    // Lost: nobody owns it, and nobody counted its end.
    own.arena.a[pool.headerAt(b.ids[0]!)] = 0;
    assertEquals((await k.ledger()).unaccounted, 1);
    counters.count(ENDED.wire, 2);
    assertEquals((await k.ledger()).unaccounted, -1);
    pool.end(b.ids, 1, 1, ENDED.merged, "freeAll");
    counters.count(BORN.rx, 2);
  });
  assertEquals([report.unaccounted, report.leaks], [1, []]);
});

Deno.test("a packet that a driver keeps is a leak of exactly 1 at shutdown, and names who has it", async () => {
  const report = await withKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(plugin("keeper"));
    const [i] = await ifCloneCreate(k.vnet0, "keeper", { cpu: 1, options: { leak: 1 } });
    await i.up();
    send(k.vnet0, i, frames(10));
    await until("taken", () => i.counters.opackets === 10);
    assertEquals((await k.ledger()).live, [{ owner: `the device of if#${i.index}`, lives: 10 }]);
  });
  assertEquals([report.unaccounted, report.leaks, report.dropped], [0, ["1 mbufs of the device of if#1"], {
    driver: 9,
  }]);
});

Deno.test("a batch that nobody sent is a leak that names its CPU", async () => {
  const report = await withKernel({}, ({ own }) => {
    const ids = new Int32Array(4);
    own.parts.cpu.pool.alloc(ids, 0, 1, BORN.rx, 0);
  });
  assertEquals([report.unaccounted, report.leaks], [0, ["1 mbufs of CPU 0"]]);
});

Deno.test("memory and references that nobody gave back are leaks by name", async () => {
  const report = await withKernel({}, ({ own }) => {
    own.control.heap.alloc(20, "planted block");
  });
  assertEquals(report.leaks, ["128 bytes: planted block"]);
});
