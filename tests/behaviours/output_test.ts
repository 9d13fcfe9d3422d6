import { assert, assertEquals } from "@std/assert";
import { MAIL } from "../../core/cpu/mailbox.ts";
import { get, notify, store } from "../../core/doors/arena.ts";
import { CPU } from "../../core/memory/arena.ts";
import type { Batch } from "../../core/memory/batch.ts";
import type { Mbuf } from "../../core/memory/mbuf.ts";
import { ownKernel } from "../../kernel/api.ts";
import {
  discard,
  ERRNO,
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  type Kernel,
  mAlloc,
} from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, withCleanKernel } from "../core/kit.ts";
import { resetScript, script } from "../plugins/script.ts";

async function make(k: Kernel, cloner: string, o = {}): Promise<Ifnet> {
  const [i] = await ifCloneCreate(k.vnet0, cloner, o);
  await i.up();
  return i;
}

Deno.test("[B50] output takes the whole batch: sent, queued, partly taken, full, down, a driver that throws", async () => {
  const outcomes: Record<string, { prepare?: (i: Ifnet) => unknown; transmit?: (b: Batch) => number }> = {
    sent: {},
    "queued: the driver takes none": { transmit: () => 0 },
    "partly taken": { transmit: (b) => Math.min(3, b.length) },
    "full: nothing more fits": {
      transmit: () => 0,
      prepare: (i) => void send(i.vnet, i, frames(64)),
    },
    down: { prepare: (i) => i.down() },
    "a driver that throws": {
      transmit: () => {
        throw new Error("planted");
      },
    },
  };
  for (const cloner of ["script", "half"]) {
    for (const [what, { prepare, transmit }] of Object.entries(outcomes)) {
      resetScript();
      const report = await withCleanKernel({}, async ({ k }) => {
        await k.modules.load(plugin(cloner));
        const i = await make(k, cloner, { cpu: 0 });
        if (transmit !== undefined) script.transmit = transmit;
        await prepare?.(i);
        k.vnet0.section((s) => {
          const p = ifnetByHandle(s, i.handle)!;
          const b = mAlloc(s, 40, 60);
          const accepted = ifOutput(s, p, b);
          assertEquals(accepted < 40, b.errno !== ERRNO.OK, `${what}: ${accepted}, errno ${b.errno}`);
          // Nothing is left to the caller: no length, nothing to free, nothing to send again.
          for (let n = 0; n < b.length; n++) assertEquals(b.len(n), 0, what);
          b.freeAll();
          assertEquals(ifOutput(s, p, b), 0, what);
        });
      });
      const over = Object.values(report.dropped).reduce((x, y) => x + y, report.ended.wire);
      assertEquals(over, report.sent, `${cloner}, ${what}`);
    }
  }
});

Deno.test("[B51] output through a driver that fails gives ENXIO, counted; when the interface is gone it is not found", async () => {
  resetScript();
  const report = await withCleanKernel({}, async ({ k, faults }) => {
    await k.modules.load(plugin("script"));
    const i = await make(k, "script", { cpu: 0 });
    const taken: Mbuf[] = [];
    script.stop = (dev) => {
      for (const m of taken) dev.free(m);
    };
    script.transmit = (b) => {
      taken.push(b.take(0), b.take(1));
      throw new Error("planted");
    };
    // Two are the device's, eight are dropped.
    assertEquals(send(k.vnet0, i, frames(10)), { n: 10, accepted: 2, errno: ERRNO.ENXIO });
    const { opackets, oqdrops } = i.counters;
    assertEquals([opackets, oqdrops, faults.length], [2, 8, 1]);
    assertEquals(k.vnet0.section((s) => ifnetByHandle(s, i.handle)), undefined);
    await until("it is gone", () => i.state === "freed");
  });
  assertEquals(report.dropped, { fault: 8, driver: 2 });
});

Deno.test("[B51] a driver that failed on another CPU is sent to no more: what its queue holds is dropped and counted", async () => {
  const report = await withCleanKernel({ cpus: 2 }, async ({ k, faults }) => {
    await k.modules.load(plugin("thrower"));
    const i = await make(k, "thrower", { cpu: 1, options: { after: 20 } });
    const seen: number[][] = [];
    // In one turn of this thread, so nobody here hears of the fault: 8, 16, the third throws, the fourth finds it failed.
    for (let sent = 8; sent <= 32; sent += 8) {
      assertEquals(send(k.vnet0, i, frames(8)).accepted, 8);
      const end = performance.now() + 30_000;
      while (i.counters.opackets + i.counters.oqdrops < sent) assert(performance.now() < end);
      seen.push([i.counters.opackets, i.counters.oqdrops]);
    }
    assertEquals(seen, [[8, 0], [16, 0], [16, 8], [16, 16]]);
    await until("it is gone", () => i.state === "freed");
    assertEquals([i.counters.opackets, i.counters.oqdrops, faults.length], [16, 16, 1]);
  });
  assertEquals([report.dropped, report.ended.wire], [{ fault: 16 }, 16]);
});

/** Stops CPU `k` between turns; the answer lets it go on. */
async function park(k: Kernel, cpu: number): Promise<() => void> {
  const { arena, control } = ownKernel(k);
  const word = (c: number): number => arena.cpuAt(c) + CPU.parked;
  const round = get(arena.a, word(0)) + 1;
  await control.ask(cpu, MAIL.park, { a: round, label: "park" });
  return () => {
    for (const c of control.everyCpu) {
      store(arena.a, word(c), round);
      notify(arena.a, word(c));
    }
  };
}

Deno.test("[B55] what waits for another CPU is dropped when its interface is gone, also when the slot has another one", async () => {
  resetScript();
  const report = await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(plugin("script"));
    discard(k.vnet0);
    const first = await make(k, "script", { cpu: 0 });
    await first.set({ dispatch: 1 });
    const give = (n: number): void => {
      const b = script.dev!.alloc(n);
      for (let j = 0; j < n; j++) b.copyFrom(j, udpFrame(0, j));
      script.dev!.ifInput(b);
    };
    give(3);
    await until("what is received in time is", () => first.counters.ipackets === 3);
    const release = await park(k, 1);
    give(10);
    await ifDetach(first);
    const second = await make(k, "script", { cpu: 0 });
    assertEquals(second.index, first.index);
    await second.set({ dispatch: 1 });
    give(4);
    release();
    await until("the new one has its own", () => second.counters.ipackets === 4);
    assertEquals([second.counters.ipackets, second.counters.ibytes], [4, 256]);
  });
  assertEquals([report.dropped, report.ended.delivered], [{ gone: 10 }, 7]);
});
