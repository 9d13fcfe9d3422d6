import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  isSoftcError,
  type Kernel,
  type Module,
} from "../../mod.ts";
import { freshCounters, type Rig, send, until, withHosts } from "../host/rig.ts";

/** An inline interface with traffic on every CPU: what a rogue in a host must not disturb. */
async function bystander(k: Kernel): Promise<{ passes(): Promise<void>; stop(): Promise<unknown> }> {
  await k.modules.load("softc:null");
  const [i] = await ifCloneCreate(k.vnet0, "null", { name: "calm0" });
  await i.up();
  const sender = await send(k.vnet0, i);
  return {
    async passes(): Promise<void> {
      const before = i.counters.opackets;
      await until("the bystander's traffic goes on", () => i.counters.opackets > before + 10_000, 3000);
    },
    stop: () => sender.stop(),
  };
}

/** The interface goes by itself, within the time. */
const gone = (i: Ifnet, ms = 10_000): Promise<void> =>
  until(`${i.name} is gone`, () => ["dead", "freed"].includes(i.state) || i.toJSON().state === "freed", ms);

/** The module has gone with its host, and can be loaded again. */
async function loadsAgain({ k, rogue }: Rig, m: Module): Promise<void> {
  await until("the module is gone", () => m.state === "gone");
  assertEquals(k.modules.list().filter((x) => x.name === "rogue"), []);
  const again = await rogue("none");
  const sender = await send(k.vnet0, again.rogue, 1000);
  await until("the new host's traffic", () => again.rogue.counters.opackets > 100);
  await sender.stop();
}

for (const vice of ["throw in transmit", "throw in timer", "double free", "foreign free"] as const) {
  Deno.test(`${vice}: the interface goes and is named, its host and its neighbour in it stay`, async () => {
    await withHosts(async (rig) => {
      const { k, faults } = rig;
      const calm = await bystander(k);
      const { module, rogue } = await rig.rogue(vice);
      const [good] = await ifCloneCreate(k.vnet0, "rogue", { options: { vice: "none" } });
      await good.up();
      const sender = vice === "throw in timer" ? undefined : await send(k.vnet0, rogue);
      await gone(rogue);
      await sender?.stop();
      const said = {
        "throw in transmit": "thrown in transmit",
        "throw in timer": "thrown in a timer",
        "double free": "SOFTC_MBUF_DOUBLE_FREE",
        "foreign free": "mbuf 3",
      }[vice];
      assertStringIncludes(faults[0]!.message, said);
      assertStringIncludes(faults[0]!.message, "rogue0");
      assertEquals(module.state, "loaded");
      const more = await send(k.vnet0, good, 100);
      await until("the neighbour's traffic", () => good.counters.opackets === 100);
      await more.stop();
      await calm.passes();
      await calm.stop();
    }, { faults: ["SOFTC_DRIVER_THREW"] });
  });
}

for (const vice of ["spin in transmit", "spin in timer", "exit", "crash"] as const) {
  const code = vice === "crash" ? "SOFTC_HOST_LOST" : "SOFTC_HOST_STALLED";
  Deno.test(`${vice}: the host is given up (${code}), what it held is dropped and counted, it can be loaded again`, async () => {
    const report = await withHosts(async (rig) => {
      const { k, faults } = rig;
      const calm = await bystander(k);
      const { module, rogue } = await rig.rogue(vice, { deadline: 300 }, 1500);
      const sender = await send(k.vnet0, rogue);
      await gone(rogue);
      assertStringIncludes(faults[0]!.message, `"rogue"`);
      await calm.passes();
      await sender.stop();
      await loadsAgain(rig, module);
      await calm.passes();
      await calm.stop();
    }, { cpus: 2, faults: [code], threads: 8000 });
    assert((report.dropped.driver ?? 0) + (report.dropped.purged ?? 0) > 0, JSON.stringify(report.dropped));
  });
}

Deno.test("a flood of packets, log lines, link changes and counters is bounded and counted", async () => {
  await withHosts(async (rig) => {
    const { k, logs } = rig;
    const calm = await bystander(k);
    const { rogue } = await rig.rogue("flood", { deadline: 2000 });
    let links = 0;
    const events = k.subscribe();
    const listening = (async () => {
      for await (const e of events) if ((e as { type?: string }).type === "link") links++;
    })();
    await until("a flood", () => rogue.counters.ipackets > 20_000);
    await calm.passes();
    const t0 = performance.now();
    const seconds = (): number => Math.ceil((performance.now() - t0) / 1000) + 3;
    await until("letters thrown away", () => {
      void freshCounters(rogue);
      return logs.length >= 100;
    });
    await calm.passes();
    assert(logs.length <= 101 * seconds(), `${logs.length} lines`);
    const names = Object.keys(await freshCounters(rogue));
    assert(names.length <= 64 + 4, `${names.length} counters`);
    assert((await freshCounters(rogue))["host.muted"]! > 0, "nothing was muted");
    const n = await k.ledger();
    assertEquals(n.unaccounted, 0);
    await ifCloneDestroy(rogue);
    await calm.stop();
    events.close();
    await listening;
    assert(links < 10_000, `${links} link events`);
  });
});

Deno.test("a late attach is refused by name, a late set too; the kernel waits for neither", async () => {
  await withHosts(async (rig) => {
    const { k } = rig;
    const calm = await bystander(k);
    const { rogue } = await rig.rogue("late set", { deadline: 300, interfaces: 3 });
    const late = await assertRejects(() => rogue.set({ mtu: 1000 }));
    assert(isSoftcError(late, "SOFTC_HOST_LATE"), String(late));
    assertEquals(rogue.toJSON().mtu, 1500);
    const attach = await assertRejects(() =>
      ifCloneCreate(k.vnet0, "rogue", { options: { vice: "late attach" } })
    );
    assert(isSoftcError(attach, "SOFTC_HOST_LATE"), String(attach));
    assertStringIncludes(attach.message, "attach");
    const [good] = await ifCloneCreate(k.vnet0, "rogue", { options: { vice: "none" } });
    await ifCloneDestroy(good);
    await calm.passes();
    await calm.stop();
    // A set that never settles cannot be stopped after: said, and ended with the host.
  }, { threads: 8000, faults: ["SOFTC_DRIVER_THREW", "SOFTC_ARENA_LEAK"] });
});

Deno.test("a host that does not stop an interface keeps its section, and nothing else of the kernel's", async () => {
  await withHosts(async (rig) => {
    const { k } = rig;
    const { rogue, module } = await rig.rogue("late stop", { deadline: 300, interfaces: 2 });
    const sender = await send(k.vnet0, rogue, 100);
    await until("traffic", () => rogue.counters.opackets > 0);
    await sender.stop();
    await ifCloneDestroy(rogue);
    assertStringIncludes(rig.faults[0]!.message, `"stop"`);
    const [good] = await ifCloneCreate(k.vnet0, "rogue", { options: { vice: "none" } });
    const full = await assertRejects(() => ifCloneCreate(k.vnet0, "rogue", { options: { vice: "none" } }));
    assert(isSoftcError(full, "SOFTC_ARENA_FULL"), String(full));
    await ifCloneDestroy(good);
    await k.modules.unload(module);
  }, { threads: 8000, faults: ["SOFTC_DRIVER_THREW", "SOFTC_ARENA_LEAK"] });
});

Deno.test("packets that a hosted driver keeps for good are reported when its host ends", async () => {
  await withHosts(async (rig) => {
    const { k, faults } = rig;
    const { rogue, module } = await rig.rogue("keep");
    const sender = await send(k.vnet0, rogue, 100);
    await until("traffic", () => rogue.counters.opackets === 100);
    await sender.stop();
    await ifCloneDestroy(rogue);
    await k.modules.unload(module);
    assertStringIncludes(faults[0]!.message, "1 mbufs of the device of if#1");
  }, { faults: ["SOFTC_ARENA_LEAK"] });
});

for (const vice of ["scribble", "nonsense"] as const) {
  Deno.test(`${vice} over the border and the host's own memory: the kernel's books close, its neighbours go on`, async () => {
    const codes: string[] = [];
    const expected: string[] = [];
    await withHosts(async (rig) => {
      const { k } = rig;
      const calm = await bystander(k);
      const { rogue, module } = await rig.rogue(vice, { deadline: 300 });
      const sender = await send(k.vnet0, rogue);
      await until(
        "the host is given up, or it has scribbled for a while",
        () => module.state === "gone",
        3000,
      )
        .catch(() => {});
      await sender.stop();
      await calm.passes();
      if (module.state !== "gone") await k.modules.unload(module, { mode: "force" }).catch(() => {});
      await until("the module is gone", () => module.state === "gone");
      await calm.passes();
      await calm.stop();
      codes.push(...rig.codes());
      expected.push(...codes);
      assert(codes.every((c) => /^SOFTC_(HOST|DRIVER|ARENA)_/.test(c)), codes.join(" "));
    }, { cpus: 2, faults: expected, threads: 8000 });
  });
}

Deno.test("shutting down with hosts in every state leaves nothing: loaded, with interfaces, lost a moment ago", async () => {
  await withHosts(async (rig) => {
    const { k } = rig;
    await k.modules.load("softc:null", { host: {} });
    await k.modules.load("softc:epair", { host: {} });
    await ifCloneCreate(k.vnet0, "epair");
    const { rogue } = await rig.rogue("crash");
    await send(k.vnet0, rogue);
    await until("it crashed", () => rig.faults.length > 0);
  }, { faults: ["SOFTC_HOST_LOST"], threads: 8000 });
});

Deno.test("permissions are taken away from a hosted driver when the application says so, and only then", async () => {
  const folder = await Deno.makeTempDir({ prefix: "softc-host-" });
  const url = (path: string): string => new URL(`../../${path}`, import.meta.url).href;
  try {
    await Deno.writeTextFile(
      `${folder}/nosy.ts`,
      `import { defineDriver } from "${url("core/device/mod.ts")}";
       import { readFileSync } from "node:fs";
       const tries = (fn) => { try { fn(); return "allowed"; } catch (e) { return e.name; } };
       export default defineDriver({ name: "nosy", api: 1, cloner: "nosy",
         attach(dev) {
           dev.log.info([tries(() => readFileSync("${folder}/secret")), tries(() => Deno.env.get("HOME"))].join(" "));
           dev.ifnet({ type: "ether" });
           return {};
         },
         transmit: (_sc, b) => b.freeAll() });`,
    );
    const main = `${folder}/main.ts`;
    await Deno.writeTextFile(
      main,
      `import { boot, ifCloneCreate } from "${url("mod.ts")}";
       const k = await boot({ onLog: (l) => console.log(l) });
       for (const permissions of JSON.parse(Deno.args[0])) {
         const m = await k.modules.load(new URL("file://${folder}/nosy.ts"), { host: permissions === null ? {} : { permissions } });
         await ifCloneCreate(k.vnet0, "nosy");
         await k.modules.unload(m, { mode: "drain" });
       }
       await k.shutdown();`,
    );
    await Deno.writeTextFile(`${folder}/secret`, "s");
    const run = async (flags: string[], permissions: unknown[]): Promise<string[]> => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-lock", "--no-check", ...flags, main, JSON.stringify(permissions)],
        signal: AbortSignal.timeout(60_000),
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      return new TextDecoder().decode(stdout).trim().split("\n");
    };
    assertEquals(await run([], [null]), ["info nosy0: allowed allowed"]);
    // Its own folder it may read, so that its file can be imported; the environment it may not.
    assertEquals(await run(["--unstable-worker-options"], ["none", { env: true }]), [
      "info nosy0: allowed NotCapable",
      "info nosy0: allowed allowed",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
