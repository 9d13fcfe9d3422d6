import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ifCloneCreate, ifCloneDestroy, type Ifnet, pktgen, vnetCreate, vnetDestroy } from "../../mod.ts";
import { atStep, codeOf, frame, gate, names, type Rig, snapshot, until, withKernel } from "./rig.ts";

const DRIVER_API = new URL("../../core/device/mod.ts", import.meta.url).href;

/** Writes a plugin into the test's folder; `note(line)` in it adds to the journal. */
function plugin(rig: Rig, file: string, code: string): string {
  const path = `${rig.folder}/${file}`;
  Deno.writeTextFileSync(
    path,
    `import { defineDriver, defineModule } from ${JSON.stringify(DRIVER_API)};
const inWorker = typeof WorkerGlobalScope !== "undefined";
const note = (line) => Deno.writeTextFileSync(${
      JSON.stringify(`${rig.folder}/journal`)
    }, line + "\\n", { append: true });
const driver = (name, more = {}) => defineDriver({
  name, api: 1, cloner: name,
  attach(dev) { dev.ifnet({ type: "ether" }); return {}; },
  transmit: (_, b) => b.freeAll(),
  ...more,
});
${code}`,
  );
  return path;
}

Deno.test("a module is loaded by URL or path from anywhere; every CPU imports it itself", async () => {
  await withKernel({ cpus: 3 }, async (rig) => {
    const { k, journal } = rig;
    const path = plugin(rig, "own.js", `note(inWorker ? "worker" : "main"); export default driver("own");`);
    const m = await k.modules.load(new URL(`file://${path}`));
    assertEquals(journal().sort(), ["main", "worker", "worker"]);
    assertEquals([m.name, m.state, m.drivers, m.url], ["own", "loaded", ["own"], `file://${path}`]);
    for (const cpu of [0, 1, 2]) await ifCloneCreate(k.vnet0, "own", { cpu });
    assertEquals(k.modules.list()[0]!.instances, ["own0", "own1", "own2"]);
    const other = plugin(rig, "other.js", `export default [driver("one"), driver("two")];`);
    assertEquals((await k.modules.load(other)).drivers, ["one", "two"]);
  });
});

const bad: Readonly<Record<string, readonly [code: string, error: string, says: string]>> = {
  "an API that is too new": [`export default { ...driver("x"), api: 2 };`, "SOFTC_DRIVER_API", "newer softc"],
  "an API that is too old": [`export default { ...driver("x"), api: 0 };`, "SOFTC_DRIVER_API", "too old"],
  "a module of another API": [
    `export default { name: "x", api: 3, drivers: [driver("x")] };`,
    "SOFTC_DRIVER_API",
    "driver API 3",
  ],
  "no default export": [`export const x = driver("x");`, "SOFTC_DRIVER_SHAPE", "default export"],
  "null": [`export default null;`, "SOFTC_DRIVER_SHAPE", "default export"],
  "a function": [`export default () => driver("x");`, "SOFTC_DRIVER_SHAPE", "default export"],
  "no drivers": [`export default [];`, "SOFTC_DRIVER_SHAPE", "no drivers"],
  "drivers that are no list": [
    `export default { name: "x", api: 1, drivers: driver("x") };`,
    "SOFTC_DRIVER_SHAPE",
    "drivers",
  ],
  "a module without a name": [
    `export default { api: 1, drivers: [driver("x")] };`,
    "SOFTC_DRIVER_SHAPE",
    "name",
  ],
  "a name that is none": [`export default { ...driver("x"), name: "X!" };`, "SOFTC_DRIVER_SHAPE", "name"],
  "no transmit": [`export default { ...driver("x"), transmit: 1 };`, "SOFTC_DRIVER_SHAPE", '"transmit"'],
  "a hook that is none": [`export default { ...driver("x"), stop: true };`, "SOFTC_DRIVER_SHAPE", '"stop"'],
  "per-cpu without open": [
    `export default { ...driver("x"), queues: "per-cpu" };`,
    "SOFTC_DRIVER_SHAPE",
    '"open"',
  ],
  "65 queues": [`export default { ...driver("x"), queues: 65 };`, "SOFTC_DRIVER_SHAPE", '"queues"'],
  "a queue of 100": [
    `export default { ...driver("x"), queueLength: 100 };`,
    "SOFTC_DRIVER_SHAPE",
    '"queueLength"',
  ],
  "17 at once": [`export default { ...driver("x"), instances: 17 };`, "SOFTC_DRIVER_SHAPE", '"instances"'],
  "a syntax error": [`export default {`, "SOFTC_MODULE_LOAD", "Cannot load the module"],
  "a module that throws": [`throw new Error("planted");`, "SOFTC_MODULE_LOAD", "planted"],
  "a dependency that is not there": [
    `export default defineModule({ name: "x", api: 1, drivers: [driver("x")], depends: ["base"] });`,
    "SOFTC_MODULE_DEPENDS",
    "missing: base",
  ],
  "a load() that throws": [
    `export default defineModule({ name: "x", api: 1, drivers: [driver("x")], load() { throw new Error("planted"); } });`,
    "SOFTC_MODULE_LOAD",
    "planted",
  ],
  "a load() that rejects late": [
    `export default defineModule({ name: "x", api: 1, drivers: [driver("x")],
      load: () => new Promise((_, no) => setTimeout(() => no(new Error("planted")), 1)) });`,
    "SOFTC_MODULE_LOAD",
    "planted",
  ],
  "CPU 1, which throws": [
    `if (inWorker) throw new Error("planted on another CPU"); export default driver("x");`,
    "SOFTC_MODULE_LOAD",
    "planted on another CPU",
  ],
  "CPU 1, which has another shape": [
    `export default inWorker ? {} : driver("x");`,
    "SOFTC_DRIVER_SHAPE",
    "name",
  ],
};

Deno.test("[B18 B64] a load that fails, at any step and on any CPU, undoes exactly what was done", async (t) => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { k, journal } = rig;
    await vnetCreate(k.vnet0, "v");
    const before = snapshot(k);
    let n = 0;
    for (const [what, [code, error, says]] of Object.entries(bad)) {
      await t.step(what, async () => {
        const path = plugin(rig, `bad${n++}.js`, code);
        const e = await k.modules.load(path).catch((x) => x);
        assertEquals(e.code, error, e.message);
        assertStringIncludes(e.message, says);
        assertEquals(snapshot(k), before);
        assertEquals(k.parts.instances.module(n), undefined);
        assertEquals(await codeOf(ifCloneCreate(k.vnet0, "x")), "SOFTC_DRIVER_UNKNOWN");
      });
    }
    assertEquals(await codeOf(k.modules.load("./no-such-file.ts")), "SOFTC_MODULE_LOAD");
    assertEquals(await codeOf(k.modules.load("no-such-package-at-all")), "SOFTC_MODULE_LOAD");
    assertEquals(await codeOf(k.modules.load("softc:nothing")), "SOFTC_MODULE_LOAD");
    // The name is free: the next one of it loads.
    await k.modules.load(plugin(rig, "good.js", `export default driver("x");`));
    await ifCloneCreate(k.vnet0, "x");
    assertEquals(journal(), []);
  });
});

Deno.test("virtualised variables of a load that fails are ended again, also when one of them fails", async () => {
  await withKernel({}, async (rig) => {
    const { k, journal, clear } = rig;
    const vars = `vnetVars: [1, 2].map((order) => ({ order,
      init: (v) => note("init " + order), uninit: (v) => { note("uninit " + order); if (order === 2) throw new Error("planted"); } })),`;
    const of = (more: string): string =>
      `export default defineModule({ name: "x", api: 1, drivers: [driver("x")], ${vars} ${more} });`;
    // What load() threw is the error, not what the undoing threw.
    const failing = k.modules.load(plugin(rig, "a.js", of(`load() { throw new Error("no"); }`)));
    assertEquals(await codeOf(failing), "SOFTC_MODULE_LOAD");
    assertEquals(journal(), ["init 1", "init 2", "uninit 2", "uninit 1"]);
    assertEquals(k.modules.list(), []);
    clear();
    await k.modules.load(plugin(rig, "b.js", of("")));
    await k.modules.unload("x");
    assertEquals(journal(), ["init 1", "init 2", "uninit 2", "uninit 1"]);
    assertEquals([k.modules.list(), rig.faults.length], [[], 2]);
  });
});

Deno.test("names of modules, drivers and cloners are taken once", async () => {
  await withKernel({}, async (rig) => {
    const { k } = rig;
    await k.modules.load(plugin(rig, "a.js", `export default driver("x");`));
    const again = plugin(rig, "b.js", `export default driver("x");`);
    const driver = plugin(
      rig,
      "c.js",
      `export default defineModule({ name: "y", api: 1, drivers: [driver("x")] });`,
    );
    const cloner = plugin(rig, "d.js", `export default driver("y", { cloner: "x" });`);
    for (const path of [again, driver, cloner]) {
      assertEquals(await codeOf(k.modules.load(path)), "SOFTC_MODULE_EXISTS");
    }
    // Two loads at once of one name: one wins.
    const both = await Promise.allSettled(
      ["e.js", "f.js"].map((file) => k.modules.load(plugin(rig, file, `export default driver("z");`))),
    );
    assertEquals(both.map((r) => r.status), ["fulfilled", "rejected"]);
    assertEquals(k.modules.list().map((m) => m.name), ["x", "z"]);
  });
});

Deno.test("[B62] a module that others depend on goes last", async () => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { k } = rig;
    await k.modules.load(plugin(rig, "base.js", `export default driver("base");`));
    const top = plugin(
      rig,
      "top.js",
      `export default defineModule({ name: "top", api: 1, drivers: [driver("top")], depends: ["base"] });`,
    );
    await k.modules.load(top);
    for (const mode of ["refuse", "drain", "force"] as const) {
      assertEquals(await codeOf(k.modules.unload("base", { mode })), "SOFTC_MODULE_BUSY");
    }
    assertEquals(await k.modules.explain("base"), ['module "top" depends on it']);
    await k.modules.unload("top");
    await k.modules.unload("base");
    assertEquals(await codeOf(k.modules.unload("base")), "SOFTC_MODULE_UNKNOWN");
    assertEquals(await codeOf(k.modules.load(top)), "SOFTC_MODULE_DEPENDS");
  });
});

Deno.test("[B62] refuse, drain, force: in use, asked, told", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear }) => {
    const control = await probe();
    const [busy] = await ifCloneCreate(k.vnet0, "probe", {
      cpu: 1,
      options: { canDetach: "a transfer runs" },
    });
    const [idle] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    clear();
    const modes = async (): Promise<string[]> => [
      await codeOf(k.modules.unload("probe")),
      await codeOf(k.modules.unload("probe", { mode: "drain" })),
    ];
    assertEquals(await modes(), ["SOFTC_MODULE_BUSY", "SOFTC_MODULE_BUSY"]);
    assertEquals(await k.modules.explain("probe"), [
      "interface probe0 is attached",
      "interface probe1 is attached",
      "probe0 says: a transfer runs",
    ]);
    await ifCloneDestroy(busy).catch(() => {});
    control.quiesce = "not on Sundays";
    assertEquals(await modes(), ["SOFTC_MODULE_BUSY", "SOFTC_MODULE_BUSY"]);
    // A veto resumes: nothing was stopped, and all of it works.
    assertEquals(journal().filter((l) => /stop|close|destroy|unload/.test(l)), []);
    assertEquals([busy.state, idle.state, k.modules.list()[0]!.state], ["attached", "attached", "loaded"]);
    const [next] = await ifCloneCreate(k.vnet0, "probe", { cpu: 1 });
    await next.up();
    const g = await pktgen({ vnet: k.vnet0, ifnet: next, count: 32, frame: frame(64) });
    await until("it sends", () => next.counters.opackets === 64);
    await g.stop();
    clear();
    const before = k.gracePeriods;
    await k.modules.unload("probe", { mode: "force" });
    assert(k.gracePeriods - before <= 4);
    assertEquals([busy.state, idle.state, next.state], ["freed", "freed", "freed"]);
    assertEquals(journal().filter((l) => l.startsWith("canDetach")), [], "force does not ask");
    assertEquals(journal().at(-1), "unload");
    assertEquals(control.vars.filter((l) => l.startsWith("uninit")).length, 3);
  });
});

Deno.test("[B66] while a module goes nothing of it is made, and a second unload is refused", async () => {
  await withKernel({}, async ({ k, probe, journal }) => {
    const { gates } = await probe();
    await ifCloneCreate(k.vnet0, "probe");
    const stopping = gate();
    gates.set("stop", stopping.promise);
    const unloading = k.modules.unload("probe", { mode: "drain" });
    await until("it stops", () => journal().at(-1) === "stop@0");
    assertEquals(k.modules.list()[0]!.state, "closing");
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probe")), "SOFTC_DRIVER_UNKNOWN");
    assertEquals(await codeOf(k.modules.unload("probe")), "SOFTC_MODULE_STATE");
    stopping.open();
    await unloading;
    assertEquals(k.modules.list(), []);
    const end = journal().filter((l) => l === "destroy@0" || l === "unload");
    assertEquals(end, ["destroy@0", "unload"], "what it made goes before it");
    // Its names are free.
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probe")), "SOFTC_DRIVER_UNKNOWN");
    await probe();
    assertEquals((await ifCloneCreate(k.vnet0, "probe"))[0].name, "probe0");
  });
});

Deno.test("[B65] a reload begins afresh, with the code that is there then", async () => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { k, journal, clear } = rig;
    const code = (version: string): string =>
      `let loads = 0;
       export default driver("x", { attach(dev) { note("${version} " + loads++ + "@" + dev.cpu); dev.ifnet({ type: "ether" }); return {}; } });`;
    for (const version of ["a", "a", "b"]) {
      clear();
      await k.modules.load(plugin(rig, "x.js", code(version)));
      const made: Ifnet[] = [];
      for (const cpu of [0, 0, 1]) made.push((await ifCloneCreate(k.vnet0, "x", { cpu }))[0]);
      assertEquals(journal(), [`${version} 0@0`, `${version} 1@0`, `${version} 0@1`]);
      assertEquals(names(k.vnet0), ["x0", "x1", "x2"]);
      await k.modules.unload("x", { mode: "drain" });
    }
  });
});

Deno.test("another kernel of the process that reloads the file gets its code of then, too", async () => {
  await withKernel({}, async (rig) => {
    const code = (version: string): string =>
      `export default driver("x", { attach(dev) { note("${version}"); dev.ifnet({ type: "ether" }); return {}; } });`;
    const reload = async (k: Rig["k"], version: string): Promise<void> => {
      const path = plugin(rig, "x.js", code(version));
      await k.modules.load(path);
      await ifCloneCreate(k.vnet0, "x");
      await k.modules.unload("x", { mode: "drain" });
    };
    for (const version of ["first", "second"]) await reload(rig.k, version);
    await withKernel({}, async ({ k }) => {
      await reload(k, "ignored: a kernel's first load has the plain URL, which the process may know already");
      rig.clear();
      await reload(k, "third");
    });
    assertEquals(rig.journal(), ["third"]);
  });
});

Deno.test("[B63] unload under full traffic on two CPUs: nothing is lost, and no function of the module runs after it", async () => {
  await withKernel({ cpus: 2, arena: 32 << 20, debug: false }, async (rig) => {
    const { k, probe, journal } = rig;
    const control = await probe();
    const options = { timer: 1, task: true, interrupt: true, callback: true };
    const made: Ifnet[] = [];
    for (const cpu of [0, 1]) made.push((await ifCloneCreate(k.vnet0, "probe", { cpu, options }))[0]);
    made.push((await ifCloneCreate(k.vnet0, "probes", { options }))[0]);
    const streams = [];
    for (const i of made) {
      await i.up();
      streams.push(await pktgen({ vnet: k.vnet0, ifnet: i, frame: frame(64), batch: 8 }));
    }
    await until("all flow", () => made.every((i) => i.counters.opackets > 1000));
    await until(
      "timers and interrupts run",
      () =>
        [0, 1].every((cpu) => journal().includes(`timer@${cpu}`) && journal().includes(`interrupt@${cpu}`)),
    );
    await k.modules.unload("probe", { mode: "drain" });
    const lines = journal();
    assertEquals(lines.at(-1), "unload");
    for (const what of ["callback@", "task ends", "destroy@"]) {
      assertEquals(lines.filter((l) => l.startsWith(what)).length, 3, what);
    }
    assertEquals(made.map((i) => i.state), ["freed", "freed", "freed"]);
    // Senders go on, every pump turns, time passes: nobody calls it.
    await k.ledger();
    await new Promise((resolve) => setTimeout(resolve, 20));
    // What once led to it: a vnet made and ended, a device for its drivers, a veto, a drain.
    const { vars } = control;
    const before = vars.length;
    await vnetDestroy(await vnetCreate(k.vnet0, "late"));
    const d = await k.devices.plug({ bus: "probe", address: "1" });
    assertEquals(k.devices.explain(d), ["no driver is loaded"]);
    await k.devices.unplug(d);
    for (const i of made) assertEquals(await codeOf(ifCloneDestroy(i)), "SOFTC_IF_GONE");
    await k.drain();
    for (const g of streams) await g.stop();
    assertEquals([journal(), vars.length], [lines, before]);
    assertEquals(k.parts.cpu.timers.size, 0);
    assertEquals((await k.ledger()).unaccounted, 0);
  });
});

Deno.test("an unload waits for an attach that runs, and undoes it", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal }) => {
    await probe();
    let unloading: Promise<void> | undefined;
    atStep(k, { "attach: opened": () => void (unloading = k.modules.unload("probe", { mode: "drain" })) });
    assertEquals(await codeOf(ifCloneCreate(k.vnet0, "probes")), "SOFTC_MODULE_STATE");
    await unloading;
    assertEquals([k.ifs.count, journal().at(-1)], [0, "unload"]);
  });
});

Deno.test("a driver itself cannot be loaded, only what every CPU can import", async () => {
  await withKernel({}, async ({ k }) => {
    for (const given of [{ name: "x", api: 1 }, undefined, 7]) {
      const e = await k.modules.load(given as never).catch((e) => e);
      assertEquals([e.code, e.state], ["SOFTC_MODULE_ARGUMENT", typeof given]);
    }
  });
});

Deno.test("a module's own hook that never settles is late, not waited for: load unwinds, quiesce is a veto, unload goes on", async () => {
  await withKernel({ hookDeadline: 50 }, async (rig) => {
    const { k, faults } = rig;
    const never = (name: string, hook: string): string =>
      plugin(
        rig,
        `${name}.js`,
        `export default defineModule({ name: "${name}", api: 1, drivers: [driver("${name}")], ${hook}: () => new Promise(() => {}) });`,
      );
    assertEquals(await codeOf(k.modules.load(never("a", "load"))), "SOFTC_DRIVER_STALLED");
    assertEquals(k.modules.list(), []);
    await k.modules.load(never("b", "quiesce"));
    assertEquals(await codeOf(k.modules.unload("b", { mode: "drain" })), "SOFTC_MODULE_BUSY");
    const asked = k.modules.explain("b");
    assertEquals(k.blame().map((x) => x.holder), [
      'hook "load" of module "a" on CPU 0',
      'hook "quiesce" of module "b" on CPU 0',
      'hook "quiesce" of module "b" on CPU 0',
    ], "those that were late, and the one that is asked now");
    assertStringIncludes((await asked).join(), 'hook "quiesce" of module "b" did not answer');
    await k.modules.unload("b", { mode: "force" });
    const { events } = k;
    const told: string[] = [];
    events.listen((e) => void told.push(`${e.type} ${e.name}`));
    await k.modules.load(never("c", "unload"));
    await k.modules.unload("c");
    assertEquals(told, ["module c", "fault c", "module gone c"]);
    assertEquals(faults, []);
  });
});
