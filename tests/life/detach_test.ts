import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  mAlloc,
  pktgen,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { atStep, codeOf, entryOf, frame, gate, until, withKernel } from "./rig.ts";

Deno.test("ifDetach goes in the stated order, across CPUs", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear, noteEvents, note }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probes", { options: { task: true } });
    await i.up();
    noteEvents();
    clear();
    let unlinked: unknown[] = [];
    atStep(k, {
      "detach: grace": () => {
        unlinked = [k.resolve(i.handle), i.state, i.toJSON().flags.includes("UP"), k.vnet0.ifnets.length];
        note("grace");
      },
    });
    await ifDetach(i);
    const lines = journal();
    assertEquals(lines.slice(0, 4), ["* down probes0", "grace", "* departure probes0", "stop@0"]);
    assertEquals(lines.slice(4, -2).sort(), ["close@0", "close@1", "task ends"]);
    assertEquals(lines.slice(-2), ["destroy@0", "* freed probes0"]);
    assertEquals(unlinked, ["detached", "detaching", false, 0]);
  });
});

Deno.test("[B19] ifDetach is idempotent: concurrent and later callers get the same promise, hooks run once", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probes");
    const first = ifDetach(i);
    assertStrictEquals(ifDetach(i), first);
    await first;
    assertStrictEquals(ifDetach(i), first);
    for (const hook of ["stop@0", "close@0", "close@1", "destroy@0"]) {
      assertEquals(journal().filter((l) => l === hook).length, 1, hook);
    }
  });
});

Deno.test("[B19] detaching what was never attached throws, with its state", async () => {
  await withKernel({}, async ({ k, probe }) => {
    const { gates } = await probe();
    const opening = gate();
    gates.set("open", opening.promise);
    const create = ifCloneCreate(k.vnet0, "probes");
    await until("the slot is claimed", () => k.ifs.entries[1] !== undefined);
    const i = k.wrap(k.ifs.entries[1]!);
    assertEquals(await codeOf(ifDetach(i)), "SOFTC_IF_NOT_ATTACHED");
    opening.open();
    await create;
    assertEquals(await codeOf(ifDetach({} as Ifnet)), "SOFTC_IF_ARGUMENT");
  });
});

Deno.test("[B23] a detach under traffic on two CPUs loses nothing, and no hook runs when it resolves", async () => {
  await withKernel({ cpus: 2, debug: false }, async ({ k, probe }) => {
    await probe();
    for (const cloner of ["probe", "probes"]) {
      for (let n = 0; n < 10; n++) {
        const [i] = await ifCloneCreate(k.vnet0, cloner, { options: { owner: "m" } });
        await i.up();
        const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: frame(64, "m") });
        await until("packets flow", () => i.counters.opackets > 1000);
        await ifDetach(i);
        const frozen = i.counters;
        assertEquals(i.state, "freed");
        const { unaccounted } = await k.ledger();
        assertEquals(unaccounted, 0);
        await g.stop();
        assertEquals(i.counters, frozen, "counters are constant after detach");
        assert(frozen.opackets > 1000);
      }
    }
  });
});

Deno.test("[B23] counters stay readable and constant after detach, also when the slot has a new occupant", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    discard(k.vnet0);
    const send = async (i: Ifnet, count: number): Promise<void> => {
      const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: frame(64), count });
      await until("all are sent", () => i.counters.opackets === count);
      await g.stop();
    };
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    await i.up();
    await send(i, 100);
    const before = i.counters;
    await ifDetach(i);
    assertEquals(i.counters, before);
    const [other] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(other.index, i.index);
    await other.up();
    await send(other, 7);
    assertEquals(i.counters, before);
    assertEquals([other.counters.opackets, other.counters.obytes], [7, 448]);
  });
});

Deno.test("an asynchronous hook under way is waited for: destroy comes after it, never under it (rule 3a)", async () => {
  await withKernel({}, async ({ k, probe, journal, clear }) => {
    const { gates } = await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const setting = gate();
    gates.set("set", setting.promise);
    const set = codeOf(i.set({ mtu: 1400 }));
    await until("set runs", () => journal().some((l) => l.startsWith("set@0")));
    clear();
    const detached = ifDetach(i);
    for (let n = 0; n < 50; n++) await new Promise((resolve) => setTimeout(resolve, 0));
    setting.open();
    await detached;
    assertEquals(await set, "SOFTC_IF_GONE");
    assertEquals(journal(), ["set@0 goes on", "stop@0", "destroy@0"]);
  });
});

for (const hook of ["transmit", "timer", "interrupt", "stop", "destroy", "close"]) {
  Deno.test(`a ${hook} hook that throws takes down its own instance, on any CPU; the kernel lives`, async () => {
    await withKernel({ cpus: 2 }, async ({ k, probe, faults, noteEvents, journal }) => {
      await probe();
      noteEvents();
      const perCpu = hook === "close";
      const options = {
        fail: [hook],
        // Armed in attach: late enough to fire after publication, which a fault would prevent.
        ...(hook === "timer" ? { timer: 300 } : {}),
        ...(hook === "interrupt" ? { interrupt: true } : {}),
      };
      const [i] = await ifCloneCreate(k.vnet0, perCpu ? "probes" : "probe", {
        options,
        ...(perCpu ? {} : { cpu: 1 }),
      });
      const [other] = await ifCloneCreate(k.vnet0, "probe");
      await Promise.all([i.up().catch(() => {}), other.up()]);
      if (hook === "transmit" || hook === "interrupt") {
        const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: frame(64), count: 64 });
        await until("a fault", () => faults.length > 0);
        await g.stop();
      }
      if (["stop", "destroy", "close"].includes(hook)) await ifCloneDestroy(i);
      await until("it is gone", () => i.state === "freed");
      await until("a fault", () => faults.length > 0);
      assertEquals(faults[0]!.code, "SOFTC_DRIVER_THREW");
      assert(faults[0]!.message.includes(`planted in ${hook}`), faults[0]!.message);
      assert(faults[0]!.message.includes("CPU 1") || hook === "close", faults[0]!.message);
      assert(journal().some((l) => l.startsWith("* fault ")));
      assertEquals(journal().filter((l) => l === `destroy@${perCpu ? 0 : 1}`).length, 1);
      // The other instance of the very driver goes on.
      assertEquals(other.state, "attached");
      const g = await pktgen({ vnet: k.vnet0, ifnet: other, frame: frame(64), count: 64 });
      await until("the other sends", () => other.counters.opackets >= 64);
      await g.stop();
      await k.modules.unload("probe", { mode: "drain" });
    });
  });
}

for (const [hook, cpu] of [["stop", 0], ["stop", 1], ["close", 0], ["close", 1], ["set", 1]] as const) {
  Deno.test(`a ${hook} hook on CPU ${cpu} that never settles: wedged, named, shown, not unloadable`, async () => {
    await withKernel({ cpus: 2, hookDeadline: 60, wedged: 1 }, async ({ k, probe, noteEvents, journal }) => {
      await probe();
      noteEvents();
      const v = await vnetCreate(k.vnet0, "v");
      const cloner = hook === "close" ? "probes" : "probe";
      const [i] = await ifCloneCreate(v, cloner, {
        options: { hang: [`${hook}@${cpu}`] },
        ...(hook === "close" ? {} : { cpu }),
      });
      const [other] = await ifCloneCreate(v, cloner, { cpu: 0 });
      if (hook === "set") assertEquals(await codeOf(i.up()), "SOFTC_DRIVER_STALLED");
      const detaching = codeOf(ifDetach(i));
      if (hook !== "set") {
        await until("why() names the hook", () => i.why().some((b) => b.holder.includes(`"${hook}"`)));
      }
      assertEquals(await detaching, "SOFTC_IF_WEDGED");
      assertEquals([i.state, k.resolve(i.handle)], ["wedged", "detached"]);
      assert(k.ifnets.some((x) => x.name === i.name && x.state === "wedged"), "it is shown");
      assert(journal().includes(`* wedged ${i.name}`));
      assertEquals(journal().some((l) => l.startsWith("destroy")), false, "its memory may still be in use");
      assertEquals(i.counters.opackets, 0);
      // Others go on; the vnet goes, and names it; the module stays.
      await ifCloneDestroy(other);
      assertEquals(await codeOf(vnetDestroy(v)), "SOFTC_IF_WEDGED");
      assertEquals(k.vnets.length, 1);
      const [next] = await ifCloneCreate(k.vnet0, cloner, { cpu: 0 });
      assert(next.index !== i.index, "the slot is kept");
      for (const mode of ["refuse", "drain", "force"] as const) {
        const code = await codeOf(k.modules.unload("probe", { mode }));
        assert(["SOFTC_MODULE_BUSY", "SOFTC_IF_WEDGED", "SOFTC_MODULE_STATE"].includes(code), code);
      }
      assertEquals(k.modules.list().length, 1);
    });
  });
}

Deno.test("a hook that loops is reported by name; what waits for it goes on when it ends", async () => {
  await withKernel({ cpus: 2, hookDeadline: 50, wedged: 1 }, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 1, options: { spin: { stop: 400 } } });
    const detaching = codeOf(ifDetach(i));
    await until(
      "blame names hook and CPU",
      () => k.blame().some((b) => b.holder === `hook "stop" of probe0 on CPU 1`),
    );
    assertEquals(await detaching, "SOFTC_IF_WEDGED");
    const [other] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    assertEquals(other.state, "attached");
  });
});

Deno.test("a tap that outlives its interface is closed without touching the slot, whoever has it then", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const seen: string[] = [];
    const taps = ["a", "b", "c"].map((name) => i.tap({ onPacket: () => void seen.push(name) }));
    await ifDetach(i);
    await taps[0]!.close();
    const [next] = await ifCloneCreate(k.vnet0, "probe");
    const tap = next.tap({ onPacket: () => void seen.push("next") });
    assertEquals(next.index, i.index);
    await taps[1]!.close();
    await next.up();
    const g = await pktgen({ vnet: k.vnet0, ifnet: next, cpus: [0], count: 4, frame: frame(64) });
    await until("the new tap saw them", () => seen.length === 4);
    await g.stop();
    await tap.close();
    assertEquals(new Set(seen), new Set(["next"]));
    await ifDetach(next);
    assertEquals(await codeOf(Promise.resolve().then(() => i.tap({ onPacket: () => {} }))), "SOFTC_IF_GONE");
    // The third is the shutdown's to close.
  });
});

Deno.test("a structural call from inside a hook, listener or section is refused, and harmless", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    let inside: Promise<string> | undefined;
    k.vnet0.section(() => {
      inside = codeOf(ifDetach(i));
    });
    assertEquals(await inside, "SOFTC_DEV_REENTRANT");
    assertEquals(i.state, "attached");
    assertEquals(entryOf(i).detaching, undefined);
  });
});

Deno.test("one end of a pair sends on when the other is gone: counted, and nothing freed is touched", async () => {
  await withKernel({}, async ({ k, faults }) => {
    await k.modules.load("softc:epair");
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    await a.up();
    await ifDetach(b!);
    assertEquals(b!.state, "freed");
    const sent = k.vnet0.section((s) => {
      const batch = mAlloc(s, 3, 64);
      return ifOutput(s, ifnetByHandle(s, a.handle)!, batch);
    });
    assertEquals([sent, faults], [3, []]);
    assertEquals((await k.ledger()).dropped, { detached: 3 });
  });
});

Deno.test("what waits for a hook of CPU 0 that never settles ends with the kernel", async () => {
  await withKernel({ wedged: 1 }, async ({ k, probe }) => {
    const { gates } = await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    gates.set("set", gate().promise);
    const up = codeOf(i.up());
    await k.shutdown({ deadline: 20 });
    assertEquals(await up, "SOFTC_BOOT_DOWN");
    assertEquals(k.inspect(), { ...k.inspect(), workers: [], waits: [], timers: [] });
  });
});
