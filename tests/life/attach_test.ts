import { assert, assertEquals } from "@std/assert";
import { IFNET } from "../../core/memory/arena.ts";
import { ifCloneCreate, ifDetach, ifnetByIndex, ifnetByIndexAttached, ifunit } from "../../mod.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { codeOf, gate, snapshot, until, withKernel } from "./rig.ts";

/** Every way to find the interface of slot 1, by what it answers. */
function ways(k: KernelObject): Record<string, boolean> {
  const find = (which: "index" | "attached" | "name"): boolean =>
    k.section((s) => {
      if (which === "index") return ifnetByIndex(s, 1) !== undefined;
      if (which === "attached") return ifnetByIndexAttached(s, 1) !== undefined;
      return ifunit(s, "probes0") !== undefined;
    });
  return {
    index: find("index"),
    attached: find("attached"),
    name: find("name"),
    vnet: k.vnet0.ifnets.length > 0,
    kernel: k.ifnets.length > 0,
  };
}

Deno.test("[B16] publication is last: while attach and open run, nobody finds it (R15)", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, noteEvents, journal }) => {
    const { gates } = await probe();
    noteEvents();
    const nowhere = { index: false, attached: false, name: false, vnet: false, kernel: false };
    const gencnt = k.arena.a[k.arena.ifnetAt(1)]!;
    const attaching = gate();
    const opening = gate();
    gates.set("attach", attaching.promise).set("open", opening.promise);
    const create = ifCloneCreate(k.vnet0, "probes");
    assertEquals(ways(k), nowhere, "in attach");
    attaching.open();
    await until("open on CPU 1", () => journal().includes("open@1"));
    assertEquals(ways(k), nowhere, "in open");
    assertEquals(k.ifs.entries[1]?.name, "probes0");
    assertEquals(k.arena.a[k.arena.ifnetAt(1)], gencnt, "gencnt is even");
    opening.open();
    const [i] = await create;
    assertEquals(ways(k), { index: true, attached: true, name: true, vnet: true, kernel: true });
    assertEquals(k.arena.a[k.arena.ifnetAt(1)], gencnt + 1);
    assertEquals(i.toJSON().flags.includes("UP"), false, "created interfaces are not UP");
    assertEquals(journal().at(-1), "* arrival probes0");
  });
});

Deno.test("[B16] afdata, fields and rings are in place when the arrival is told (X1)", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const seen: number[] = [];
    k.events.listen((e) => {
      if (e.type !== "arrival") return;
      const at = k.arena.ifnetAt(1);
      const { afdata, rings, mtu, vnet, home } = IFNET;
      for (const word of [afdata, afdata + 1, rings, mtu, vnet]) seen.push(k.arena.a[at + word]!);
      seen.push(k.arena.a[at + home]! + 1);
    });
    await ifCloneCreate(k.vnet0, "probe");
    assertEquals([seen.length, seen.at(-1)], [6, 1]);
    assert(seen.every((word) => word > 0), seen.join());
  });
});

const failures: readonly (readonly [string, string, object, readonly string[]])[] = [
  ["attach on CPU 1", "probe", { fail: ["attach"] }, ["attach@1"]],
  ["attach on CPU 0", "probes", { fail: ["attach"] }, ["attach@0"]],
  ["what it declares", "probe", { declare: { type: "ether", mtu: 20 } }, ["attach@1", "stop@1", "destroy@1"]],
  ["a MAC of 5 bytes", "probe", { declare: { type: "ether", mac: [1, 2, 3, 4, 5] } }, [
    "attach@1",
    "stop@1",
    "destroy@1",
  ]],
  // attach had made a softc: it is ended as any other, on the CPUs where open had settled.
  ["open on CPU 0", "probes", { fail: ["open@0"] }, [
    "attach@0",
    "close@1",
    "destroy@0",
    "open@0",
    "open@1",
    "stop@0",
  ]],
  ["open on CPU 1", "probes", { fail: ["open@1"] }, [
    "attach@0",
    "close@0",
    "destroy@0",
    "open@0",
    "open@1",
    "stop@0",
  ]],
  ["the second of two", "twins", { fail: ["never"], declare: { type: "neither" } }, [
    "attach@1",
    "destroy@1",
    "stop@1",
  ]],
];

for (const [what, cloner, options, hooks] of failures) {
  Deno.test(`[B58] a failed attach unwinds exactly: ${what}`, async () => {
    await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear, noteEvents }) => {
      await probe();
      const before = snapshot(k);
      noteEvents();
      for (let n = 0; n < 3; n++) {
        clear();
        await codeOf(ifCloneCreate(k.vnet0, cloner, { options, cpu: cloner === "probes" ? 0 : 1 }));
        assertEquals(journal().filter((l) => !l.startsWith("* freed")).sort(), [...hooks].sort());
        assertEquals(forgetSlot(snapshot(k)), forgetSlot(before));
        assertEquals(k.ifs.count, 0);
        assertEquals(k.parts.instances.size, 0);
        assert(k.ifs.nameFree(k.vnet0, `${cloner}0`));
      }
      // The unit is free again, and so is the slot.
      const [i] = await ifCloneCreate(k.vnet0, cloner);
      assertEquals([i.index, i.name], [1, cloner === "twins" ? "twins0a" : `${cloner}0`]);
    });
  });
}

Deno.test("attach that fails at any allocation gives everything back", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const { heap } = k.control;
    const alloc = heap.alloc.bind(heap);
    for (const cloner of ["probe", "probes", "twins"]) {
      const before = snapshot(k);
      let failed = 0;
      for (let at = 1;; at++) {
        let n = 0;
        heap.alloc = (words, owner) => {
          // Mail between CPUs is not the interface's.
          if (!owner.startsWith("mail") && ++n === at) {
            throw new Error(`planted at allocation ${at}: ${owner}`);
          }
          return alloc(words, owner);
        };
        const made = await ifCloneCreate(k.vnet0, cloner).catch((e: Error) => e.message);
        heap.alloc = alloc;
        if (typeof made !== "string") {
          assertEquals(made[0].name, cloner === "twins" ? "twins0a" : `${cloner}0`);
          for (const i of made) await ifDetach(i);
          break;
        }
        failed++;
        assertEquals(forgetSlot(snapshot(k)), forgetSlot(before), made);
      }
      assert(failed >= 2, `${cloner}: ${failed} allocations failed`);
    }
  });
});

Deno.test("a slot that runs out and a vnet that closes meanwhile refuse with a code, and unwind", async () => {
  await withKernel({ ifnets: 3 }, async ({ k, probe, journal }) => {
    const { gates } = await probe();
    await ifCloneCreate(k.vnet0, "probe");
    const before = snapshot(k);
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "twins")), "SOFTC_IF_FULL");
    assertEquals(forgetSlot(snapshot(k)), forgetSlot(before));
    const attaching = gate();
    gates.set("attach", attaching.promise);
    const create = codeOf(ifCloneCreate(k.vnet0, "probe"));
    await until("attach runs", () => journal().at(-1) === "attach@0");
    const unloading = k.modules.unload("probe", { mode: "force" });
    attaching.open();
    assertEquals(await create, "SOFTC_MODULE_STATE");
    await unloading;
    assertEquals(journal().filter((l) => l.startsWith("destroy")).length, 2);
  });
});

Deno.test("attach that detaches meanwhile: a fault in attach keeps it from being published", async () => {
  await withKernel({}, async ({ k, probe, faults }) => {
    const { gates } = await probe();
    const attaching = gate();
    gates.set("attach", attaching.promise);
    const create = ifCloneCreate(k.vnet0, "probe", { options: { timer: 1, fail: ["timer"] } });
    const code = codeOf(create);
    await until("the timer threw", () => faults.length > 0);
    attaching.open();
    assertEquals(await code, "SOFTC_DRIVER_THREW");
    assertEquals(k.ifs.count, 0);
  });
});

Deno.test("a hook that throws on another CPU while open settles there: it is never published, and the fault is told by name", async () => {
  await withKernel({ cpus: 2 }, async ({ k, faults, noteEvents, journal }) => {
    await k.modules.load(new URL("../plugins/late_fault.ts", import.meta.url));
    noteEvents();
    for (let n = 1; n <= 20; n++) {
      assertEquals(await codeOf(ifCloneCreate(k.vnet0, "late")), "SOFTC_DRIVER_THREW");
      await until("the fault is told", () => faults.length === n);
      assert(
        faults[n - 1]!.message.startsWith(`Hook "interrupt" of late0 threw on CPU 1: planted`),
        String(faults[n - 1]),
      );
    }
    assertEquals(journal().filter((l) => l.includes("arrival")), []);
    assertEquals(journal().filter((l) => l === "* fault late0").length, 20);
    assertEquals(k.ifs.count, 0);
  });
});

Deno.test("an attach or open that never settles is wedged: shown, named, its module not unloadable", async () => {
  for (const [cloner, hook] of [["probe", "attach@1"], ["probes", "open@1"], ["probes", "open@0"]] as const) {
    await withKernel({ cpus: 2, hookDeadline: 40, wedged: 1 }, async ({ k, probe }) => {
      await probe();
      const options = { hang: [hook] };
      const create = ifCloneCreate(k.vnet0, cloner, { options, ...(cloner === "probe" ? { cpu: 1 } : {}) });
      assertEquals(await codeOf(create), "SOFTC_DRIVER_STALLED");
      const [i] = k.ifnets;
      assertEquals([i?.name, i?.state], [`${cloner}0`, "wedged"]);
      assertEquals(await codeOf(ifDetach(i!)), "SOFTC_IF_WEDGED");
      // Others go on, under the next index.
      const [other] = await ifCloneCreate(k.vnet0, cloner);
      assertEquals(other.index, 2);
      assertEquals(await codeOf(k.modules.unload("probe", { mode: "force" })), "SOFTC_IF_WEDGED");
    });
  }
});

/** A slot keeps the words of its last occupant until it is given out again: nobody reads them. */
function forgetSlot(x: unknown): unknown {
  const { slots, ...rest } = x as { slots: number[][] };
  return { ...rest, slots: slots.map((words) => [words[IFNET.gencnt], words[IFNET.state]]) };
}
