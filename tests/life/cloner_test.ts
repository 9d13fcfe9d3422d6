import { assertEquals } from "@std/assert";
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifVmove,
  pktgen,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { codeOf, entryOf, frame, gate, names, until, withKernel } from "./rig.ts";

async function builtin(k: KernelObject): Promise<void> {
  for (const m of ["loopback", "null", "epair"]) await k.modules.load(`softc:${m}`);
}

Deno.test("a create takes the lowest free unit of its vnet", async () => {
  await withKernel({}, async ({ k }) => {
    await builtin(k);
    const v = await vnetCreate(k.vnet0, "v");
    const los: Ifnet[] = [];
    for (let n = 0; n < 4; n++) los.push((await ifCloneCreate(k.vnet0, "lo"))[0]);
    assertEquals(names(k.vnet0), ["lo0", "lo1", "lo2", "lo3"]);
    assertEquals((await ifCloneCreate(v, "lo"))[0].name, "lo0");
    await ifCloneDestroy(los[2]!);
    await ifDetach(los[1]!);
    assertEquals((await ifCloneCreate(k.vnet0, "lo"))[0].name, "lo1");
    assertEquals((await ifCloneCreate(k.vnet0, "lo"))[0].name, "lo2");
    assertEquals((await ifCloneCreate(k.vnet0, "lo"))[0].name, "lo4");
    // A unit whose name is somebody's is passed over.
    await ifCloneCreate(k.vnet0, "null", { name: "lo5" });
    assertEquals((await ifCloneCreate(k.vnet0, "lo"))[0].name, "lo6");
    // A name at home stays reserved while its interface is lent.
    await ifVmove(los[0]!, v, { name: "up0" });
    assertEquals((await ifCloneCreate(k.vnet0, "lo"))[0].name, "lo7");
  });
});

Deno.test("a pair is made as one and destroyed as one, by either end, wherever they are", async () => {
  await withKernel({ cpus: 2 }, async ({ k }) => {
    await builtin(k);
    const v = await vnetCreate(k.vnet0, "v");
    for (const end of [0, 1]) {
      const pair = await ifCloneCreate(k.vnet0, "epair");
      assertEquals(pair.map((i) => i.name), ["epair0a", "epair0b"]);
      const moved = (await ifVmove(pair[1]!, v)).ifnet;
      await ifCloneDestroy([pair[0], moved][end]!);
      assertEquals([pair[0].state, moved.state, k.ifs.count], ["freed", "freed", 0]);
    }
    // One end alone detached: the other still is one create, and its destroy ends it.
    const [a, b] = await ifCloneCreate(k.vnet0, "epair", { name: "wire" });
    assertEquals([a.name, b!.name], ["wirea", "wireb"]);
    await ifDetach(a);
    assertEquals(b!.state, "attached");
    await ifCloneDestroy(b!);
    assertEquals(await codeOf(ifCloneDestroy(b!)), "SOFTC_IF_GONE");
    assertEquals(k.modules.list().flatMap((m) => m.instances), []);
  });
});

Deno.test("[B21] two destroyers: one wins, the other gets ENXIO (R09)", async () => {
  await withKernel({}, async ({ k }) => {
    await builtin(k);
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    const results = await Promise.allSettled([ifCloneDestroy(a), ifCloneDestroy(b!), ifCloneDestroy(a)]);
    assertEquals(results.map((r) => r.status === "fulfilled" ? "done" : r.reason.errno), [
      "done",
      "ENXIO",
      "ENXIO",
    ]);
    assertEquals(await codeOf(ifCloneDestroy(a)), "SOFTC_IF_GONE");
  });
});

Deno.test("R09: a vnet's destroy and a pair's destroy meet: both finish, each end is detached once", async () => {
  await withKernel({ cpus: 2 }, async ({ k, noteEvents, journal }) => {
    await builtin(k);
    noteEvents();
    for (let n = 0; n < 10; n++) {
      const jail = await vnetCreate(k.vnet0, `jail${n}`);
      const [a, b] = await ifCloneCreate(k.vnet0, "epair");
      await ifVmove(b!, jail);
      await Promise.all([
        vnetDestroy(jail),
        n % 2 === 0 ? ifCloneDestroy(a) : Promise.resolve().then(() => ifCloneDestroy(a)),
      ]);
      assertEquals(k.ifs.count, 0);
    }
    assertEquals(journal().filter((l) => l === "* freed epair0b").length, 10);
  });
});

Deno.test("[B21] a veto that comes when somebody else destroys gives no claim back", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal }) => {
    const { gates } = await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 1, options: { canDetach: "in use" } });
    const vetoed = codeOf(ifCloneDestroy(i));
    // It asks nobody, and waits for a stop on CPU 0.
    const [other] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    const stopping = gate();
    gates.set("stop", stopping.promise);
    const unloaded = k.modules.unload("probe", { mode: "force" });
    assertEquals(await vetoed, "SOFTC_DEV_BUSY");
    assertEquals(await codeOf(ifCloneDestroy(other)), "SOFTC_IF_GONE");
    assertEquals(await codeOf(ifCloneDestroy(i)), "SOFTC_IF_GONE", "the unload has it");
    stopping.open();
    await unloaded;
    assertEquals(journal().filter((l) => l === "destroy@1").length, 1);
  });
});

Deno.test("a veto keeps the interface, and gives the claim back", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 1, options: { canDetach: "in use by a test" } });
    for (let n = 0; n < 2; n++) assertEquals(await codeOf(ifCloneDestroy(i)), "SOFTC_DEV_BUSY");
    assertEquals([i.state, journal().includes("stop@1")], ["attached", false]);
    // Nobody asks when it is detached.
    await ifDetach(i);
    assertEquals(i.state, "freed");
  });
});

Deno.test("names are decided once: two creates of one name give one EEXIST (R33)", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const creates = Array.from({ length: 3 }, () => ifCloneCreate(k.vnet0, "probes", { name: "x0" }));
    const results = await Promise.allSettled(creates);
    assertEquals(results.map((r) => r.status === "fulfilled" ? "done" : r.reason.errno), [
      "done",
      "EEXIST",
      "EEXIST",
    ]);
    assertEquals(
      await codeOf(
        ifCloneCreate(k.vnet0, "twins", { name: "y" }).then(() => {
          return ifCloneCreate(k.vnet0, "probe", { name: "yb" });
        }),
      ),
      "SOFTC_IF_EXISTS",
    );
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probe", { name: "0bad" })), "SOFTC_IF_ARGUMENT");
    assertEquals(
      await codeOf(ifCloneCreate(k.vnet0, "twins", { name: "x".repeat(15) })),
      "SOFTC_IF_ARGUMENT",
    );
    assertEquals(names(k.vnet0), ["x0", "ya", "yb"]);
  });
});

Deno.test("options are validated before anything is made", async () => {
  await withKernel({}, async ({ k }) => {
    await builtin(k);
    const bad = ifCloneCreate(k.vnet0, "epair", { options: { dispatch: "round" } });
    assertEquals(await codeOf(bad), "SOFTC_DRIVER_OPTIONS");
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "nothing")), "SOFTC_DRIVER_UNKNOWN");
    assertEquals(k.ifs.count, 0);
    const [a] = await ifCloneCreate(k.vnet0, "epair", { options: { dispatch: "flow" } });
    assertEquals(a.name, "epair0a");
  });
});

Deno.test("an instance is placed where it is told, else spread over the CPUs", async () => {
  await withKernel({ cpus: 3 }, async ({ k, probe, journal }) => {
    await probe();
    for (const cpu of [0, 1, 2]) {
      const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu });
      assertEquals([i.toJSON().cpu, journal().at(-1)], [cpu, `attach@${cpu}`]);
    }
    const spread: number[] = [];
    for (let n = 0; n < 6; n++) spread.push((await ifCloneCreate(k.vnet0, "probe"))[0].toJSON().cpu);
    assertEquals([0, 1, 2].map((cpu) => spread.filter((x) => x === cpu).length), [2, 2, 2]);
    for (const cpu of [3, -1, 0.5]) {
      assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probe", { cpu })), "SOFTC_DEV_CPU");
    }
  });
});

Deno.test("loopback returns what is sent, epair hands it to the other end's vnet, null ends it", async () => {
  await withKernel({ cpus: 2 }, async ({ k }) => {
    await builtin(k);
    const v = await vnetCreate(k.vnet0, "v");
    const [lo] = await ifCloneCreate(k.vnet0, "lo");
    const [hole] = await ifCloneCreate(k.vnet0, "null");
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    const far = (await ifVmove(b!, v)).ifnet;
    for (const i of [lo, hole, a, far]) await i.up();
    const services = [discard(k.vnet0), discard(v)];
    for (const i of [lo, hole, a]) {
      const g = await pktgen({ vnet: k.vnet0, ifnet: i, count: 100, frame: frame(64) });
      await until("all are sent", () => i.counters.opackets === 200);
      await g.stop();
    }
    const { ended, unaccounted, dropped } = await k.ledger();
    assertEquals([ended.delivered, ended.wire, unaccounted, dropped], [400, 200, 0, {}]);
    assertEquals([lo.counters.ipackets, far.counters.ipackets, far.counters.ibytes], [200, 200, 12800]);
    services[1]!.close();
    // An end that is down drops and counts.
    await far.down();
    const g = await pktgen({ vnet: k.vnet0, ifnet: a, cpus: [1], count: 10, frame: frame(64) });
    await until("all are sent", () => a.counters.opackets === 210);
    await g.stop();
    assertEquals((await k.ledger()).dropped, { down: 10 });
    assertEquals(far.counters.iqdrops, 10);
    // What goes to an end that is detached is dropped, whoever has its slot then.
    await ifDetach(far);
    const [other] = await ifCloneCreate(v, "null");
    assertEquals(other.index, far.index);
    await other.up();
    const g2 = await pktgen({ vnet: k.vnet0, ifnet: a, count: 10, frame: frame(64) });
    await until("all are sent", () => a.counters.opackets === 230);
    await g2.stop();
    assertEquals((await k.ledger()).dropped, { down: 10, gone: 20 });
    assertEquals(other.counters.ipackets, 0);
    assertEquals(entryOf(a).detaching, undefined);
  });
});

Deno.test("the tutorial driver stays a tutorial", () => {
  const lines =
    Deno.readTextFileSync(new URL("../../drivers/loopback.ts", import.meta.url)).split("\n").length;
  assertEquals(lines <= 150, true, `${lines} lines`);
});
