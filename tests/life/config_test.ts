import { assertEquals } from "@std/assert";
import { IFNET } from "../../core/memory/arena.ts";
import { MTU } from "../../core/device/device.ts";
import { ifCloneCreate, ifDetach, IFF, type Ifnet, ifunit, ifVmove, pktgen, vnetCreate } from "../../mod.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { codeOf, entryOf, frame, gate, until, withKernel } from "./rig.ts";

function flag(k: KernelObject, i: Ifnet, bit: keyof typeof IFF): boolean {
  return (k.arena.a[k.arena.ifnetAt(i.index) + IFNET.flags]! & IFF[bit]) !== 0;
}

Deno.test("[B28 B29] up: driver, flag, listeners; down: listeners, flag, driver", async () => {
  await withKernel({}, async ({ k, probe, journal, clear, note }) => {
    const { gates } = await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    k.events.listen((e) => note(`* ${e.type} ${flag(k, i, "UP") ? "UP" : "-"}`));
    clear();
    const setting = gate();
    gates.set("set", setting.promise);
    const up = i.up();
    await until("set runs", () => journal().length === 1);
    note(flag(k, i, "UP") ? "UP" : "not UP yet");
    setting.open();
    await up;
    await i.up();
    await i.down();
    await i.down();
    assertEquals(journal(), [
      'set@0 {"up":true}',
      "not UP yet",
      "set@0 goes on",
      "* up UP",
      "* down UP",
      'set@0 {"up":false}',
      "set@0 goes on",
    ]);
    assertEquals(flag(k, i, "UP"), false);
  });
});

Deno.test("[B30] a driver that refuses a change rolls it back: UP, MTU, promisc", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, faults }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 1, options: { fail: ["set"] } });
    const before = JSON.stringify(i);
    for (
      const change of [i.up(), i.set({ mtu: 1400 }), i.set({ promisc: true }), i.set({ allmulti: true })]
    ) {
      assertEquals(await codeOf(change), "no code: planted in set");
    }
    assertEquals(JSON.stringify(i), before);
    assertEquals([entryOf(i).promisc, entryOf(i).allmulti], [0, 0]);
    assertEquals([i.state, faults.length], ["attached", 0]);
  });
});

Deno.test("the MTU has bounds, and is a whole number", async () => {
  await withKernel({}, async ({ k, probe, journal, clear }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    clear();
    for (const mtu of [MTU.min - 1, MTU.max + 1, 1500.5, NaN, -1, 2 ** 31, "1500" as unknown as number]) {
      assertEquals(await codeOf(i.set({ mtu })), "SOFTC_IF_MTU", String(mtu));
    }
    assertEquals([i.toJSON().mtu, journal()], [1500, []]);
    for (const mtu of [MTU.min, MTU.max]) {
      await i.set({ mtu });
      assertEquals(i.toJSON().mtu, mtu);
    }
    assertEquals([MTU.min, MTU.max], [72, 1958]);
    assertEquals(journal(), ['set@0 {"mtu":72}', 'set@0 {"mtu":1958}']);
  });
});

Deno.test("a name is taken once: rename answers EEXIST, and what cannot be a name is refused", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const [a] = await ifCloneCreate(k.vnet0, "probe");
    const [b] = await ifCloneCreate(k.vnet0, "probe");
    const [other] = await ifCloneCreate(v, "probe", { name: "wan" });
    assertEquals(await codeOf(b.set({ name: a.name })), "SOFTC_IF_EXISTS");
    assertEquals(b.name, "probe1");
    const results = await Promise.allSettled([a.set({ name: "wan" }), b.set({ name: "wan" })]);
    assertEquals(results.map((r) => r.status), ["fulfilled", "rejected"], "decided once (R33)");
    assertEquals([a.name, b.name, other.name], ["wan", "probe1", "wan"]);
    const find = (name: string): number | undefined => k.vnet0.section((s) => ifunit(s, name));
    assertEquals([find("wan"), find("probe0"), find("probe1")], [a.index, undefined, b.index]);
    await b.set({ name: "probe0" });
    await a.set({ name: a.name });
    for (const name of ["", " ", "0lo", "x".repeat(16), "a/b", 7 as unknown as string]) {
      assertEquals(await codeOf(b.set({ name })), "SOFTC_IF_ARGUMENT", String(name));
    }
    assertEquals(b.name, "probe0");
  });
});

Deno.test("[B30] promisc and allmulti are counted: only 0 to 1 and 1 to 0 reach the driver", async () => {
  await withKernel({}, async ({ k, probe, journal, clear }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    for (const which of ["promisc", "allmulti"] as const) {
      clear();
      for (const on of [true, true, false]) await i.set({ [which]: on });
      assertEquals(flag(k, i, which === "promisc" ? "PROMISC" : "ALLMULTI"), true);
      await i.set({ [which]: false });
      await i.set({ [which]: false });
      assertEquals(flag(k, i, which === "promisc" ? "PROMISC" : "ALLMULTI"), false);
      assertEquals(journal(), [`set@0 {"${which}":true}`, `set@0 {"${which}":false}`]);
    }
  });
});

Deno.test("every interface is in all and in its cloner's group; groups come and go", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(i.toJSON().groups, ["all", "probe"]);
    i.addGroup("egress");
    i.addGroup("egress");
    assertEquals(i.toJSON().groups, ["all", "probe", "egress"]);
    i.removeGroup("egress");
    assertEquals(i.toJSON().groups, ["all", "probe"]);
  });
});

Deno.test("dispatch and cross-connect check what they are given", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const [a] = await ifCloneCreate(k.vnet0, "probe");
    const [far] = await ifCloneCreate(v, "probe");
    for (const dispatch of [2, -1, 0.5]) {
      assertEquals(await codeOf(a.set({ dispatch })), "SOFTC_DEV_CPU", String(dispatch));
    }
    assertEquals(await codeOf(a.set({ dispatch: "round" as "flow" })), "SOFTC_IF_ARGUMENT");
    for (const dispatch of ["direct", "flow", 1] as const) await a.set({ dispatch });
    assertEquals(await codeOf(a.set({ xconnect: far })), "SOFTC_IF_ARGUMENT");
    assertEquals(await codeOf(a.set({ xconnect: {} as Ifnet })), "SOFTC_IF_ARGUMENT");
  });
});

Deno.test("dispatch sends what comes in to the CPU that it names; a cross-connect sends it straight on", async () => {
  await withKernel({ cpus: 2 }, async ({ k }) => {
    for (const m of ["softc:epair", "softc:null"]) await k.modules.load(m);
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    const [out] = await ifCloneCreate(k.vnet0, "null");
    for (const i of [a, b!, out]) await i.up();
    await b!.set({ dispatch: 1, xconnect: out });
    const seen: number[] = [];
    const tap = out.tap({ onPacket: (p) => void seen.push(p.cpu) });
    const g = await pktgen({ vnet: k.vnet0, ifnet: a, cpus: [0], count: 256, frame: frame(64) });
    await until("all went on", () => seen.length + tap.missed === 256);
    await g.stop();
    await tap.close();
    assertEquals([out.counters.opackets, b!.counters.ipackets], [256, 256]);
    assertEquals(new Set(seen), new Set([1]), "on the CPU that was named");
    await b!.set({ xconnect: null });
    const { delivered } = await k.ledger();
    assertEquals(delivered, 256 + seen.length);
  });
});

Deno.test("a cross-connect's target that goes away is a counted drop", async () => {
  await withKernel({}, async ({ k }) => {
    for (const m of ["softc:epair", "softc:null"]) await k.modules.load(m);
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    const [out] = await ifCloneCreate(k.vnet0, "null");
    for (const i of [a, b!, out]) await i.up();
    await b!.set({ xconnect: out });
    await ifDetach(out);
    // The slot's next occupant is not the one that was named.
    const [next] = await ifCloneCreate(k.vnet0, "null");
    await next.up();
    assertEquals(next.index, out.index);
    const g = await pktgen({ vnet: k.vnet0, ifnet: a, count: 32, frame: frame(64) });
    await until("all came", () => b!.counters.ipackets === 32);
    await g.stop();
    assertEquals([next.counters.opackets, (await k.ledger()).dropped.gone], [0, 32]);
  });
});

for (
  const [change, taken] of [[{ mtu: 1400 }, { mtu: 1500 }], [{ promisc: true }, { promisc: false }]] as const
) {
  Deno.test(`a change that a move overtakes is taken back: ${JSON.stringify(change)}`, async () => {
    await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear }) => {
      const { gates } = await probe();
      const b = await vnetCreate(k.vnet0, "b");
      const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
      clear();
      const setting = gate();
      gates.set("set", setting.promise);
      const refused = codeOf(i.set(change));
      await until("the driver is told", () => journal().length === 1);
      const { ifnet } = await ifVmove(i, b);
      setting.open();
      assertEquals(await refused, "SOFTC_IF_GONE");
      const told = journal().filter((l) => l.startsWith("set@0 {"));
      assertEquals(told, [change, taken].map((c) => `set@0 ${JSON.stringify(c)}`));
      const { mtu, flags } = ifnet.toJSON();
      assertEquals([mtu, flags.includes("PROMISC"), entryOf(ifnet).promisc], [1500, false, 0]);
    });
  });
}

Deno.test("a change of an interface that is gone or moving is refused with its state", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    await ifDetach(i);
    for (const p of [i.up(), i.down(), i.set({ mtu: 1400 })]) assertEquals(await codeOf(p), "SOFTC_IF_GONE");
  });
});
