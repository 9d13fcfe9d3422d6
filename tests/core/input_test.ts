import { assert, assertEquals } from "@std/assert";
import { MAIL } from "../../core/cpu/mailbox.ts";
import { get, notify, store } from "../../core/doors/arena.ts";
import { CPU, INPUT_RING } from "../../core/memory/arena.ts";
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifVmove,
  type TapPacket,
  vnetCreate,
} from "../../mod.ts";
import {
  type Bench,
  FLOW_AT,
  frames,
  plugin,
  send,
  udpFrame,
  until,
  untilAsync,
  withCleanKernel,
} from "./kit.ts";
import { resetScript, script } from "../plugins/script.ts";

/** A kernel with a loopback that is up and a discard service. */
function withLoopback(cpus: number, body: (b: Bench, lo: Ifnet) => Promise<void>) {
  return withCleanKernel({ cpus }, async (b) => {
    await b.k.modules.load("softc:loopback");
    discard(b.k.vnet0);
    const [lo] = await ifCloneCreate(b.k.vnet0, "lo");
    await lo.up();
    await body(b, lo);
  });
}

/** Everything that the interface receives. */
function received(i: Ifnet): TapPacket[] {
  const got: TapPacket[] = [];
  i.tap({ onPacket: (p) => void (p.direction === "in" && got.push(p)) });
  return got;
}

/** Stops CPU `k` between turns, as a check of the ledger does; the answer lets it go on. */
async function park({ own }: Bench, k: number): Promise<() => void> {
  const { a } = own.arena;
  const word = (cpu: number): number => own.arena.cpuAt(cpu) + CPU.parked;
  const round = get(a, word(0)) + 1;
  await own.control.ask(k, MAIL.park, { a: round, label: "park" });
  return () => {
    for (const cpu of own.control.everyCpu) {
      store(a, word(cpu), round);
      notify(a, word(cpu));
    }
  };
}

const u32 = (p: TapPacket, at: number): number =>
  new DataView(p.bytes.buffer, p.bytes.byteOffset).getUint32(at);

Deno.test("received packets are processed on the CPU that the interface names, in order", async () =>
  void await withLoopback(3, async ({ k }, lo) => {
    const got = received(lo);
    for (const cpu of [2, 1, 0]) {
      await lo.set({ dispatch: cpu });
      send(k.vnet0, lo, frames(50));
      await until(`50 packets on CPU ${cpu}`, () => got.length === 50);
      assertEquals([...new Set(got.map((p) => p.cpu))], [cpu]);
      assertEquals(got.map((p) => u32(p, FLOW_AT + 4)), Array.from({ length: 50 }, (_, i) => i));
      got.length = 0;
    }
    assertEquals((await k.ledger()).ended.delivered, 150 + 150 + 150);
  }));

Deno.test("dispatch by flow keeps each flow on one CPU, in order, and uses every CPU", async () =>
  void await withLoopback(3, async ({ k }, lo) => {
    const got = received(lo);
    await lo.set({ dispatch: "flow" });
    const flows = 24;
    for (let seq = 0; seq < 10; seq++) {
      send(k.vnet0, lo, Array.from({ length: flows }, (_, flow) => udpFrame(flow, seq)));
    }
    await until("all packets", () => got.length === flows * 10);
    const home = new Map<number, number>();
    const last = new Map<number, number>();
    for (const p of got) {
      const flow = u32(p, FLOW_AT);
      assertEquals(home.get(flow) ?? p.cpu, p.cpu, `flow ${flow}`);
      home.set(flow, p.cpu);
      assertEquals(u32(p, FLOW_AT + 4), (last.get(flow) ?? -1) + 1, `flow ${flow}`);
      last.set(flow, u32(p, FLOW_AT + 4));
    }
    assertEquals(new Set(home.values()).size, 3);
  }));

for (const cpus of [2, 3]) {
  Deno.test(`dispatch by flow looks at no packet that it has given away (${cpus} CPUs)`, async () => {
    // The sanitizer overwrites what is freed: a packet that is looked at again has another flow.
    await withCleanKernel({ cpus, debug: true }, async ({ k, faults }) => {
      await k.modules.load("softc:loopback");
      discard(k.vnet0);
      const [lo] = await ifCloneCreate(k.vnet0, "lo");
      await lo.up();
      await lo.set({ dispatch: "flow" });
      send(k.vnet0, lo, Array.from({ length: 100 }, (_, flow) => udpFrame(flow, 0)));
      await untilAsync("all are delivered", async () => (await k.ledger()).live.length === 0);
      // Taken by the loopback's wire, then by the service.
      assertEquals([lo.counters.ipackets, (await k.ledger()).ended.delivered, faults], [100, 100, []]);
    });
  });
}

Deno.test("a cross-connected interface sends on what it receives, in the same vnet only", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    resetScript();
    await k.modules.load(plugin("script"));
    await k.modules.load("softc:epair");
    const [a, b] = await ifCloneCreate(k.vnet0, "epair") as [Ifnet, Ifnet];
    const [out] = await ifCloneCreate(k.vnet0, "script");
    for (const i of [a, b, out]) await i.up();
    await b.set({ xconnect: out });
    send(k.vnet0, a, frames(4));
    assertEquals([out.counters.opackets, b.counters.ipackets], [4, 4]);
    // The other one leaves: what comes is dropped, never sent into the wrong vnet.
    const v = await vnetCreate(k.vnet0, "v");
    const moved = await ifVmove(out, v);
    send(k.vnet0, a, frames(3));
    assertEquals([moved.ifnet.counters.opackets, (await k.ledger()).dropped], [4, { gone: 3 }]);
    await b.set({ xconnect: null });
    send(k.vnet0, a, frames(2));
    assertEquals((await k.ledger()).dropped, { gone: 3, nosocket: 2 });
  }));

Deno.test("[B49 B55] what was queued for another CPU before its interface moved is dropped, never re-attributed", async () =>
  void await withLoopback(2, async (bench, lo) => {
    const { k } = bench;
    const v = await vnetCreate(k.vnet0, "v");
    discard(v);
    await lo.set({ dispatch: 1 });
    const release = await park(bench, 1);
    send(k.vnet0, lo, frames(10));
    const { ifnet } = await ifVmove(lo, v);
    send(v, ifnet, frames(4));
    release();
    await untilAsync("the queue is empty", async () => (await k.ledger()).live.length === 0);
    const { dropped, ended } = await k.ledger();
    assertEquals([dropped, ended.delivered, ifnet.counters.ipackets], [{ gone: 10 }, 4, 4]);
  }));

Deno.test("input for a CPU that does not keep up is dropped when its ring is full, and counted", async () =>
  void await withLoopback(2, async (bench, lo) => {
    const { k } = bench;
    await lo.set({ dispatch: 1 });
    const release = await park(bench, 1);
    for (let i = 0; i < 6; i++) assertEquals(send(k.vnet0, lo, frames(200)).accepted, 200);
    release();
    await untilAsync("the queue is empty", async () => (await k.ledger()).live.length === 0);
    const { dropped, ended } = await k.ledger();
    assertEquals([dropped, ended.delivered], [{ backlog: 1200 - INPUT_RING }, INPUT_RING]);
    assertEquals(lo.counters.iqdrops, 1200 - INPUT_RING);
  }));

Deno.test("what no protocol takes, is too short, or is not what it says is dropped with its reason", async () =>
  void await withLoopback(1, async ({ k }, lo) => {
    const strange = udpFrame();
    strange[12] = 0x88;
    const broken = udpFrame();
    broken[24]! ^= 1;
    const cut = udpFrame().subarray(0, 30);
    send(k.vnet0, lo, [strange, udpFrame(), broken, strange, cut, new Uint8Array(13), udpFrame()]);
    const { dropped, ended } = await k.ledger();
    assertEquals([dropped, ended.delivered], [{ noproto: 2, malformed: 2, checksum: 1 }, 2]);
  }));

Deno.test("a driver's input is dropped while its interface is down, and after it is gone", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    resetScript();
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    const dev = script.dev!;
    const give = (n: number): void => {
      const b = dev.alloc(n);
      for (let j = 0; j < n; j++) b.copyFrom(j, udpFrame(0, j));
      dev.ifInput(b);
    };
    give(2);
    await i.up();
    give(3);
    assertEquals((await k.ledger()).dropped, { down: 2, nosocket: 3 });
    await ifCloneDestroy(i);
    give(4);
    assertEquals((await k.ledger()).dropped, { down: 2, nosocket: 3, detached: 4 });
    assert(dev.signal.aborted);
  }));

Deno.test("a backlog that is full drops what does not fit: counted as the interface's, shown to its taps", async () =>
  void await withCleanKernel({ mbufs: 16384, arena: 64 << 20 }, async ({ k }) => {
    resetScript();
    await k.modules.load(plugin("script"));
    discard(k.vnet0);
    const [i] = await ifCloneCreate(k.vnet0, "script", { cpu: 0 });
    await i.up();
    let [seen, dropped] = [0, 0];
    const tap = i.tap({
      drops: true,
      snap: 1,
      onPacket: (p) => p.dropped === "backlog" ? dropped++ : seen++,
    });
    // From inside a hook everything waits in the backlog, which holds 4096.
    script.transmit = (b, dev) => {
      for (let round = 0; round < 21; round++) {
        const rx = dev.alloc(200);
        for (let j = 0; j < rx.length; j++) rx.copyFrom(j, udpFrame(0, j));
        dev.ifInput(rx);
      }
      return b.freeAll();
    };
    send(k.vnet0, i, frames(1));
    await untilAsync("the backlog is empty", async () => (await k.ledger()).live.length === 0);
    const lost = 4200 - 4096;
    const { ipackets, iqdrops } = i.counters;
    assertEquals([ipackets, iqdrops, (await k.ledger()).dropped], [4096, lost, { backlog: lost }]);
    await tap.close();
    assertEquals(dropped + seen + tap.missed, 1 + 4096 + lost);
    assertEquals(dropped, lost);
  }));
