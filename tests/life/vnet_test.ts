import { assert, assertEquals } from "@std/assert";
import {
  epochOpen,
  ifCloneCreate,
  ifDetach,
  ifVmove,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { atStep, codeOf, entryOf, gate, names, snapshot, until, withKernel } from "./rig.ts";

Deno.test("[B41 B42] constructors run in ascending order, destructors in exact reverse; a vnet is listed after them", async () => {
  await withKernel({}, async ({ k, probe }) => {
    const control = await probe();
    control.vars.length = 0;
    const listed: number[] = [];
    control.vnetInit = () => void listed.push(k.vnets.length);
    const v = await vnetCreate(k.vnet0, "v");
    assertEquals(control.vars.splice(0), ["init 10 v", "init 20 v", "init 30 v"]);
    assertEquals([listed, k.vnets.length], [[1, 1, 1], 2]);
    await vnetDestroy(v);
    assertEquals(control.vars, ["uninit 30 v true", "uninit 20 v true", "uninit 10 v true"]);
    assertEquals([v.state, k.vnets.length], ["gone", 1]);
    control.vnetInit = undefined;
  });
});

Deno.test("[B43 B44] a module's variables are made in every vnet at load, and ended in every vnet at unload", async () => {
  await withKernel({}, async ({ k, probe }) => {
    const a = await vnetCreate(k.vnet0, "a");
    const b = await vnetCreate(a, "b");
    const control = await probe();
    assertEquals(
      control.vars.splice(0),
      ["vnet0", "a", "b"].flatMap((v) => [10, 20, 30].map((n) => `init ${n} ${v}`)),
    );
    // Old and new vnets begin with the same values (behaviour 44), each with its own.
    const c = await vnetCreate(b, "c");
    const x = k.table.all()[0]!.def.vnetVars![1]!;
    assertEquals([a, b, c].map((v) => v.get(x)), ["a", "b", "c"].map((vnet) => ({ order: 10, vnet })));
    control.vars.length = 0;
    await k.modules.unload("probe");
    assertEquals(
      control.vars,
      ["c", "b", "a", "vnet0"].flatMap((v) => [30, 20, 10].map((n) => `uninit ${n} ${v} true`)),
    );
    assertEquals(a.get(x), undefined);
  });
});

Deno.test("a constructor that throws undoes its vnet, or the load of its module", async () => {
  await withKernel({}, async ({ k, probe }) => {
    const control = await probe();
    for (const at of [1, 2, 3]) {
      control.vars.length = 0;
      let n = 0;
      control.vnetInit = () => {
        if (++n === at) throw new Error("planted");
      };
      const before = snapshot(k);
      assertEquals(await codeOf(vnetCreate(k.vnet0, "v")), "no code: planted");
      const done = [10, 20, 30].slice(0, at - 1);
      assertEquals(control.vars, [
        ...done.map((o) => `init ${o} v`),
        ...done.toReversed().map((o) => `uninit ${o} v true`),
      ]);
      assertEquals(snapshot(k), before);
    }
    control.vnetInit = undefined;
    await vnetCreate(k.vnet0, "v");
  });
});

Deno.test("vnets nest: children go first, the first vnet never, a name is taken once", async () => {
  await withKernel({}, async ({ k }) => {
    const a = await vnetCreate(k.vnet0, "a");
    const b = await vnetCreate(a, "b");
    assertEquals([b.parent?.name, a.parent?.name, k.vnet0.parent], ["a", "vnet0", undefined]);
    assertEquals(await codeOf(vnetDestroy(a)), "SOFTC_VNET_ORDER");
    assertEquals(await codeOf(vnetDestroy(k.vnet0)), "SOFTC_VNET_ORDER");
    assertEquals(await codeOf(vnetCreate(k.vnet0, "b")), "SOFTC_VNET_EXISTS");
    for (const name of ["", "-x", "a b", "x".repeat(64), 1 as unknown as string]) {
      assertEquals(await codeOf(vnetCreate(k.vnet0, name)), "SOFTC_VNET_ARGUMENT", String(name));
    }
    await vnetDestroy(b);
    await vnetDestroy(a);
    assertEquals(await codeOf(vnetCreate(a, "c")), "SOFTC_VNET_STATE");
    assertEquals(await codeOf(vnetDestroy(a)), "SOFTC_VNET_STATE");
    assertEquals(await codeOf(vnetCreate({} as Vnet, "c")), "SOFTC_VNET_ARGUMENT");
    const again = await vnetCreate(k.vnet0, "a");
    assert(again.id !== a.id, "an id names one vnet while the kernel lives");
  });
});

Deno.test("[B45] destroy: what it borrowed goes home first, then its own goes, then the destructors", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear, noteEvents, note }) => {
    const control = await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const w = await vnetCreate(k.vnet0, "w");
    const [borrowed] = await ifCloneCreate(k.vnet0, "probe", { name: "x0" });
    const [own] = await ifCloneCreate(v, "probe", { name: "y0" });
    const [lent] = await ifCloneCreate(v, "probe", { name: "z0" });
    await borrowed.up();
    await ifVmove(borrowed, v, { name: "b0" });
    await ifVmove(lent, w);
    noteEvents();
    clear();
    control.vars.length = 0;
    k.events.listen((e) => e.type === "freed" ? note(`${control.vars.length} destructors`) : undefined);
    await vnetDestroy(v);
    assertEquals([names(k.vnet0), names(w)], [["x0"], []]);
    assertEquals(k.vnet0.ifnets[0]!.toJSON().flags.includes("UP"), true);
    assertEquals([borrowed.index, own.state, lent.state], [k.vnet0.ifnets[0]!.index, "freed", "freed"]);
    const lines = journal().filter((l) => /arrival|departure|vnet gone|destructors/.test(l));
    assertEquals(lines.slice(0, 2), ["* departure b0", "* arrival x0"]);
    assertEquals(lines.slice(2, -1).sort(), [
      "* departure y0",
      "* departure z0",
      "0 destructors",
      "0 destructors",
    ]);
    assertEquals(lines.at(-1), "* vnet gone v");
    assertEquals(control.vars.length, 3);
  });
});

Deno.test("[B45] a reader that is overdue delays the way home; what is borrowed still goes there", async () => {
  await withKernel({ clock: "virtual" }, async ({ k, probe, journal }) => {
    await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const [i] = await ifCloneCreate(k.vnet0, "probe", { name: "x0" });
    await ifVmove(i, v);
    const reader = epochOpen(k, "a dump of the tables");
    k.advance(5000);
    const gone = vnetDestroy(v);
    await until("the move waits", () => k.blame().some((b) => b.what === "grace period"));
    assertEquals([names(k.vnet0), v.state], [[], "closing"]);
    reader.close();
    await gone;
    assertEquals([names(k.vnet0), journal().filter((l) => l.startsWith("stop"))], [["x0"], []]);
  });
});

Deno.test("a home name stays reserved while its interface is lent, so the return never fails", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const w = await vnetCreate(k.vnet0, "w");
    const [i] = await ifCloneCreate(k.vnet0, "probe", { name: "x0" });
    const inV = (await ifVmove(i, v)).ifnet;
    const inW = (await ifVmove(inV, w, { name: "other" })).ifnet;
    const [y] = await ifCloneCreate(k.vnet0, "probe", { name: "y0" });
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probe", { name: "x0" })), "SOFTC_IF_EXISTS");
    assertEquals(await codeOf(y.set({ name: "x0" })), "SOFTC_IF_EXISTS");
    assertEquals(inW.toJSON().home, "vnet0");
    await vnetDestroy(w);
    assertEquals(names(k.vnet0), ["x0", "y0"]);
    // Home again: lent no more, so the name goes with it.
    const home = k.vnet0.ifnets[0]!;
    assertEquals(entryOf(home).homeName, undefined);
    await ifDetach(home);
    await ifCloneCreate(k.vnet0, "probe", { name: "x0" });
  });
});

Deno.test("a driver that refuses to go home, or fails on the way, is detached: its vnet goes all the same", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    for (const options of [{ canMove: "no" }, { fail: ["reassign"] }]) {
      const v = await vnetCreate(k.vnet0, "v");
      const [i] = await ifCloneCreate(k.vnet0, "probe", { options: {} });
      const moved = (await ifVmove(i, v)).ifnet;
      // From now on it refuses: its options are the driver's own object.
      Object.assign(k.parts.instances, {});
      const { device } = entryOf(moved);
      if ("canMove" in options) device.canMove = () => Promise.resolve("no");
      else device.reassign = () => Promise.reject(new Error("planted"));
      await vnetDestroy(v);
      assertEquals([moved.state, v.state], ["freed", "gone"]);
    }
  });
});

Deno.test("[B46] a vnet on its way out takes nothing: no create, no child, no move into it", async () => {
  await withKernel({}, async ({ k, probe, journal }) => {
    const { gates } = await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const [own] = await ifCloneCreate(v, "probe");
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const stopping = gate();
    gates.set("stop", stopping.promise);
    const gone = vnetDestroy(v);
    await until("its interface stops", () => journal().at(-1) === "stop@0");
    assertEquals(v.state, "closing");
    assertEquals(await codeOf(ifCloneCreate(v, "probe")), "SOFTC_VNET_STATE");
    assertEquals(await codeOf(vnetCreate(v, "child")), "SOFTC_VNET_STATE");
    assertEquals(await codeOf(ifVmove(i, v)), "SOFTC_VNET_STATE");
    const again = await vnetDestroy(v).catch((e) => e);
    assertEquals([again.code, again.errno], ["SOFTC_VNET_STATE", "EBUSY"]);
    assertEquals([own.state, i.state], ["detaching", "attached"]);
    stopping.open();
    gates.clear();
    await gone;
  });
});

Deno.test("a create under way when its vnet goes is undone", async () => {
  await withKernel({}, async ({ k, probe, journal }) => {
    const { gates } = await probe();
    const v = await vnetCreate(k.vnet0, "v");
    const attaching = gate();
    gates.set("attach", attaching.promise);
    const create = codeOf(ifCloneCreate(v, "probe"));
    await until("attach runs", () => journal().includes("attach@0"));
    const gone = vnetDestroy(v);
    attaching.open();
    assertEquals(await create, "SOFTC_VNET_STATE");
    await gone;
    assertEquals([k.ifs.count, v.state], [0, "gone"]);
  });
});

Deno.test("an interface that moves between other vnets when its home goes is detached, not forgotten", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const home = await vnetCreate(k.vnet0, "home");
    const a = await vnetCreate(k.vnet0, "a");
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(home, "probe");
    const inA = (await ifVmove(i, a)).ifnet;
    let gone: Promise<void> | undefined;
    atStep(k, { "vmove: grace": () => void (gone = vnetDestroy(home)) });
    assertEquals(await codeOf(ifVmove(inA, b)), "SOFTC_VNET_LOST");
    await gone;
    assertEquals([inA.state, k.ifs.count, home.state], ["freed", 0, "gone"]);
  });
});
