import { assert, assertEquals } from "@std/assert";
import { CPU } from "../../core/memory/arena.ts";
import { sumCpus, WORK } from "../../core/memory/counters.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { MAIL } from "../../core/cpu/mailbox.ts";
import { ifCloneCreate, pktgen } from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, withCleanKernel } from "./kit.ts";
import { resetScript, script } from "../plugins/script.ts";

/** Processor time of this process, all threads, in clock ticks of 10 ms; `undefined` where there is no /proc. */
function ticks(): number | undefined {
  try {
    const stat = Deno.readTextFileSync("/proc/self/stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}

/** Whether a CPU's pump sleeps. */
function asleep(own: KernelObject, k: number): boolean {
  return own.arena.a[own.arena.cpuAt(k) + CPU.asleep] === 1;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("idle CPUs are asleep: no processor time, few wake-ups", async () => {
  const report = await withCleanKernel({ cpus: 3 }, async ({ k, own }) => {
    await k.modules.load("softc:loopback");
    const [lo] = await ifCloneCreate(k.vnet0, "lo");
    await lo.up();
    send(k.vnet0, lo, frames(8));
    await until("all asleep", () => [0, 1, 2].every((c) => asleep(own, c)));
    const [t0, s0] = [ticks(), sumCpus(own.arena, WORK.sleeps)];
    // A measurement needs a span of time: nothing waits for it.
    await pause(500);
    const used = t0 === undefined ? 0 : ticks()! - t0;
    assert(used <= 5, `${used} ticks of 10 ms in 500 ms on three idle CPUs`);
    const sleeps = sumCpus(own.arena, WORK.sleeps) - s0;
    assert(sleeps <= 12, `${sleeps} sleeps in 500 ms`);
  });
  assertEquals(report.dropped, { nosocket: 8 });
});

Deno.test("[B53] a CPU that sleeps wakes for mail and for packets at once, not when its nap ends", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k, own }) => {
    await k.modules.load(plugin("slow"));
    const [i] = await ifCloneCreate(k.vnet0, "slow", { cpu: 1 });
    await i.up();
    const waits: number[] = [];
    for (let round = 0; round < 10; round++) {
      await until("CPU 1 asleep", () => asleep(own, 1));
      const t = performance.now();
      await own.control.ask(1, MAIL.sync, { label: "sync" });
      waits.push(performance.now() - t);
      await until("CPU 1 asleep", () => asleep(own, 1));
      const u = performance.now();
      send(k.vnet0, i, frames(1));
      while (i.counters.opackets <= round && performance.now() - u < 1000) await pause(0);
      waits.push(performance.now() - u);
    }
    waits.sort((x, y) => x - y);
    assert(waits[10]! < 100, `median wake-up ${waits[10]} ms`);
  });
});

Deno.test("work that a user's code makes on CPU 0 while its pump sleeps is done at once, not when the nap ends", async () => {
  resetScript();
  await withCleanKernel({ cpus: 1 }, async ({ k, own }) => {
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    const [back] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    await back.up();
    let done = false;
    const bell = script.dev!.interrupt(() => void (done = true));
    const timer = script.dev!.timer(() => void (done = true));
    const far = script.dev!.timer(() => {});
    /** Starts something with the pump asleep; half a nap is long enough for it. */
    const soon = async (what: string, start: () => unknown): Promise<void> => {
      await until("the pump sleeps", () => asleep(own, 0));
      done = false;
      const t = performance.now();
      start();
      while (!done && performance.now() - t < 900) await pause(1);
      const ms = performance.now() - t;
      assert(done && ms < 500, `${what} after ${ms.toFixed(1)} ms`);
    };
    const inHook = (fn: () => void) => () => {
      script.transmit = (b) => {
        fn();
        return b.freeAll();
      };
      send(k.vnet0, i, frames(1));
    };
    await soon("interrupt rung in a hook", inHook(() => bell.ring()));
    await soon("timer set in a hook", inHook(() => timer.set(5)));
    far.set(60_000);
    await soon("timer set before a later one", inHook(() => timer.set(5)));
    await soon("generator", () => {
      script.transmit = (b) => (done = true, b.freeAll());
      return pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame(), count: 1 });
    });
    // More hops than one call works off: the rest of the backlog is the pump's.
    await i.set({ xconnect: back });
    await back.set({ xconnect: i });
    await soon("rest of the backlog", () => {
      let left = 6000;
      script.transmit = (b, dev) => {
        const n = b.length;
        if (--left > 0) dev.ifInput(b);
        else done = true;
        return n;
      };
      send(k.vnet0, i, frames(1));
    });
    await soon("room after a partial accept", () => {
      let room = 1;
      script.transmit = (b) => {
        const n = Math.min(room, b.length);
        room += 10;
        if (n < b.length) bell.ring();
        else done = true;
        return n;
      };
      done = false;
      send(k.vnet0, i, frames(3));
      script.dev!.txWake(0);
    });
  });
});

Deno.test("timers of a driver run when their time has come: virtual time moves by hand", async () => {
  resetScript();
  await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
    await k.modules.load(plugin("script"));
    await ifCloneCreate(k.vnet0, "script");
    const log: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => script.dev!.timer(() => void log.push(name)));
    a!.set(30);
    b!.set(10);
    c!.set(20);
    c!.cancel();
    b!.set(15);
    k.advance(14);
    await k.ledger();
    assertEquals(log, []);
    k.advance(1);
    await until("b", () => log.length === 1);
    k.advance(100);
    await until("a", () => log.length === 2);
    assertEquals(log, ["b", "a"]);
    assertEquals(script.dev!.now(), 115);
  });
});

Deno.test("the event loop lives while CPU 0 is under load", async () => {
  await withCleanKernel({ cpus: 1 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    await i.up();
    const gen = await pktgen({ vnet: k.vnet0, ifnet: i, frame: udpFrame() });
    const gaps: number[] = [];
    for (let n = 0, t = performance.now(); n < 50; n++) {
      await pause(0);
      gaps.push(performance.now() - t);
      t = performance.now();
    }
    const [counts] = await gen.stop();
    assert(counts!.sent > 0);
    gaps.sort((x, y) => x - y);
    assert(gaps[25]! < 50, `median gap of the event loop ${gaps[25]} ms`);
  });
});
