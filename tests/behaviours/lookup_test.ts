import { assert, assertEquals } from "@std/assert";
import { ACCESS, type Access, type DoorWatch, watchDoor } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import {
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifnetByIndex,
  ifnetByIndexAttached,
  ifnetByIndexRef,
  ifRele,
  ifunit,
  ifVmove,
  type Section,
  vnetCreate,
} from "../../mod.ts";
import { atStep, codeThrown, until, withKernel } from "../life/rig.ts";

/** Every look-up: whether it finds the interface. */
const WAYS: Readonly<Record<string, (s: Section, i: Ifnet) => boolean>> = {
  index: (s, i) => ifnetByIndex(s, i.index) !== undefined,
  attached: (s, i) => ifnetByIndexAttached(s, i.index) !== undefined,
  handle: (s, i) => ifnetByHandle(s, i.handle) !== undefined,
  name: (s, i) => (ifunit(s, i.name) as number | undefined) === i.index,
  reference(s, i) {
    const ref = ifnetByIndexRef(s, i.index);
    if (ref !== undefined) ifRele(ref);
    return ref !== undefined;
  },
};

/** What each look-up answers in a section. */
function ask(s: Section, i: Ifnet): Record<string, boolean> {
  return Object.fromEntries(Object.entries(WAYS).map(([way, look]) => [way, look(s, i)]));
}

function all(found: boolean): Record<string, boolean> {
  return Object.fromEntries(Object.keys(WAYS).map((way) => [way, found]));
}

Deno.test("[B6] every look-up outside an open section throws", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(k.vnet0.section((s) => ask(s, i)), all(true));
    const closed = k.vnet0.section((s) => s);
    const inner = (): Section => k.section(() => k.vnet0.section((s) => s));
    const none = [closed, inner(), undefined, {}, { vnet: k.vnet0, cpu: 0, seq: 1 }] as Section[];
    for (const s of none) {
      for (const [way, look] of Object.entries(WAYS)) {
        assertEquals(codeThrown(() => look(s, i)), "SOFTC_EPOCH_OUTSIDE", way);
      }
    }
    // One that has ended is none inside another, either.
    k.section(() => {
      const ended = k.section((s) => s);
      for (const look of Object.values(WAYS)) {
        assertEquals(codeThrown(() => look(ended, i)), "SOFTC_EPOCH_OUTSIDE");
      }
    });
  });
});

Deno.test("[B7] a section finds its own vnet's interfaces only, the kernel's finds all, and a name is its vnet's", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
    const [inA] = await ifCloneCreate(a, "probe", { name: "x0" });
    const [inB] = await ifCloneCreate(b, "probe", { name: "x0" });
    assert(inA.index !== inB.index);
    assertEquals(a.section((s) => [ask(s, inA), ask(s, inB)]), [all(true), all(false)]);
    assertEquals(b.section((s) => [ask(s, inA), ask(s, inB)]), [all(false), all(true)]);
    assertEquals(k.vnet0.section((s) => [ask(s, inA), ask(s, inB)]), [all(false), all(false)]);
    // In every vnet at once a name finds the first that has it.
    assertEquals(k.section((s) => [ask(s, inA), ask(s, inB)]), [all(true), { ...all(true), name: false }]);
    // Sections nest: each sees its own.
    assertEquals(a.section((s) => b.section((t) => [ask(s, inA).attached, ask(t, inA).attached])), [
      true,
      false,
    ]);
  });
});

Deno.test("[B8] from unlink on nothing takes a reference by index: in a detach, in a move", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const seen: boolean[] = [];
    const look = (): void => {
      for (const v of [k, k.vnet0, b]) seen.push(v.section((s) => WAYS.reference!(s, i)));
    };
    look();
    atStep(k, { "vmove: grace": look, "vmove: reassigned": look, "detach: grace": look });
    const { ifnet } = await ifVmove(i, b);
    look();
    await ifDetach(ifnet);
    const [not, moved] = [[false, false, false], [true, false, true]];
    assertEquals(seen, [...[true, true, false], ...not, ...not, ...moved, ...not]);
    assertEquals(k.arena.a[k.arena.ifnetAt(i.index) + IFNET.refs]! >>> 0, 2 ** 31, "dead, none held");
  });
});

Deno.test("[B13] a slot is unlinked, then refuses references, then is free; with a holder it waits before the last", async () => {
  await withKernel({ debug: false }, async ({ k, probe }) => {
    await probe();
    for (const held of [false, true]) {
      const [i] = await ifCloneCreate(k.vnet0, "probe");
      const ref = held ? k.section((s) => ifnetByIndexRef(s, i.index)) : undefined;
      const at = k.arena.ifnetAt(i.index);
      const words = new Map([[at + IFNET.gencnt, "gencnt"], [at + IFNET.refs, "refs"], [
        at + IFNET.state,
        "state",
      ]]);
      const writes: string[] = [];
      const watch: DoorWatch = {
        access(a: Int32Array, word: number, kind: Access) {
          const name = words.get(word);
          const writing = kind === ACCESS.store || kind === ACCESS.rmw || kind === ACCESS.set;
          if (a === k.arena.a && name !== undefined && writing) writes.push(name);
        },
      };
      const before = watchDoor(watch);
      try {
        await ifDetach(i);
        if (ref !== undefined) {
          assertEquals(i.state, "dead");
          writes.push("released");
          ifRele(ref);
          await until("it is free", () => i.state === "freed");
        }
      } finally {
        watchDoor(before);
      }
      // The claim, unlink, the end of the last hook; then the count, then the slot.
      assertEquals(writes, [
        ...["state", "gencnt", "state", "refs"],
        ...(held ? ["released", "refs", "refs"] : []),
        "state",
      ]);
    }
  });
});
