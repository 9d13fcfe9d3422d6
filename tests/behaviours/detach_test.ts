import { assert, assertEquals } from "@std/assert";
import { get, load } from "../../core/doors/arena.ts";
import * as driverApi from "../../core/device/mod.ts";
import type { Device } from "../../core/device/device.ts";
import { LocalInstance } from "../../core/device/instance.ts";
import { IFNET } from "../../core/memory/arena.ts";
import {
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  ifVmove,
  pktgen,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { inetAddress } from "../../vnet/mod.ts";
import { resetScript, script } from "../plugins/script.ts";
import { codeOf, entryOf, frame, type Rig, until, withKernel } from "../life/rig.ts";

for (const how of ["detach", "move", "destroy of its vnet"] as const) {
  Deno.test(`[B14 B61] what hangs off an interface is freed after the sections that could reach it: ${how}`, async () => {
    await withKernel({ debug: true }, async ({ k, probe, journal }) => {
      await probe();
      const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
      const [i] = await ifCloneCreate(a, "probe", { cpu: 0 });
      await inetAddress(i, "10.0.0.1/24");
      const tap = i.tap({ onPacket: () => {} });
      const at = k.arena.ifnetAt(i.index);
      const { device } = entryOf(i);
      const word = (w: number): number => load(k.arena.a, at + w);
      const hung: Record<string, number> = {
        inet: word(IFNET.afdata),
        inet6: word(IFNET.afdata + 1),
        ...(how === "move" ? {} : { rings: word(IFNET.rings), softc: (device as Device).sharedAt }),
        tap: word(IFNET.taps),
      };
      assert(Object.values(hung).every((block) => block > 0), JSON.stringify(hung));
      /** What can still be read: a freed word throws in debug mode. */
      const alive = (): string[] =>
        Object.keys(hung).filter((what) => {
          try {
            get(k.arena.a, hung[what]!);
            return true;
          } catch {
            return false;
          }
        });
      const reader = epochOpen(k, "a reader");
      let over = false;
      const closed: Promise<void>[] = [];
      const done = (how === "detach" ? ifDetach(i) : how === "move" ? ifVmove(i, b) : vnetDestroy(a))
        .then(() => void (over = true));
      await until("unlink", () => k.resolve(i.handle) !== "live");
      closed.push(tap.close());
      for (let n = 0; n < 20; n++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        assertEquals(alive(), Object.keys(hung));
      }
      assertEquals([over, journal().filter((l) => /stop|destroy|reassign/.test(l))], [false, []]);
      reader.close();
      await done;
      await Promise.all(closed);
      assertEquals(alive(), []);
      assertEquals(journal().includes("destroy@0"), how !== "move");
    });
  });
}

/** Hooks that take a macrotask each, so that two at once would show. */
function slow(gates: Map<string, Promise<void>>): void {
  gates.get = () => new Promise((resolve) => setTimeout(resolve, 0));
}

/** Every order of what is given. */
function* orders<T>(of: readonly T[]): Iterable<T[]> {
  if (of.length === 0) yield [];
  for (const [i, first] of of.entries()) {
    for (const rest of orders([...of.slice(0, i), ...of.slice(i + 1)])) yield [first, ...rest];
  }
}

Deno.test("[B20] detach, move, return to the home vnet and destroy come one after the other, in whatever order they are asked", async () => {
  await withKernel({}, async ({ k, probe, journal, clear, noteEvents }) => {
    const { gates } = await probe();
    slow(gates);
    noteEvents();
    const seen = new Set<string>();
    for (const gap of [0, 1, 3]) {
      for (const order of orders(["detach", "move", "return", "destroy"] as const)) {
        const [b, c] = [await vnetCreate(k.vnet0, "b"), await vnetCreate(k.vnet0, "c")];
        const [made] = await ifCloneCreate(k.vnet0, "probe");
        const i = (await ifVmove(made, b)).ifnet;
        clear();
        const under: Promise<string>[] = [];
        for (const op of order) {
          const run = {
            detach: () => ifDetach(i),
            move: () => ifVmove(i, c),
            return: () => vnetDestroy(b),
            destroy: () => ifCloneDestroy(i),
          };
          under.push(run[op]().then(() => `${op} done`, (e) => `${op} ${e.code}`));
          for (let n = 0; n < gap; n++) await new Promise((resolve) => setTimeout(resolve, 0));
        }
        const results = await Promise.all(under);
        for (const r of results) seen.add(r);
        const what = `${order.join(", ")}; gap ${gap}: ${results.join(", ")}\n${journal().join("\n")}`;
        const lines = journal();
        // A hook that has begun goes on before another begins, and the end comes once, last of all.
        const hooks = lines.filter((l) => /^(set|reassign|stop)@/.test(l) && !l.includes('"up"'));
        hooks.forEach((l, n) => {
          if (n % 2 === 1) assertEquals(l, `${hooks[n - 1]!.split(" ")[0]} goes on`, what);
        });
        for (const end of ["stop@0", "destroy@0", "* freed probe0"]) {
          assertEquals(lines.filter((l) => l === end).length, 1, `${end}: ${what}`);
        }
        const links = lines.filter((l) => /arrival|departure/.test(l)).map((l) => l.split(" ")[1]);
        assertEquals(links, links.map((_, n) => n % 2 === 0 ? "departure" : "arrival"), what);
        assertEquals([links.length % 2, lines.at(-1), i.state], [1, lines.at(-1), "freed"], what);
        assertEquals([k.ifs.count, k.vnets.map((v) => v.name)], [0, ["vnet0", "c"]], what);
        await vnetDestroy(c);
      }
    }
    for (
      const r of [
        "detach done",
        "move done",
        "return done",
        "destroy done",
        "move SOFTC_VNET_LOST",
        "destroy SOFTC_IF_GONE",
      ]
    ) {
      assert(seen.has(r), `${r} never met: ${[...seen].join(", ")}`);
    }
  });
});

/** Traffic on every CPU through an interface that uses every kind of hook, until `end`; then every way in is tried. */
async function noWayIn(rig: Rig, end: (i: Ifnet, v: Vnet) => Promise<void>): Promise<void> {
  const { k, journal, faults } = rig;
  await rig.probe();
  const options = { timer: 1, interrupt: true, task: true, callback: true, owner: "m" };
  for (const [cloner, cpu] of [["probe", 0], ["probe", 1], ["probes", 0]] as const) {
    const v = await vnetCreate(k.vnet0, `${cloner}-${cpu}`);
    const [i] = await ifCloneCreate(v, cloner, { cpu, options });
    await i.up();
    const g = await pktgen({ vnet: v, ifnet: i, frame: frame(64, "m"), batch: 8 });
    const busy = cloner === "probe" ? [`timer@${cpu}`, `interrupt@${cpu}`] : [`timer@${cpu}`];
    await until(
      "its hooks run",
      () => i.counters.opackets > 2000 && busy.every((line) => journal().includes(line)),
    );
    const { device } = entryOf(i);
    await end(i, v);
    const [ended, frozen, json] = [journal(), i.counters, JSON.stringify(i)];
    assertEquals(ended.filter((l) => l === `destroy@${cpu}`).length, 1);
    rig.clear();
    const late = [
      i.up(),
      i.down(),
      i.set({ mtu: 1400 }),
      i.set({ promisc: true }),
      i.set({ name: "late" }),
      ifVmove(i, k.vnet0),
      ifCloneDestroy(i),
      Promise.resolve().then(() => i.tap({ onPacket: () => {} })),
    ];
    for (const p of late) assertEquals(await codeOf(p), "SOFTC_IF_GONE");
    assertEquals([i.why(), k.resolve(i.handle), await k.modules.explain("probe")], [[], "gone", []]);
    await device.flush().catch(() => {});
    // Senders go on, every CPU handles mail, time passes.
    for (let n = 0; n < 5; n++) {
      await k.ledger();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await g.stop();
    assertEquals([journal(), faults], [[], []], `${cloner} on CPU ${cpu}`);
    assertEquals([i.counters, JSON.stringify(i)], [frozen, json]);
    assert(frozen.opackets > 2000);
  }
}

Deno.test("[B22 B23 B24] after a detach under traffic no hook runs and none can be entered, on any CPU; counters stand", () =>
  withKernel({ cpus: 2, debug: false }, (rig) => noWayIn(rig, (i) => ifDetach(i))));

Deno.test("[B25] nor when it was detached because its vnet went, under traffic", () =>
  withKernel({ cpus: 2, debug: false }, (rig) => noWayIn(rig, (_, v) => vnetDestroy(v))));

Deno.test("[B24] a driver is given nothing to wait for: no grace period, no lock, no count", () => {
  const given = [
    ...Object.keys(driverApi),
    ...Object.getOwnPropertyNames(LocalInstance.prototype).filter((n) => n !== "constructor"),
  ];
  assert(given.includes("epochCall") && given.includes("timer"));
  assertEquals(given.filter((name) => /wait|grace|sync|drain|lock|ref|rele/i.test(name)), []);
});

Deno.test("[B26] a link change is told while attached; in stop, in a move and after the end nobody hears of it", async () => {
  resetScript();
  await withKernel({}, async ({ k }) => {
    await k.modules.load(new URL("../plugins/script.ts", import.meta.url));
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(k.vnet0, "script", { cpu: 0 });
    const dev = script.dev!;
    const told: string[] = [];
    k.events.listen((e) => {
      if (["link", "departure", "arrival", "freed"].includes(e.type)) {
        told.push(`${e.type} ${e.detail ?? ""}`.trim());
      }
      // Told after unlink, before the driver's reassign or stop.
      if (e.type === "departure") dev.link(e.vnet === "b");
    });
    dev.link(true);
    dev.link(true);
    dev.link(false);
    assertEquals(told.splice(0), ["link up", "link down"]);
    dev.link(true);
    const { ifnet } = await ifVmove(i, b);
    assertEquals(told.splice(0), ["link up", "departure", "arrival"]);
    assertEquals(ifnet.toJSON().link, "down", "what it is in the other vnet from the start");
    script.stop = () => dev.link(true);
    await ifDetach(ifnet);
    dev.link(false);
    const [next] = await ifCloneCreate(b, "script", { cpu: 0 });
    assertEquals(next.index, i.index);
    dev.link(true);
    assertEquals([told.splice(0), next.toJSON().link], [["departure", "freed", "arrival"], "unknown"]);
  });
});
