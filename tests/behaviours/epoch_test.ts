import { assert, assertEquals } from "@std/assert";
import { ACCESS, type Access, watchDoor } from "../../core/doors/arena.ts";
import { CPU } from "../../core/memory/arena.ts";
import {
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifnetByIndex,
  pktgen,
  type Section,
  vnetCreate,
} from "../../mod.ts";
import { codeThrown, frame, until, withKernel } from "../life/rig.ts";

Deno.test("[B31] entering a section is one store, leaving another, also while a grace period waits for this CPU's readers", async () => {
  await withKernel({ debug: false }, async ({ k }) => {
    const record = k.arena.cpuAt(0) + CPU.record;
    const count = (): [number, Access][] => {
      const seen: [number, Access][] = [];
      const before = watchDoor({ access: (_a, word, kind) => void seen.push([word, kind]) });
      try {
        k.section(() => k.vnet0.section(() => 0));
      } finally {
        watchDoor(before);
      }
      return seen;
    };
    const two: [number, Access][] = [[record, ACCESS.store], [record, ACCESS.store]];
    assertEquals(count(), two);
    const reader = epochOpen(k, "a reader");
    const grace = k.control.grace.wait();
    await until("the grace period waits", () => k.blame().some((b) => b.what === "grace period"));
    assertEquals(count(), two);
    reader.close();
    await grace;
  });
});

Deno.test("[B35] sections nest and end in their order, whatever is thrown; one that is kept is refused, and so is another task's", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const { epoch } = k.parts.cpu;
    const depths: number[] = [];
    const dig = (n: number): void => {
      depths.push(epoch.depth);
      if (n === 0) throw new RangeError("planted");
      try {
        k.vnet0.section(() => dig(n - 1));
      } finally {
        depths.push(epoch.depth);
      }
    };
    let thrown: unknown;
    k.section(() => {
      try {
        dig(3);
      } catch (e) {
        thrown = e;
      }
    });
    assert(thrown instanceof RangeError);
    assertEquals([depths, epoch.inside], [[1, 2, 3, 4, 3, 2, 1], false]);
    // The outer one is as good after an inner one as before.
    k.section((s) => {
      const found = ifnetByHandle(s, i.handle);
      k.vnet0.section((t) => assertEquals(ifnetByHandle(t, i.handle), found));
      assertEquals(ifnetByHandle(s, i.handle), found);
    });
    let kept: Section | undefined;
    k.section((s) => void (kept = s));
    const task = Promise.resolve().then(() => codeThrown(() => ifnetByIndex(kept!, i.index)));
    assertEquals(await task, "SOFTC_EPOCH_OUTSIDE");
  });
});

Deno.test("[B37] a drain resolves after the callbacks of every CPU that were queued before it", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal, note }) => {
    await probe();
    const options = { callbackOnSet: true };
    const made = [];
    for (const cpu of [0, 1]) made.push((await ifCloneCreate(k.vnet0, "probe", { cpu, options }))[0]);
    const reader = epochOpen(k, "a reader");
    for (const i of made) await i.set({ mtu: 1400 });
    epochCall(k, () => note("callback of the program"));
    let drained = false;
    const drain = epochDrain(k).then(() => void (drained = true));
    await until("the grace period waits", () => k.blame().some((b) => b.what === "grace period"));
    const ran = (): string[] => journal().filter((l) => l.startsWith("callback")).sort();
    assertEquals([ran(), drained], [[], false]);
    reader.close();
    await drain;
    assertEquals(ran(), ["callback of the program", "callback@0", "callback@1"]);
  });
});

Deno.test("[B40] a reader that stays delays frees; others read, send, and are published meanwhile", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const [old] = await ifCloneCreate(k.vnet0, "probe");
    const reader = epochOpen(k, "a reader");
    let gone = false;
    const detached = ifDetach(old).then(() => void (gone = true));
    try {
      await until("the detach waits", () => k.blame().some((b) => b.what === "grace period"));
      let made: Ifnet | undefined;
      void (async () => {
        const [i] = await ifCloneCreate(await vnetCreate(k.vnet0, "v"), "probes");
        await i.up();
        await i.set({ mtu: 1400, name: "fresh" });
        made = i;
      })();
      await until("another is published", () => made !== undefined, 5000);
      const { vnet, index, handle } = made!;
      assertEquals(vnet.section((s) => ifnetByHandle(s, handle)) as number | undefined, index);
      const g = await pktgen({ vnet, ifnet: made!, count: 1000, frame: frame(64) });
      await until("both CPUs have sent", () => made!.counters.opackets === 2000);
      await g.stop();
      assertEquals([gone, old.state, k.ifs.count], [false, "detaching", 2]);
    } finally {
      reader.close();
    }
    await detached;
    assertEquals(old.state, "freed");
  });
});
