import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifVmove,
  type Kernel,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { poll, workerThreads } from "../helpers/leaks.ts";
import { counters, freshCounters, plugin, send, until, withHosts } from "./rig.ts";

/** What an application does with an interface, and what it sees of it. */
async function life(k: Kernel, logs: string[]): Promise<unknown> {
  const [a, b, never] = [
    await vnetCreate(k.vnet0, "a"),
    await vnetCreate(k.vnet0, "b"),
    await vnetCreate(k.vnet0, "never"),
  ];
  const errors: string[] = [];
  const refused = (what: string, p: Promise<unknown>): Promise<unknown> =>
    assertRejects(() => p).then((e) => errors.push(`${what}: ${(e as { code?: string }).code}`));
  await refused("options", ifCloneCreate(a, "journal", { options: "text" }));
  let [i]: [Ifnet, ...Ifnet[]] = await ifCloneCreate(a, "journal", { options: { n: 1 } });
  const json = i.toJSON();
  await i.up();
  await i.set({ mtu: 1300 });
  await refused("mtu", i.set({ mtu: 1000 }));
  await refused("veto", ifCloneDestroy(i));
  await refused("move", ifVmove(i, never));
  const sender = await send(a, i, 40);
  await until("40 out and back", () => i.counters.ipackets === 40 && i.toJSON().link === "up");
  await sender.stop();
  ({ ifnet: i } = await ifVmove(i, b));
  await i.down();
  const { mtu, flags, link } = i.toJSON();
  const seen = { ...i.counters };
  await until("the driver's counters", () => {
    void freshCounters(i);
    return counters(i)["queue 0"] === 40 || counters(i)["queue 1"] === 40;
  });
  await ifCloneDestroy(i);
  await vnetDestroy(never);
  return { json, errors, mtu, flags, link, seen, logs: logs.map((l) => l.replace(/^info /, "")) };
}

Deno.test("a driver runs unchanged in a host: same hooks, same order, same words, same counters", async () => {
  const seen: unknown[] = [];
  for (const host of [undefined, {}]) {
    await withHosts(async ({ k, logs }) => {
      await k.modules.load(plugin("journal"), host === undefined ? {} : { host });
      seen.push(await life(k, logs));
      await until("the last line", () => logs.some((l) => l.includes("stop after 40")));
    });
  }
  assertEquals(seen[1], seen[0]);
  const { errors, logs } = seen[1] as { errors: string[]; logs: string[] };
  assertEquals(errors, [
    "options: SOFTC_DRIVER_OPTIONS",
    "mtu: undefined",
    "veto: SOFTC_DEV_BUSY",
    "move: SOFTC_VNET_VETO",
  ]);
  assert(logs.includes(`journal0: attach {"n":1} on cloner`), logs.join("\n"));
});

Deno.test("the built-in drivers run in hosts, on every CPU: loopback, null and epair, moved under traffic", async () => {
  const report = await withHosts(async ({ k }) => {
    for (const name of ["loopback", "null", "epair"]) await k.modules.load(`softc:${name}`, { host: {} });
    const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
    discard(a);
    discard(b);
    const [lo] = await ifCloneCreate(a, "lo", { cpu: 1 });
    const [nil] = await ifCloneCreate(a, "null", { cpu: 0 });
    const [left, right] = await ifCloneCreate(a, "epair", { cpu: 1 }) as [Ifnet, Ifnet];
    for (const i of [lo, nil, left, right]) await i.up();
    let { ifnet: far } = await ifVmove(right, b);
    const senders = [await send(a, lo), await send(a, nil), await send(a, left)];
    const passed = (): number[] => [lo.counters.ipackets, nil.counters.opackets, far.counters.ipackets];
    for (const to of [a, b, a]) {
      const before = passed();
      await until("traffic through all three", () => passed().every((n, x) => n > before[x]! + 500));
      ({ ifnet: far } = await ifVmove(far, to));
    }
    await ifCloneDestroy(left);
    for (const s of senders) await s.stop();
    assertEquals(k.ifnets.map((i) => i.name), ["lo0", "null0"]);
  }, { cpus: 2 });
  assert(report.perCpu.every((n) => n > 0));
});

Deno.test("unloading a hosted module ends its worker; an edited file starts afresh", async () => {
  const folder = await Deno.makeTempDir({ prefix: "softc-host-" });
  const file = `${folder}/edited.ts`;
  const face = new URL("../../core/device/mod.ts", import.meta.url);
  const write = (version: string): Promise<void> =>
    Deno.writeTextFile(
      file,
      `import { defineDriver } from "${face}";
       let loads = 0;
       export default defineDriver({ name: "edited", api: 1, cloner: "edited",
         attach(dev) { dev.log.info("${version} " + ++loads); dev.ifnet({ type: "ether" }); return {}; },
         transmit: (_sc, b) => b.freeAll() });`,
    );
  try {
    await withHosts(async ({ k, logs }) => {
      const before = workerThreads().length;
      for (const version of ["first", "second", "third"]) {
        await write(version);
        const t0 = performance.now();
        const m = await k.modules.load(new URL(`file://${file}`), { host: {} });
        await ifCloneCreate(k.vnet0, "edited");
        await ifCloneCreate(k.vnet0, "edited");
        await until("both have logged", () => logs.length === 2);
        assertEquals(logs.splice(0), [`info edited0: ${version} 1`, `info edited1: ${version} 2`]);
        assertEquals(workerThreads().length, before + 1);
        await k.modules.unload(m, { mode: "drain" });
        assert(await poll(() => workerThreads().length === before, 3000), "the worker runs on");
        assert(performance.now() - t0 < 5000);
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a module that cannot be loaded leaves no host: it throws, has no driver, is not there, asks for nonsense", async () => {
  await withHosts(async ({ k }) => {
    const before = workerThreads().length;
    const data = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
    const load = async (url: string, host = {}): Promise<Error> =>
      await assertRejects(() => k.modules.load(url, { host })) as Error;
    assertStringIncludes((await load(data("throw new Error('at import')"))).message, "at import");
    assertStringIncludes(
      (await load(data("export default { name: 'x', api: 7 }"))).message,
      "SOFTC_DRIVER_API",
    );
    assertStringIncludes((await load(data("export default 5"))).message, "SOFTC_DRIVER_SHAPE");
    assertStringIncludes((await load("./no/such/file.ts")).message, "no/such/file.ts");
    assertStringIncludes((await load("softc:null", { slots: 100 })).message, "SOFTC_HOST_ARGUMENT");
    assertStringIncludes((await load("softc:null", { deadline: 0 })).message, "SOFTC_HOST_ARGUMENT");
    await k.modules.load("softc:null");
    assertStringIncludes((await load("softc:null")).message, "SOFTC_MODULE_EXISTS");
    assert(await poll(() => workerThreads().length === before, 3000));
  });
});

Deno.test("sections of the border are used again, and running out of them is an error", async () => {
  await withHosts(async ({ k }) => {
    await k.modules.load("softc:null", { host: { interfaces: 2, slots: 16 } });
    for (let round = 0; round < 5; round++) {
      const [a] = await ifCloneCreate(k.vnet0, "null");
      const [b] = await ifCloneCreate(k.vnet0, "null");
      const e = await assertRejects(() => ifCloneCreate(k.vnet0, "null"));
      assertStringIncludes((e as Error).message, "SOFTC_ARENA_FULL");
      for (const i of [a, b]) {
        await i.up();
        const sender = await send(k.vnet0, i, 100);
        await until("100 sent", () => i.counters.opackets + i.counters.oqdrops === 100);
        await sender.stop();
      }
      await Promise.all([ifCloneDestroy(a), ifCloneDestroy(b)]);
    }
  });
});

Deno.test("a device on a bus is driven from a host: matched, pulled out under traffic, its signal aborted", async () => {
  await withHosts(async ({ k, logs }) => {
    await k.modules.load(plugin("journal"), { host: {} });
    const device = await k.devices.plug({ bus: "journal", address: "1" });
    const [i] = device.ifnets;
    assert(i !== undefined, "no driver took it");
    await i.up();
    const sender = await send(k.vnet0, i);
    await until("traffic", () => i.counters.ipackets > 1000);
    await k.devices.unplug(device);
    await sender.stop();
    await until("aborted and stopped", () => logs.some((l) => l.includes("stop after")));
    assert(logs.some((l) => l.includes("aborted")), logs.join("\n"));
    assertEquals(k.ifnets, []);
  });
});
