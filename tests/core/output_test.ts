import { assert, assertEquals } from "@std/assert";
import { ACCESS, type DoorWatch, watchDoor } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { RING } from "../../core/memory/ring.ts";
import { consume } from "../../core/net/output.ts";
import {
  ERRNO,
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  ifVmove,
  type Kernel,
  mAlloc,
  pktgen,
  type SoftcError,
  vnetCreate,
} from "../../mod.ts";
import {
  type Bench,
  driverCounters,
  FLOW_AT,
  frames,
  plugin,
  send,
  udpFrame,
  until,
  untilAsync,
  withCleanKernel,
} from "./kit.ts";
import { mirror } from "../plugins/mirror.ts";
import { resetScript, script } from "../plugins/script.ts";

async function make(k: Kernel, cloner: string, o = {}): Promise<Ifnet> {
  const [i] = await ifCloneCreate(k.vnet0, cloner, o);
  await i.up();
  return i;
}

/** A kernel with an interface of the scripted driver, on CPU 0. */
async function scripted(o: { cpus?: number; debug?: boolean }, body: (b: Bench, i: Ifnet) => Promise<void>) {
  resetScript();
  return await withCleanKernel(o, async (b) => {
    await b.k.modules.load(plugin("script"));
    await body(b, await make(b.k, "script", { cpu: 0 }));
  });
}

/** Sequence number of a packet. */
function seq(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(FLOW_AT + 4);
}

Deno.test("run to completion: the caller's CPU calls transmit before ifOutput returns", async () =>
  void await scripted({}, async ({ k }, i) => {
    const log: string[] = [];
    script.transmit = (b) => {
      log.push(`transmit ${b.length}`);
      return b.freeAll();
    };
    const sent = send(k.vnet0, i, frames(5));
    log.push("returned");
    assertEquals([log, sent], [["transmit 5", "returned"], { n: 5, accepted: 5, errno: ERRNO.OK }]);
    const { opackets, obytes, oqdrops } = i.counters;
    assertEquals([opackets, obytes, oqdrops], [5, 320, 0]);
    await Promise.resolve();
  }));

Deno.test("[B54] through a ring: another CPU's driver gets every packet, in the order of each flow", async () => {
  const report = await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(plugin("slow"));
    const i = await make(k, "slow", { cpu: 1 });
    let accepted = 0;
    for (let from = 0; from < 4000; from += 8) {
      for (const flow of [1, 2]) {
        await until("room", () => i.counters.opackets > accepted - 200);
        accepted += send(k.vnet0, i, frames(8, flow, from), flow).accepted;
      }
    }
    await until("all sent", () => i.counters.opackets === accepted);
    assertEquals(accepted, 8000);
    const { packets, misordered = 0 } = await driverCounters(i);
    assertEquals([packets, misordered], [8000, 0]);
  });
  assertEquals([report.ended.wire, report.dropped, report.perCpu[1]], [8000, {}, 8000]);
});

Deno.test("[B51] a down interface refuses: ENETDOWN, counted, and nothing reaches the driver", async () =>
  void await scripted({}, async ({ k }, i) => {
    let calls = 0;
    script.transmit = (b) => {
      calls++;
      return b.freeAll();
    };
    await i.down();
    assertEquals(send(k.vnet0, i, frames(3)), { n: 3, accepted: 0, errno: ERRNO.ENETDOWN });
    const { dropped } = await k.ledger();
    assertEquals([calls, dropped, i.counters.oqdrops], [0, { down: 3 }, 3]);
    await i.up();
    assertEquals(send(k.vnet0, i, frames(3)).accepted, 3);
  }));

Deno.test("[B52] a full ring drops what does not fit: ENOBUFS, counted, and nothing throws", async () =>
  void await scripted({}, async ({ k }, i) => {
    let room = 0;
    script.transmit = (b) => {
      const n = Math.min(room, b.length);
      room -= n;
      return n;
    };
    assertEquals(send(k.vnet0, i, frames(40)), { n: 40, accepted: 40, errno: ERRNO.OK });
    assertEquals(send(k.vnet0, i, frames(40, 0, 40)), { n: 40, accepted: 24, errno: ERRNO.ENOBUFS });
    assertEquals(send(k.vnet0, i, frames(4, 0, 90)), { n: 4, accepted: 0, errno: ERRNO.ENOBUFS });
    assertEquals([(await k.ledger()).dropped, i.counters.oqdrops], [{ full: 20 }, 20]);
    room = Infinity;
    script.dev!.txWake(0);
    await until("the queue is empty", () => i.counters.opackets === 64);
  }));

Deno.test("a driver on every CPU has no ring: what it does not take is dropped as full", async () => {
  const report = await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(plugin("half"));
    const i = await make(k, "half");
    assertEquals(send(k.vnet0, i, frames(10)), { n: 10, accepted: 5, errno: ERRNO.ENOBUFS });
  });
  assertEquals([report.ended.wire, report.dropped], [5, { full: 5 }]);
});

Deno.test("[B53 B54] partial accept and txWake lose nothing and keep the order, on the driver's CPU and on another", async () => {
  for (const cpu of [0, 1]) {
    await withCleanKernel({ cpus: 2 }, async ({ k }) => {
      await k.modules.load(plugin("slow"));
      const i = await make(k, "slow", { cpu, options: { room: 7 } });
      let accepted = 0;
      for (let from = 0; from < 2000; from += 20) {
        await until("room", () => accepted - i.counters.opackets < 200);
        accepted += send(k.vnet0, i, frames(20, 1, from)).accepted;
      }
      assertEquals(accepted, 2000);
      await until(`all sent by CPU ${cpu}`, () => i.counters.opackets === 2000);
      const { packets, misordered = 0, calls } = await driverCounters(i);
      assertEquals([packets, misordered], [2000, 0]);
      assert(calls! >= 2000 / 7, `${calls} calls of at most 7 packets`);
    });
  }
});

Deno.test("[B53 B54] while packets wait in the ring, the driver's own CPU queues behind them", async () =>
  void await scripted({}, async ({ k }, i) => {
    const got: number[] = [];
    let room = 2;
    script.transmit = (b) => {
      const n = Math.min(room, b.length);
      for (let j = 0; j < n; j++) got.push(seq(b.bytes(j)));
      room -= n;
      return n;
    };
    send(k.vnet0, i, frames(4));
    room = 100;
    send(k.vnet0, i, frames(2, 0, 4));
    assertEquals(got, [0, 1]);
    script.dev!.txWake(0);
    await until("all", () => got.length === 6);
    assertEquals(got, [0, 1, 2, 3, 4, 5]);
  }));

Deno.test("[B49] packets that were queued before a move are dropped as moved, never sent in the other vnet", async () =>
  void await scripted({}, async ({ k }, i) => {
    const b = await vnetCreate(k.vnet0, "b");
    const got: number[] = [];
    let room = 0;
    script.transmit = (x) => {
      const n = Math.min(room, x.length);
      for (let j = 0; j < n; j++) got.push(seq(x.bytes(j)));
      return n;
    };
    send(k.vnet0, i, frames(10));
    const { ifnet, dropped, flushed } = await ifVmove(i, b, { flushMs: 1 });
    assertEquals([dropped, flushed], [10, 0]);
    room = 100;
    send(b, ifnet, frames(3, 0, 100));
    await until("sent", () => got.length === 3);
    assertEquals([got, (await k.ledger()).dropped], [[100, 101, 102], { moved: 10 }]);
  }));

Deno.test("[B49] the stamp is the barrier: a consumer that meets old entries drops them without any purge", async () =>
  void await scripted({}, async ({ k, own }, i) => {
    const { net } = own.parts;
    const got: number[] = [];
    let room = 0;
    script.transmit = (x) => {
      const n = Math.min(room, x.length);
      for (let j = 0; j < n; j++) got.push(seq(x.bytes(j)));
      return n;
    };
    send(k.vnet0, i, frames(6));
    // Two links later, as after a move, and nobody purged: the entries still carry the old gencnt.
    own.arena.a[own.arena.ifnetAt(i.index)]! += 2;
    room = 100;
    const q = net.queues.find((x) => x.index === i.index)!;
    q.blocked = false;
    assertEquals(consume(net, q, q.rings[0]!, 128), 6);
    own.arena.a[own.arena.ifnetAt(i.index)]! -= 2;
    assertEquals([got, (await k.ledger()).dropped], [[], { moved: 6 }]);
  }));

Deno.test("stale and valid entries in one ring: the valid ones are sent", async () =>
  void await scripted({}, async ({ k, own }, i) => {
    const got: number[] = [];
    script.transmit = () => 0;
    send(k.vnet0, i, frames(3));
    const q = own.parts.net.queues.find((x) => x.index === i.index)!;
    const { a } = own.arena;
    // The stamp of the first two is made that of an earlier link, and the third begins a run of its own.
    const ids = q.rings[0]! + RING.entries;
    const stamps = ids + a[q.rings[0]! + RING.mask]! + 1;
    a[ids + 2] = ~a[ids + 2]!;
    a[stamps + 2] = a[stamps]!;
    a[stamps]! -= 2;
    script.transmit = (x) => {
      for (let j = 0; j < x.length; j++) got.push(seq(x.bytes(j)));
      return x.freeAll();
    };
    script.dev!.txWake(0);
    await until("the third", () => got.length === 1);
    assertEquals([got, (await k.ledger()).dropped], [[2], { moved: 2 }]);
  }));

Deno.test("[B18] what waits in a queue is purged and counted when the interface is detached", async () =>
  void await scripted({}, async ({ k }, i) => {
    script.transmit = () => 0;
    send(k.vnet0, i, frames(12));
    await ifDetach(i);
    assertEquals([(await k.ledger()).dropped, i.counters.oqdrops], [{ purged: 12 }, 12]);
  }));

Deno.test("a hook is never re-entered: input from inside it waits in the backlog, and goes round from there", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    const hops = 3000;
    Object.assign(mirror, { calls: 0, depth: 0, deepest: 0, hops });
    await k.modules.load(plugin("mirror"));
    const [x, y] = [await make(k, "mirror"), await make(k, "mirror")];
    // What one receives leaves through the other, whose hook gives it back as received: round and round.
    await x.set({ xconnect: y });
    await y.set({ xconnect: x });
    send(k.vnet0, x, frames(2));
    await until("all hops", () => mirror.calls >= hops);
    assertEquals([mirror.deepest, x.counters.opackets + y.counters.opackets], [1, 2 * hops]);
  }));

Deno.test("sending through what was looked up in another section throws", async () =>
  void await scripted({}, async ({ k }, i) => {
    const p = k.vnet0.section((s) => ifnetByHandle(s, i.handle))!;
    k.vnet0.section((s) => {
      const b = mAlloc(s, 1, 60);
      let thrown: unknown;
      try {
        ifOutput(s, p, b);
      } catch (e) {
        thrown = e;
      }
      b.freeAll();
      assertEquals((thrown as SoftcError).code, "SOFTC_EPOCH_OUTSIDE");
    });
    assertEquals((await k.ledger()).dropped, { refused: 1 });
  }));

Deno.test("out of mbufs is a short batch and a count, never an exception, and it mends", async () => {
  resetScript();
  const report = await withCleanKernel({ mbufs: 256, arena: 4 << 20 }, async ({ k }) => {
    await k.modules.load(plugin("script"));
    const i = await make(k, "script", { cpu: 0 });
    const held: number[] = [];
    script.transmit = (b) => {
      const n = b.length;
      for (let j = 0; j < n; j++) held.push(b.take(j));
      return n;
    };
    script.stop = (dev) => {
      for (const m of held.splice(0)) dev.txDone(m as Parameters<typeof dev.txDone>[0]);
    };
    assertEquals(send(k.vnet0, i, frames(200)).n, 200);
    assertEquals(send(k.vnet0, i, frames(100)), { n: 56, accepted: 56, errno: ERRNO.OK });
    assertEquals(send(k.vnet0, i, frames(100)), { n: 0, accepted: 0, errno: ERRNO.OK });
    assertEquals(script.dev!.alloc(8).length, 0);
    const gen = await pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame(), count: 10 });
    script.stop(script.dev!);
    await untilAsync("the generator", async () => (await k.ledger()).sent >= 266);
    await gen.stop();
    const { live, nobufs } = await k.ledger();
    assertEquals(live, [{ owner: `the device of if#${i.index}`, lives: 10 }]);
    assert(nobufs >= 44 + 100 + 8, `${nobufs}`);
  });
  assertEquals(report.ended.wire, 266);
});

Deno.test("run to completion costs three Atomics per batch, through a ring five and five", async () => {
  await withCleanKernel({ cpus: 1 }, async ({ k, own }) => {
    const { net } = own.parts;
    await k.modules.load("softc:null");
    await k.modules.load(plugin("slow"));
    const direct = await make(k, "null");
    const ring = await make(k, "slow", { cpu: 0 });
    /** Atomic accesses by `fn`; allocation is amortised over magazines, and warmed up here. */
    const count = (fn: () => void): number => {
      let n = 0;
      const watch: DoorWatch = { access: (_a, _w, kind) => void (kind <= ACCESS.rmw && n++) };
      const before = watchDoor(watch);
      try {
        fn();
      } finally {
        watchDoor(before);
      }
      return n;
    };
    const out = (i: Ifnet) => () =>
      k.vnet0.section((s) => {
        const b = mAlloc(s, 32, 60);
        ifOutput(s, ifnetByHandle(s, i.handle)!, b);
      });
    for (let warm = 0; warm < 4; warm++) out(direct)();
    assertEquals(count(out(direct)), 3);
    const q = net.queues.find((x) => x.index === ring.index)!;
    const { a } = own.arena;
    const at = own.arena.ifnetAt(ring.index);
    // As if the queue's home were another CPU, which is awake: the push, and no call of the driver.
    const home = a[at + IFNET.home]!;
    a[at + IFNET.home] = home + 1;
    const sender = count(out(ring));
    a[at + IFNET.home] = home;
    const consumer = count(() => assertEquals(consume(net, q, q.rings[0]!, 128), 32));
    assertEquals([sender, consumer], [5, 5]);
  });
});
