import { assert, assertEquals } from "@std/assert";
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
import { IFNET } from "../../core/memory/arena.ts";
import { GENCNT_END, MAX_IFNETS } from "../../core/net/handle.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import {
  atStep,
  codeOf,
  entryOf,
  frame,
  gate,
  names,
  type Rig,
  setGencnt,
  snapshot,
  until,
  withKernel,
} from "./rig.ts";

/** Two vnets and an interface in the first, UP, with a group, promisc and a tap. */
async function scene(rig: Rig, options: object = {}, cpu = 0): Promise<{ a: Vnet; b: Vnet; i: Ifnet }> {
  await rig.probe();
  const a = await vnetCreate(rig.k.vnet0, "a");
  const b = await vnetCreate(rig.k.vnet0, "b");
  const [i] = await ifCloneCreate(a, "probe", { cpu, options: { owner: "a", ...options } });
  await i.up();
  await i.set({ promisc: true });
  i.addGroup("egress");
  return { a, b, i };
}

const refusals: Readonly<Record<string, (s: Rig & Awaited<ReturnType<typeof scene>>) => Promise<string>>> = {
  "a name that is taken": async ({ b, i }) => {
    await ifCloneCreate(b, "probe", { name: "x0" });
    return await codeOf(ifVmove(i, b, { name: "x0" }));
  },
  "its own name taken": async ({ b, i }) => {
    await ifCloneCreate(b, "probe");
    return await codeOf(ifVmove(i, b));
  },
  "a name that is none": ({ b, i }) => codeOf(ifVmove(i, b, { name: "no name" })),
  "the vnet that it is in": ({ a, i }) => codeOf(ifVmove(i, a)),
  "a driver that refuses": ({ b, i }) => codeOf(ifVmove(i, b)),
  "a driver whose canMove throws": ({ b, i }) => codeOf(ifVmove(i, b)),
  "no memory for the new data": async ({ k, b, i }) => {
    const { heap } = k.control;
    const alloc = heap.alloc.bind(heap);
    const codes: string[] = [];
    for (const at of [1, 2]) {
      let n = 0;
      heap.alloc = (words, owner) => {
        if (++n === at) throw new Error("planted");
        return alloc(words, owner);
      };
      codes.push(await codeOf(ifVmove(i, b)));
      heap.alloc = alloc;
    }
    return [...new Set(codes)].join();
  },
  "a gencnt at its end": async ({ k, b, i }) => {
    const gencnt = k.arena.a[k.arena.ifnetAt(i.index)]!;
    setGencnt(k, i.index, GENCNT_END - 3);
    const code = await codeOf(ifVmove(k.wrap(entryOf(i)), b));
    setGencnt(k, i.index, gencnt);
    return code;
  },
  "a detach that came first": async ({ b, i }) => {
    const done = ifDetach(i);
    const code = await codeOf(ifVmove(i, b));
    await done;
    return code;
  },
};
const expected: Readonly<Record<string, string>> = {
  "a name that is taken": "SOFTC_IF_EXISTS",
  "its own name taken": "SOFTC_IF_EXISTS",
  "a name that is none": "SOFTC_IF_ARGUMENT",
  "the vnet that it is in": "SOFTC_VNET_SAME",
  "a driver that refuses": "SOFTC_VNET_VETO",
  "a driver whose canMove throws": "SOFTC_VNET_VETO",
  "no memory for the new data": "no code: planted",
  "a gencnt at its end": "SOFTC_IF_STATE",
  "a detach that came first": "SOFTC_IF_GONE",
};

for (const [what, refuse] of Object.entries(refusals)) {
  Deno.test(`a move that fails before unlink changes nothing: ${what}`, async () => {
    await withKernel({ cpus: 2 }, async (rig) => {
      const options = what === "a driver that refuses"
        ? { canMove: "busy" }
        : what === "a driver whose canMove throws"
        ? { fail: ["canMove"] }
        : {};
      const s = await scene(rig, options);
      const before = snapshot(rig.k);
      const seq = rig.k.events.seq;
      assertEquals(await refuse({ ...rig, ...s }), expected[what]);
      if (what.startsWith("a detach")) return;
      const taken = s.b.ifnets.length;
      if (taken === 0) {
        assertEquals(snapshot(rig.k), before);
        assertEquals(rig.k.events.seq, seq, "nobody was told anything");
      }
      // The stored handle lives on, and the next move works.
      assertEquals([rig.k.resolve(s.i.handle), s.i.vnet.name, s.i.state], ["live", "a", "attached"]);
      assert(s.i.toJSON().flags.includes("UP") && s.i.toJSON().flags.includes("PROMISC"));
      assert(rig.k.ifs.nameFree(s.b, "free0"));
      if (what.startsWith("a driver")) return;
      const { ifnet } = await ifVmove(s.i, s.b, { name: "free0" });
      assertEquals([ifnet.name, ifnet.vnet.name], ["free0", "b"]);
    });
  });
}

Deno.test("a move is lost when the interface got another name while it was prepared: the name is kept", async () => {
  await withKernel({}, async (rig) => {
    const { k } = rig;
    const { b, i } = await scene(rig);
    atStep(k, { "vmove: prepared": () => i.set({ name: "wan" }) });
    assertEquals(await codeOf(ifVmove(i, b)), "SOFTC_VNET_LOST");
    assertEquals([i.name, i.vnet.name, k.resolve(i.handle)], ["wan", "a", "live"]);
    assert(k.ifs.nameFree(b, "probe0"));
    assertEquals((await ifVmove(i, b)).ifnet.name, "wan");
  });
});

Deno.test("an async section that is overdue refuses a move, and is named", async () => {
  await withKernel({ clock: "virtual" }, async (rig) => {
    const { k } = rig;
    const { b, i } = await scene(rig);
    const section = epochOpen(k, "a dump of the tables");
    k.advance(1001);
    const before = snapshot(k);
    const e = await ifVmove(i, b).catch((x) => x);
    assertEquals([e.code, e.state], [
      "SOFTC_VNET_OVERDUE",
      '"a dump of the tables" on CPU 0 holds a section for 1001 ms',
    ]);
    assertEquals(snapshot(k), before);
    section.close();
    await ifVmove(i, b);
  });
});

Deno.test("a move into a vnet that goes, out of the kernel, or of nothing is refused with a code", async () => {
  await withKernel({}, async (rig) => {
    const { a, b, i } = await scene(rig);
    await vnetDestroy(b);
    assertEquals(await codeOf(ifVmove(i, b)), "SOFTC_VNET_STATE");
    assertEquals(await codeOf(ifVmove({} as Ifnet, a)), "SOFTC_IF_ARGUMENT");
    assertEquals(await codeOf(ifVmove(i, {} as Vnet)), "SOFTC_VNET_ARGUMENT");
    const [gone] = await ifCloneCreate(a, "probe");
    await ifCloneDestroy(gone);
    assertEquals(await codeOf(ifVmove(gone, a)), "SOFTC_IF_GONE");
  });
});

Deno.test("[B48] what a refused move says: EEXIST for its own vnet and for a taken name, ENXIO for what is gone", async () => {
  await withKernel({}, async (rig) => {
    const { a, b, i } = await scene(rig);
    await ifCloneCreate(b, "probe", { name: "x0" });
    const errno = (p: Promise<unknown>): Promise<string> => p.then(() => "moved", (e) => e.errno);
    assertEquals(await errno(ifVmove(i, a)), "EEXIST");
    assertEquals(await errno(ifVmove(i, b, { name: "x0" })), "EEXIST");
    assertEquals(await errno(ifVmove(i, b, { name: "y0" })), "moved");
    assertEquals(await errno(ifVmove(i, a)), "ENXIO", "that link is over");
    const [gone] = await ifCloneCreate(a, "probe");
    await ifCloneDestroy(gone);
    assertEquals(await errno(ifVmove(gone, b)), "ENXIO");
  });
});

Deno.test("[B48] two moves meet: one wins, the other gets ENODEV and gives back what it held", async () => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { k } = rig;
    const { b, i } = await scene(rig, {}, 1);
    const c = await vnetCreate(k.vnet0, "c");
    const results = await Promise.allSettled([ifVmove(i, b), ifVmove(i, c)]);
    assertEquals(results.map((r) => r.status === "fulfilled" ? "moved" : r.reason.errno), [
      "moved",
      "ENODEV",
    ]);
    assertEquals([names(b), names(c)], [["probe0"], []]);
    assert(k.ifs.nameFree(c, "probe0"));
    assertEquals(k.vnetTable.all().map((v) => v.holds), [0, 0, 0, 0]);
    const heap = k.control.heap.owners().filter((o) => o.owner.includes("data of"));
    assertEquals(heap.length, 2, "one interface's data");
    // A name in the target is decided once (R33).
    const clash = await Promise.allSettled([
      ifVmove(b.ifnets[0]!, c, { name: "x0" }),
      ifCloneCreate(c, "probe", { name: "x0" }),
    ]);
    assertEquals(clash.map((r) => r.status === "fulfilled" ? "done" : r.reason.errno), ["done", "EEXIST"]);
  });
});

Deno.test("[B47] a move resets groups, promisc, taps and cross-connect; it restores UP unless told otherwise", async () => {
  await withKernel({}, async (rig) => {
    const { k } = rig;
    const { a, b, i } = await scene(rig);
    const [out] = await ifCloneCreate(a, "probe");
    await i.set({ allmulti: true, xconnect: out });
    let tapped = 0;
    const tap = i.tap({ onPacket: () => void tapped++ });
    const { ifnet, blackoutNs } = await ifVmove(i, b);
    const { flags, groups, home, vnet } = ifnet.toJSON();
    assertEquals([flags, groups, home, vnet], [["UP", "BROADCAST", "MULTICAST"], ["all", "probe"], "a", "b"]);
    assertEquals(
      [ifnet.index, ifnet.handle - i.handle],
      [i.index, 2 * MAX_IFNETS],
      "its gencnt, two further",
    );
    const word = (w: number): number => k.arena.a[k.arena.ifnetAt(i.index) + w]!;
    assertEquals([word(IFNET.xconnectGen), word(IFNET.taps)], [0, 0]);
    assertEquals([entryOf(i).promisc, entryOf(i).allmulti], [0, 0]);
    assert(blackoutNs > 0);
    const g = await pktgen({ vnet: b, ifnet, count: 32, frame: frame(64, "b") });
    await until("all are sent", () => ifnet.counters.opackets === 32);
    await g.stop();
    assertEquals(tapped, 0);
    await tap.close();
    const down = (await ifVmove(ifnet, a, { up: false })).ifnet;
    assertEquals(down.toJSON().flags.includes("UP"), false);
    const up = (await ifVmove(down, b, { up: true })).ifnet;
    assertEquals(up.toJSON().flags.includes("UP"), true);
  });
});

Deno.test("the driver hears what a move resets: promisc, allmulti, and UP when it changes", async () => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { b, i } = await scene(rig, {}, 1);
    await i.set({ allmulti: true });
    const heard = (): string[] => rig.journal().filter((l) => /^(set|reassign)@1/.test(l));
    rig.clear();
    const { ifnet } = await ifVmove(i, b, { up: false });
    assertEquals(heard(), ["reassign@1 b", 'set@1 {"promisc":false,"allmulti":false,"up":false}']);
    rig.clear();
    // The count begins anew: one that asks is the first.
    await ifnet.set({ promisc: true });
    assertEquals(heard(), ['set@1 {"promisc":true}']);
  });
});

Deno.test("between unlink and commit it is moving and found nowhere; then only under its new handle", async () => {
  await withKernel({}, async (rig) => {
    const { k, note, journal, clear } = rig;
    const { a, b, i } = await scene(rig);
    const seen: unknown[] = [];
    const look = (): void => void seen.push([k.resolve(i.handle), i.state, names(a), names(b)]);
    atStep(k, {
      "vmove: prepared": look,
      "vmove: flushed": look,
      "vmove: grace": look,
      "vmove: reassigned": look,
    });
    clear();
    k.events.listen((e) => note(`* ${e.type} ${e.vnet}`));
    const { ifnet } = await ifVmove(i, b);
    look();
    assertEquals(seen, [
      ["live", "attached", ["probe0"], []],
      ["live", "moving", ["probe0"], []],
      ["moving", "moving", [], []],
      ["moving", "moving", [], []],
      ["moved", "attached", [], ["probe0"]],
    ]);
    assertEquals(journal(), [
      "canMove@0 b",
      "* down a",
      "* departure a",
      "reassign@0 b",
      'set@0 {"promisc":false}',
      "* arrival b",
      "* up b",
    ]);
    assertEquals(k.resolve(ifnet.handle), "live");
  });
});

for (const at of ["prepared", "flushed", "grace", "reassigned"]) {
  Deno.test(`a detach during a move (${at}) ends it: one detach, nothing left behind`, async () => {
    await withKernel({ cpus: 2 }, async (rig) => {
      const { k, journal } = rig;
      const { b, i } = await scene(rig, {}, 1);
      let detached: Promise<void> | undefined;
      atStep(k, { [`vmove: ${at}`]: () => void (detached = ifDetach(i)) });
      assertEquals(await codeOf(ifVmove(i, b)), "SOFTC_VNET_LOST");
      await detached;
      assertEquals([i.state, k.ifs.count], ["freed", 0]);
      assertEquals(journal().filter((l) => l === "destroy@1").length, 1);
      assert(k.ifs.nameFree(b, "probe0"));
      assertEquals(k.control.heap.owners(), []);
      assertEquals(k.vnetTable.all().map((v) => v.holds), [0, 0, 0]);
    });
  });
}

Deno.test("reassign that throws, or never settles, goes forward into detach", async () => {
  await withKernel({ cpus: 2, hookDeadline: 50, wedged: 1 }, async (rig) => {
    const { k, journal } = rig;
    const { a, b, i } = await scene(rig, { fail: ["reassign"] }, 1);
    assertEquals(await codeOf(ifVmove(i, b)), "SOFTC_VNET_REASSIGN");
    assertEquals([i.state, names(a), names(b)], ["freed", [], []]);
    assertEquals(journal().filter((l) => l === "destroy@1").length, 1);
    const [hung] = await ifCloneCreate(a, "probe", { cpu: 1, options: { hang: ["reassign"] } });
    assertEquals(await codeOf(ifVmove(hung, b)), "SOFTC_IF_WEDGED");
    assertEquals([hung.state, k.resolve(hung.handle)], ["wedged", "detached"]);
  });
});

Deno.test("[B49] packets that A queued never leave under B, and none is lost, with moves at full traffic", async () => {
  await withKernel({ cpus: 2, arena: 32 << 20, debug: false }, async (rig) => {
    const { k } = rig;
    const { a, b, i } = await scene(rig, {}, 1);
    const g = [
      await pktgen({ vnet: a, ifnet: i, frame: frame(64, "a") }),
      await pktgen({ vnet: b, ifnet: i, frame: frame(64, "b") }),
    ];
    let at = i;
    let queued = 0;
    const end = performance.now() + 1500;
    for (let n = 0; n < 60 || (queued === 0 && performance.now() < end); n++) {
      const before = at.counters.opackets;
      await until("packets flow", () => at.counters.opackets > before + 500);
      const r = await ifVmove(at, n % 2 === 0 ? b : a);
      at = r.ifnet;
      queued += r.flushed + r.dropped;
    }
    for (const x of g) await x.stop();
    await ifCloneDestroy(at);
    const { foreign, left } = at.driverCounters;
    assertEquals(foreign ?? 0, 0);
    assert(left! > 10_000, `${left} left`);
    assert(queued > 0, "packets were queued while it moved");
    assertEquals((await k.ledger()).unaccounted, 0);
  });
});

Deno.test("what a driver does not take before unlink is dropped as moved; the result counts it", async () => {
  await withKernel({ cpus: 2 }, async (rig) => {
    const { k } = rig;
    const { a, b, i } = await scene(rig, { stalled: true }, 1);
    const queue = async (vnet: Vnet, ifnet: Ifnet): Promise<void> => {
      const g = await pktgen({ vnet, ifnet, cpus: [0, 1], count: 100, frame: frame(64) });
      await until("all are born", () => born(k) === 200);
      await g.stop();
    };
    await queue(a, i);
    assertEquals((await k.ledger()).live, [{ owner: `the output queue of if#${i.index}`, lives: 200 }]);
    const r = await ifVmove(i, b, { flushMs: 5 });
    assertEquals([r.flushed, r.dropped], [0, 200]);
    const { dropped, live } = await k.ledger();
    assertEquals([dropped, live], [{ moved: 200 }, []]);
    assertEquals(r.ifnet.counters.oqdrops, 200);
  });
});

/** Lives begun so far. */
function born(k: KernelObject): number {
  let sum = 0;
  for (let cpu = 0; cpu < k.cpus; cpu++) sum += k.arena.f[k.arena.cpuCountersAt(cpu)]!;
  return sum;
}

Deno.test("a move waits for a section that found the interface, and why() names who holds it", async () => {
  await withKernel({}, async (rig) => {
    const { k } = rig;
    const { a, b, i } = await scene(rig);
    const section = epochOpen(k, "a reader in A");
    const moving = gate();
    const done = ifVmove(i, b).finally(() => moving.open());
    await until("it is unlinked", () => k.resolve(i.handle) === "moving");
    await until("why names it", () => i.why().some((x) => x.holder === "a reader in A"));
    assertEquals([names(a), names(b)], [[], []]);
    section.close();
    await done;
    assertEquals(names(b), ["probe0"]);
  });
});
