import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { setImmediate } from "node:timers";
import {
  boot,
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifVmove,
  type Kernel,
  pktgen,
  type PluggedDevice,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { poll } from "../helpers/leaks.ts";
import type { Plug } from "./plugins/nic.ts";

const NICS = new URL("./plugins/nic.ts", import.meta.url);
const BUSY = new URL("./plugins/busy.ts", import.meta.url);
const CERTAIN = new URL("./plugins/certain.ts", import.meta.url);

/** Runs with a kernel that is shut down afterwards, and nothing may leak. */
async function withKernel(body: (k: Kernel) => Promise<void>, cpus = 1): Promise<void> {
  const k = await boot({ cpus, debug: true });
  try {
    await body(k);
  } finally {
    const { leaks, wedged, unaccounted } = await k.shutdown();
    assertEquals({ leaks, wedged, unaccounted }, { leaks: [], wedged: [], unaccounted: 0 });
  }
}

function plug(gate?: Promise<void>): Plug {
  const log: string[] = [];
  return { log, unplugged: () => void log.push("unplugged"), ...(gate === undefined ? {} : { gate }) };
}

function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => open = resolve);
  return { promise, open };
}

Deno.test("what is no plugged device is refused by name", () =>
  withKernel(async (k) => {
    for (const none of [undefined, null, {}] as unknown as PluggedDevice[]) {
      for (const call of ["unplug", "detach", "attach"] as const) {
        await assertRejects(() => k.devices[call](none), Error, "SOFTC_DEV_GONE");
      }
    }
  }));

Deno.test("[B57] the highest bid of the matching drivers wins, and explain() says why", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 });
    assertEquals([d.driver, d.state, d.ifnets.length], ["plain", "attached", 1]);
    const why = k.devices.explain(d);
    for (
      const line of [
        "plain: matches; bids -20",
        "low: matches; bids -40",
        "nay: probe says no (6)",
        "broken: probe threw: oops",
        "unmatched: it has no match rules",
        "plain has it, as plain0",
      ]
    ) assert(why.includes(line), `${line} in ${why.join("\n")}`);
    const other = await k.devices.plug({ bus: "test", address: "2", vendor: 2, product: 8 });
    assertEquals([other.driver, other.state], [undefined, "unclaimed"]);
    assertStringIncludes(k.devices.explain(other)[0]!, "it wants product 7, the device has 8");
    assertEquals(k.devices.list().length, 2);
  }));

Deno.test("[B57] a driver that answers 0 ends the looking", () =>
  withKernel(async (k) => {
    await k.modules.load(CERTAIN);
    await k.modules.load(NICS);
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 });
    assertEquals(d.driver, "certain");
    assert(k.devices.explain(d).includes("plain: not asked: certain is certain"));
  }));

Deno.test("a device that waits is attached when its module is loaded, and waits again when it is unloaded", () =>
  withKernel(async (k) => {
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 });
    assertEquals(k.devices.explain(d), ["no driver is loaded"]);
    await k.modules.load(NICS);
    assertEquals(d.state, "attached");
    await k.modules.unload("nics", { mode: "drain" });
    assertEquals([d.state, d.driver], ["unclaimed", undefined]);
    await k.modules.load(NICS);
    assertEquals(d.state, "attached");
  }));

Deno.test("a place on a bus holds one device", () =>
  withKernel(async (k) => {
    await k.devices.plug({ bus: "test", address: "1", vendor: 1 });
    await assertRejects(() => k.devices.plug({ bus: "test", address: "1" }), Error, "SOFTC_DEV_EXISTS");
  }));

Deno.test("[B59 B60] a driver may refuse detach(), and goes on as before; never unplug()", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1, veto: 1 });
    await assertRejects(() => k.devices.detach(d), Error, "I am needed");
    assertEquals(d.state, "attached");
    // It works as before, and may be asked again.
    const i = d.ifnets[0]!;
    await i.up();
    const g = await pktgen({ vnet: k.vnet0, ifnet: i, count: 100, frame: new Uint8Array(64) });
    assert(await poll(() => i.counters.opackets === 100, 5000));
    await g.stop();
    await i.set({ mtu: 1400 });
    await assertRejects(() => k.devices.detach(d), Error, "I am needed");
    assertEquals([d.driver, i.state, k.resolve(i.handle)], ["plain", "attached", "live"]);
    await k.devices.unplug(d);
    assertEquals([d.state, k.ifnets.length, k.devices.list().length], ["gone", 0, 0]);
    const soft = await k.devices.plug({ bus: "test", address: "1", vendor: 1 });
    await k.devices.detach(soft);
    assertEquals(soft.state, "unclaimed");
    await k.devices.attach(soft);
    assertEquals(soft.state, "attached");
  }));

Deno.test("[B60] unplug of a running device: its transfers fail first, then the signal, then stop and destroy", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const resource = plug();
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource });
    await d.ifnets[0]!.up();
    const [first, second] = [k.devices.unplug(d), k.devices.unplug(d)];
    await first;
    await second;
    assertEquals(resource.log, ["attach", 'set {"up":true}', "unplugged", "abort", "stop", "destroy"]);
    assertEquals(k.ifnets, []);
  }));

Deno.test("[B60] unplug in full traffic leaves no timer, task, interrupt, callback or buffer of the driver behind", () =>
  withKernel(async (k) => {
    await k.modules.load(BUSY);
    const idle = k.inspect();
    const log: string[] = [];
    const resource = { log, unplugged: () => void log.push("unplugged") };
    const d = await k.devices.plug({ bus: "busy", address: "1" }, { resource });
    const i = d.ifnets[0]!;
    await assertRejects(() => k.devices.detach(d), Error, "SOFTC_DEV_BUSY");
    await i.up();
    const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: new Uint8Array(64) });
    const all = ["timer", "interrupt", "callback"];
    assert(await poll(() => all.every((l) => log.includes(l)), 5000), log.slice(0, 20).join());
    const before = log.length;
    await k.devices.unplug(d);
    const end = log.slice(before).filter((l) => !all.includes(l));
    assertEquals(end.toSorted(), ["destroy", "stop", "task ends", "unplugged"]);
    assertEquals([end[0], end.at(-1)], ["unplugged", "destroy"]);
    assertEquals([log.at(-1), d.state, i.state, i.why()], ["destroy", "gone", "freed", []]);
    const length = log.length;
    for (let n = 0; n < 5; n++) {
      await k.ledger();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await g.stop();
    assertEquals(log.length, length, log.slice(length).join());
    assertEquals(k.inspect(), idle);
    assertEquals((await k.ledger()).live, []);
  }, 2));

Deno.test("a device that nobody drives any more is pulled out: the slot's next interface does not hear of it", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const [first, second] = [plug(), plug()];
    const one = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource: first });
    const [{ index }] = one.ifnets as [Ifnet];
    await k.devices.detach(one);
    const two = await k.devices.plug({ bus: "test", address: "2", vendor: 1 }, { resource: second });
    assertEquals(two.ifnets[0]!.index, index);
    await k.devices.unplug(one);
    assertEquals([first.log.at(-1), second.log], ["unplugged", ["attach"]]);
  }));

Deno.test("[B57] nothing that a probe did to what it was given reaches another probe or attach", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const id = { bus: "test", address: "1", vendor: 3, veto: 0 };
    const d = await k.devices.plug(id);
    assertEquals(d.driver, "after");
    assert(k.devices.explain(d).some((line) => line.startsWith("meddler: probe threw")), "its id is its own");
    Object.assign(id, { address: "9", veto: 1 });
    assertEquals([d.name, d.id.veto, d.id.vendor], ["test:1", 0, 3]);
    await k.devices.detach(d);
    await k.devices.unplug(d);
    assertEquals(k.devices.list(), []);
  }));

Deno.test("[B60] an unplugged() that throws refuses nothing, and one that pulls the device out again is heard once", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    let told = 0;
    const again: Promise<void>[] = [];
    const resource = {
      ...plug(),
      unplugged(): void {
        told++;
        again.push(k.devices.unplug(d));
        throw new Error("planted");
      },
    };
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource });
    const events = k.subscribe();
    await k.devices.unplug(d);
    await Promise.all(again);
    assertEquals([told, d.state, k.ifnets.length, resource.log.at(-1)], [1, "gone", 0, "destroy"]);
    events.close();
    const faults: string[] = [];
    for await (const e of events) if (e.type === "fault") faults.push(e.name);
    assertEquals(faults, ["unplugged() of test:1"]);
  }));

Deno.test("unplug during attach unwinds it: nobody ever finds the interface", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const g = gate();
    const resource = plug(g.promise);
    const seen: string[] = [];
    const events = k.subscribe();
    const plugged = k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource });
    assert(await poll(() => resource.log.includes("attach"), 5000));
    const [d] = k.devices.list();
    const gone = k.devices.unplug(d!);
    assert(await poll(() => resource.log.includes("abort"), 5000));
    g.open();
    await gone;
    assertEquals([(await plugged).state, k.ifnets.length], ["gone", 0]);
    assertEquals(resource.log, ["attach", "unplugged", "abort", "stop", "destroy"]);
    events.close();
    for await (const e of events) seen.push(e.type);
    assertEquals(seen.filter((t) => t === "arrival"), []);
  }));

Deno.test("unplug during vmove goes forward into detach", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const b = await vnetCreate(k.vnet0, "b");
    const g = gate();
    const resource = plug();
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource });
    resource.gate = g.promise;
    const moved = ifVmove(d.ifnets[0]!, b).then(() => "moved", (e) => e.code);
    assert(await poll(() => resource.log.includes("reassign"), 5000));
    const gone = k.devices.unplug(d);
    g.open();
    await gone;
    assertEquals(await moved, "SOFTC_VNET_LOST");
    assertEquals([b.ifnets.length, k.ifnets.length], [0, 0]);
    assertEquals(resource.log.slice(-4), ["unplugged", "abort", "stop", "destroy"]);
  }));

Deno.test("unplug at every moment of attach, up, move and detach leaves nothing behind", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const b = await vnetCreate(k.vnet0, "b");
    const met = new Set<string>();
    for (let step = 0; step < 200; step++) {
      const life = (async () => {
        const id = { bus: "test", address: "1", vendor: 1, serial: step % 2 === 0 ? "s" : `s${step}` };
        const d = await k.devices.plug(id, { cpu: 1 });
        const nic = (): Ifnet => d.ifnets[0]!;
        await nic().up();
        for (let i = 0; i < 4; i++) await ifVmove(nic(), nic().vnet === b ? k.vnet0 : b);
        await k.devices.detach(d);
      })().catch(() => {});
      const until = performance.now() + step / 50;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      const [d] = k.devices.list();
      if (d !== undefined) {
        met.add(`${d.state} ${d.ifnets[0]?.state}`);
        await k.devices.unplug(d);
      }
      await life;
      for (const left of k.devices.list()) await k.devices.unplug(left);
      assertEquals([k.ifnets.length, k.devices.list().length], [0, 0], `after step ${step}`);
    }
    for (const moment of ["attaching", "attached attached", "attached moving"]) {
      assert([...met].some((m) => m.startsWith(moment)), `no unplug while ${moment}: ${[...met].join(", ")}`);
    }
  }, 2));

/** What is under way when the device is pulled out: each is held in the hook that it is named by. */
const MOMENTS: Record<string, (k: Kernel, d: PluggedDevice, b: Vnet) => Promise<unknown>> = {
  "set, going up": (_k, d) => d.ifnets[0]!.up(),
  "set, another MTU": (_k, d) => d.ifnets[0]!.set({ mtu: 1400 }),
  "reassign, moving": (_k, d, b) => ifVmove(d.ifnets[0]!, b),
  "reassign, its vnet destroyed": (_k, _d, b) => vnetDestroy(b),
  "stop, detaching": (k, d) => k.devices.detach(d),
  "stop, its module unloaded": (k) => k.modules.unload("nics", { mode: "drain" }),
  "stop, its interface destroyed": (_k, d) => ifDetach(d.ifnets[0]!),
  "attach, attaching again": async (k, d) => {
    await k.devices.detach(d);
    await k.devices.attach(d);
  },
};

for (const [moment, begin] of Object.entries(MOMENTS)) {
  Deno.test(`pulled out in the middle of ${moment}: it ends once, and nothing is left`, () =>
    withKernel(async (k) => {
      await k.modules.load(NICS);
      const [hook] = moment.split(",");
      const resource = plug();
      const b = await vnetCreate(k.vnet0, "b");
      const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1, serial: "S" }, { resource });
      if (moment.includes("its vnet destroyed")) await ifVmove(d.ifnets[0]!, b);
      const g = gate();
      let held = false;
      resource.log.length = 0;
      resource.hold = (h) => {
        if (h !== hook) return undefined;
        held = true;
        return g.promise;
      };
      const under = begin(k, d, b).catch(() => {});
      assert(await poll(() => held, 5000), `${hook} was not reached`);
      const gone = k.devices.unplug(d);
      assert(await poll(() => resource.log.includes("unplugged"), 5000));
      assertEquals(d.state, "gone");
      g.open();
      await Promise.all([gone, under]);
      const count = (what: string): number => resource.log.filter((x) => x === what).length;
      const lives = count("attach") + 1;
      assertEquals(
        [count("unplugged"), count("stop"), count("destroy")],
        [1, lives, lives],
        resource.log.join(),
      );
      assertEquals([k.ifnets.length, k.devices.list().length], [0, 0]);
    }));
}

Deno.test("pulled out while what it had is being given back: nothing is left, and the next plug gets all of it", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const b = await vnetCreate(k.vnet0, "b");
    const id = { bus: "test", address: "1", vendor: 1, serial: "S" };
    const d = await k.devices.plug(id);
    await d.ifnets[0]!.set({ name: "uplink", mtu: 1400 });
    await d.ifnets[0]!.up();
    await ifVmove(d.ifnets[0]!, b);
    await k.devices.unplug(d);
    for (const hook of ["reassign", "set"]) {
      const resource = plug();
      const g = gate();
      let held = false;
      resource.hold = (h) => h === hook ? (held = true, g.promise) : undefined;
      const again = k.devices.plug(id, { resource });
      assert(await poll(() => held, 5000), `${hook} was not reached`);
      const gone = k.devices.unplug(k.devices.list()[0]!);
      g.open();
      await Promise.all([again, gone]);
      assertEquals([(await again).state, k.ifnets.length, b.ifnets.length], ["gone", 0, 0]);
    }
    const back = (await k.devices.plug(id)).ifnets[0]!.toJSON();
    assertEquals([back.name, back.vnet, back.mtu, back.flags.includes("UP")], ["uplink", "b", 1400, true]);
  }));

Deno.test("a device with a serial number gets its name, vnet, MTU and flags back, at another place too", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const b = await vnetCreate(k.vnet0, "b");
    const id = { bus: "test", vendor: 1, product: 3, serial: "S1" };
    const d = await k.devices.plug({ ...id, address: "1" });
    await d.ifnets[0]!.set({ name: "uplink", mtu: 1400, promisc: true });
    await d.ifnets[0]!.up();
    await ifVmove(d.ifnets[0]!, b, { name: "wan" });
    await d.ifnets[0]!.set({ promisc: true });
    await k.devices.unplug(d);
    const again = await k.devices.plug({ ...id, address: "9" });
    const { name, vnet, home, mtu, flags } = again.ifnets[0]!.toJSON();
    assertEquals({ name, vnet, home, mtu }, { name: "wan", vnet: "b", home: "vnet0", mtu: 1400 });
    assert(flags.includes("UP") && flags.includes("PROMISC"), flags.join());
    const stranger = await k.devices.plug({ ...id, serial: "S2", address: "1" });
    assertEquals(stranger.ifnets[0]!.toJSON().mtu, 1500);
    await k.devices.unplug(again);
    await vnetDestroy(b);
    const homeless = await k.devices.plug({ ...id, address: "9" });
    assertEquals(homeless.ifnets[0]!.vnet.name, "vnet0");
  }));

Deno.test("a replug while the last unplug is under way waits for it", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const id = { bus: "test", address: "1", vendor: 1, serial: "S" };
    const d = await k.devices.plug(id);
    await d.ifnets[0]!.set({ name: "keep" });
    const gone = k.devices.unplug(d);
    const again = await k.devices.plug(id);
    await gone;
    assertEquals(again.ifnets[0]!.name, "keep");
    assertEquals(k.ifnets.length, 1);
  }));

Deno.test("a replug while the last unplug waits for a move gets its name all the same", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    const b = await vnetCreate(k.vnet0, "b");
    const g = gate();
    const resource = plug();
    const id = { bus: "test", address: "1", vendor: 1, serial: "S" };
    const d = await k.devices.plug(id, { resource });
    await d.ifnets[0]!.set({ name: "keep" });
    resource.gate = g.promise;
    const moved = ifVmove(d.ifnets[0]!, b).catch(() => {});
    assert(await poll(() => resource.log.includes("reassign"), 5000));
    const gone = k.devices.unplug(d);
    const again = k.devices.plug(id);
    g.open();
    await Promise.all([moved, gone]);
    const [nic] = (await again).ifnets;
    assertEquals([nic!.name, nic!.vnet.name], ["keep", "vnet0"]);
  }));

Deno.test("a device that hangs off an interface goes with it", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    await k.modules.load("softc:null");
    const [parent] = await ifCloneCreate(k.vnet0, "null");
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { parent });
    const { ifCloneDestroy } = await import("../../mod.ts");
    await ifCloneDestroy(parent);
    assertEquals([d.state, k.ifnets.length], ["gone", 0]);
    await assertRejects(
      () => k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { parent }),
      Error,
      "SOFTC_DEV_GONE",
    );
  }));

/** Two devices in turn on one interface; the first one's stop waits at a gate. */
async function inTurn(
  k: Kernel,
): Promise<{ first: PluggedDevice; log: string[]; open: () => void; parent: Ifnet }> {
  await k.modules.load(NICS);
  await k.modules.load("softc:null");
  const [parent] = await ifCloneCreate(k.vnet0, "null");
  const g = gate();
  const resource = { ...plug(), hold: (hook: string) => hook === "stop" ? g.promise : undefined };
  const first = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { parent, resource });
  return { first, log: resource.log, open: g.open, parent };
}

Deno.test("what hangs off an interface has it alone: the next one's driver attaches when the last one has gone", () =>
  withKernel(async (k) => {
    const { first, log, open, parent } = await inTurn(k);
    const id = { bus: "test", address: "2", vendor: 1 };
    const e = await assertRejects(() => k.devices.plug(id, { parent }), Error, "SOFTC_DEV_EXISTS");
    assertStringIncludes(e.message, "test:1 is attached there");
    const gone = k.devices.unplug(first);
    assert(await poll(() => log.includes("stop"), 5000));
    const resource = { log, unplugged: () => void log.push("unplugged") };
    const again = k.devices.plug(id, { parent, resource });
    // Time enough for an attach that does not wait: CPU 0 runs it.
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    assertEquals(log.filter((l) => l === "attach").length, 1, "attached to what another driver still uses");
    open();
    await gone;
    assertEquals((await again).state, "attached");
    assertEquals(log.slice(log.indexOf("stop")), ["stop", "destroy", "attach"]);
  }));

Deno.test("a device that is pulled out while it waits for its turn never gets a driver; nor does the third lose its turn", () =>
  withKernel(async (k) => {
    const { first, log, open, parent } = await inTurn(k);
    const gone = k.devices.unplug(first);
    const second = k.devices.plug({ bus: "test", address: "2", vendor: 1 }, { parent });
    const out = k.devices.unplug(k.devices.list()[0]!);
    const third = k.devices.plug({ bus: "test", address: "3", vendor: 1 }, { parent });
    assert(await poll(() => log.includes("stop"), 5000));
    open();
    await Promise.all([gone, out]);
    assertEquals([(await second).state, (await second).ifnets.length, (await third).state], [
      "gone",
      0,
      "attached",
    ]);
  }));

Deno.test("behind a device that is wedged nothing attaches to the interface, and explain() says why", async () => {
  const k = await boot({ debug: true, hookDeadline: 100 });
  const { first, open, parent } = await inTurn(k);
  const { name } = first.ifnets[0]!;
  await assertRejects(() => k.devices.unplug(first), Error, "SOFTC_IF_WEDGED");
  const next = await k.devices.plug({ bus: "test", address: "2", vendor: 1 }, { parent });
  assertEquals(next.state, "unclaimed");
  assertStringIncludes(k.devices.explain(next).join("\n"), `last trouble: Interface ${name}`);
  open();
  assertEquals((await k.shutdown()).wedged.length > 0, true);
});

Deno.test("a change whose driver fails because its device was pulled out is refused: the interface goes", () =>
  withKernel(async (k) => {
    await k.modules.load(NICS);
    let fail = (_: Error): void => {};
    const resource: Plug = {
      log: [],
      unplugged: () => fail(new Error("gone")),
      hold: (hook) => hook === "set" ? new Promise((_, reject) => fail = reject) : undefined,
    };
    const d = await k.devices.plug({ bus: "test", address: "1", vendor: 1 }, { resource });
    const up = assertRejects(() => d.ifnets[0]!.up(), Error, "SOFTC_IF_GONE");
    assert(await poll(() => resource.log.length === 2, 5000));
    await k.devices.unplug(d);
    await up;
  }));
