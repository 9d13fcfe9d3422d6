import { assert, assertEquals, assertThrows } from "@std/assert";
import { Timers } from "../../core/doors/clock.ts";
import {
  type Batch,
  boot,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  ifVmove,
  type Kernel,
  mAlloc,
  SoftcError,
  vnetCreate,
} from "../../mod.ts";
import type { Dev } from "../../core/device/mod.ts";
import { frames, plugin, send, udpFrame, until, withCleanKernel, withKernel } from "../core/kit.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";
import { atStep, codeOf } from "../life/rig.ts";
import { resetTold, told } from "../plugins/review_probe.ts";

async function make(k: Kernel, cloner: string, o = {}): Promise<Ifnet> {
  resetTold();
  if (k.modules.list().length === 0) await k.modules.load(plugin("review_probe"));
  const [i] = await ifCloneCreate(k.vnet0, cloner, o);
  await i.up();
  return i;
}

/** The dev of the instance on CPU 0 that attached last. */
function devNow(): Dev<unknown> {
  return told.dev!;
}

/** Lets microtasks run and no pump. */
async function microtasks(): Promise<void> {
  for (let i = 0; i < 50; i++) await undefined;
}

for (const cpu of [0, 1]) {
  Deno.test(`a driver that takes more than it says is taken down, not CPU ${cpu} nor the sender`, async () => {
    const report = await withKernel({ cpus: 2 }, async ({ k, faults }) => {
      const i = await make(k, "grabby", { cpu });
      send(k.vnet0, i, frames(4));
      await until("the fault", () => faults.length > 0);
      assertEquals(faults[0]!.code, "SOFTC_DRIVER_THREW");
      await until("gone", () => i.state === "freed");
      assertEquals((await k.ledger()).unaccounted, 0);
    });
    assertEquals([report.unaccounted, report.dropped], [0, { fault: 2 }]);
  });
}

Deno.test("a batch that found room for a part in a ring keeps nothing of what it sent", async () =>
  void await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    const out = await make(k, "obedient", { cpu: 1 });
    const into = await make(k, "obedient", { cpu: 0 });
    await into.set({ xconnect: out });
    const dev = devNow();
    const b = dev.alloc(64);
    for (let i = 0; i < b.length; i++) b.copyFrom(i, udpFrame());
    dev.ifInput(b);
    assertEquals(dev.alloc(4).freeAll(), 4);
    await until("sent", () => out.counters.opackets === 16);
    assertEquals((await k.ledger()).dropped, { full: 48, driver: 4 });
  }));

Deno.test("a batch of another kernel is refused", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    await withCleanKernel({}, async ({ k: other }) => {
      const i = await make(k, "obedient");
      const foreign = other.section((s) => mAlloc(s, 2, 60) as Batch);
      k.section((s) => {
        const p = ifnetByHandle(s, i.handle)!;
        const e = assertThrows(() => ifOutput(s, p, foreign), SoftcError);
        assertEquals(e.code, "SOFTC_IF_ARGUMENT");
      });
      foreign.freeAll();
    });
  }));

Deno.test("a batch that was used up starts again with what is put into it", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    const i = await make(k, "obedient");
    const dev = devNow();
    const m = dev.alloc(1).take(0);
    const b = dev.alloc(2);
    b.freeAll();
    b.put(m, 60);
    assertEquals(b.length, 1);
    dev.ifInput(b);
    assertEquals(i.counters.ipackets, 1);
    assertEquals((await k.ledger()).unaccounted, 0);
  }));

Deno.test("packets from a driver whose interface is gone are not those of the slot's next one", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    const first = await make(k, "obedient");
    const late = devNow();
    await ifCloneDestroy(first);
    const next = await make(k, "obedient");
    assertEquals(next.index, first.index);
    const b = late.alloc(3);
    for (let i = 0; i < b.length; i++) b.copyFrom(i, udpFrame());
    late.ifInput(b);
    late.link(true);
    assertEquals([next.counters.ipackets, next.toJSON().link], [0, "unknown"]);
  }));

Deno.test("a move's purge drops what is stale and nothing else", async () =>
  void await withCleanKernel({ cpus: 2 }, async ({ k, own }) => {
    const i = await make(k, "busy", { cpu: 1 });
    const spin = await make(k, "busy", { cpu: 1, options: { spin: 400 } });
    const b = await vnetCreate(k.vnet0, "b");
    const held = spin.set({ mtu: 1400 });
    await until("CPU 1 is kept", () => own.control.pending().some((p) => p.label.includes(spin.name)));
    const move = ifVmove(i, b);
    await until("it arrived", () => b.ifnets.length === 1);
    // The owner hears of flush and purge only now, with the new vnet's packets in its ring.
    assertEquals(send(b, b.ifnets[0]!, frames(10)).accepted, 10);
    const { flushed, dropped } = await move;
    assertEquals({ flushed, dropped }, { flushed: 0, dropped: 0 });
    await held;
    assertEquals((await k.ledger()).dropped, {});
  }));

Deno.test("closing a tap does not wait for another one to fall silent", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    const i = await make(k, "obedient");
    let seen = 0;
    const busy = i.tap({ onPacket: () => void (seen++ < 5000 && send(k.vnet0, i, frames(1))) });
    const other = i.tap({ onPacket: () => {} });
    send(k.vnet0, i, frames(1));
    await other.close();
    assert(seen < 5000, `${seen}`);
    await busy.close();
  }));

Deno.test("a name that somebody reserved stays reserved when a doomed move ends", async (t) => {
  const cases: Record<string, { from: "vnet0" | "b"; to: "b" | "c" | "vnet0"; doom: string; take: string }> =
    {
      "lent, on its way on": { from: "b", to: "c", doom: "vmove: grace", take: "vmove: grace" },
      "on its way out": { from: "vnet0", to: "b", doom: "vmove: grace", take: "detach: grace" },
      "on its way home": { from: "b", to: "vnet0", doom: "vmove: flushed", take: "detach: grace" },
    };
  for (const [name, c] of Object.entries(cases)) {
    await t.step(name, async () =>
      void await withCleanKernel({}, async ({ k, own }) => {
        const vnets = {
          vnet0: own.vnet0,
          b: await vnetCreate(k.vnet0, "b"),
          c: await vnetCreate(k.vnet0, "c"),
        };
        let i = await make(k, "obedient", { name: "x" });
        if (c.from !== "vnet0") i = (await ifVmove(i, vnets[c.from])).ifnet;
        const where = vnets[c.to === "vnet0" ? "vnet0" : c.from];
        let mine = false;
        const take = (): void => {
          try {
            own.ifs.reserve(where, "x", "the test");
            mine = true;
          } catch { /* It is taken: as good. */ }
        };
        const doom = (): void => void ifDetach(i).catch(() => {});
        atStep(
          own,
          c.doom === c.take ? { [c.doom]: () => (take(), doom()) } : { [c.doom]: doom, [c.take]: take },
        );
        assertEquals(await codeOf(ifVmove(i, vnets[c.to])), "SOFTC_VNET_LOST");
        if (mine) assert(!own.ifs.nameFree(where, "x"), "another's reservation is gone");
        own.control.stepper = undefined;
        own.ifs.unreserve(where, "x");
      }));
  }
});

Deno.test("a move is lost when the interface moved away and back while it was prepared", async () =>
  void await withCleanKernel({}, async ({ k, own }) => {
    const [b, c] = [await vnetCreate(k.vnet0, "b"), await vnetCreate(k.vnet0, "c")];
    const i = await make(k, "obedient");
    atStep(own, {
      "vmove: prepared": async () => {
        const there = (await ifVmove(i, b)).ifnet;
        await ifVmove(there, k.vnet0);
      },
    });
    assertEquals(await codeOf(ifVmove(i, c)), "SOFTC_VNET_LOST");
    own.control.stepper = undefined;
  }));

Deno.test("a move that changes UP tells the driver", async () =>
  void await withCleanKernel({}, async ({ k }) => {
    const b = await vnetCreate(k.vnet0, "b");
    let i = await make(k, "obedient");
    await i.down();
    told.changes.length = 0;
    i = (await ifVmove(i, b, { up: true })).ifnet;
    assertEquals(told.changes, [{ up: true }]);
    i = (await ifVmove(i, k.vnet0, { up: false })).ifnet;
    assertEquals(told.changes, [{ up: true }, { up: false }]);
    assertEquals(i.toJSON().flags.includes("UP"), false);
  }));

Deno.test("a timer that re-arms itself for now runs once a turn", () => {
  const timers = new Timers({ now: () => 0, virtual: true });
  let ran = 0;
  const again = (): void => void (ran++ < 1000 && timers.after(0, again));
  again();
  assertEquals(timers.run(), true);
  assertEquals(ran, 2);
});

Deno.test("a timer without a time is refused, and others still fire", async () =>
  void await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
    await make(k, "obedient");
    const dev = devNow();
    assertThrows(() => dev.timer(() => {}).set(NaN), SoftcError);
    let fired = false;
    dev.timer(() => fired = true).set(10);
    k.advance(20);
    await until("the timer", () => fired);
  }));

Deno.test("a CPU whose mail to CPU 0 does not fit still stops for the ledger", async () =>
  void await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    const i = await make(k, "busy", { cpu: 1, options: { links: 200 } });
    const set = i.set({ mtu: 1400 });
    await microtasks();
    const ledger = k.ledger();
    await microtasks();
    // CPU 0 takes no mail meanwhile.
    const end = performance.now() + 100;
    while (performance.now() < end);
    assertEquals((await ledger).unaccounted, 0);
    await set;
  }));

Deno.test("shutdown of a kernel whose CPU died resolves, with what is left by name", async () => {
  await assertNoLeaks(async () => {
    const faults: SoftcError[] = [];
    const k = await boot({ cpus: 2, onFault: (e) => void faults.push(e) });
    const up = codeOf(make(k, "killer", { cpu: 1 }));
    await until("the death", () => faults.some((e) => e.code === "SOFTC_BOOT_CPU"));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), 3000));
    const report = await Promise.race([k.shutdown(), late]);
    clearTimeout(timer);
    assert(report !== undefined, "shutdown hangs");
    assertEquals(report.wedged.length, 1);
    assertEquals(await up, "SOFTC_BOOT_CPU");
  });
});

Deno.test("shutdown stops what it can when a CPU answers no mail", async () => {
  await assertNoLeaks(async () => {
    const k = await boot({ cpus: 2 });
    const i = await make(k, "busy", { cpu: 1 });
    const stuck = await make(k, "busy", { cpu: 1, options: { spin: 1 } });
    assert(i.index !== stuck.index);
    const [spin] = await ifCloneCreate(k.vnet0, "busy", { cpu: 1, options: { spin: 7000 } });
    const up = spin.up().catch(() => {});
    await microtasks();
    const report = await k.shutdown({ deadline: 100 });
    assert(report.wedged.length > 0);
    await up;
  });
});
