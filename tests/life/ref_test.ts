import { assert, assertEquals } from "@std/assert";
import * as softc from "../../mod.ts";
import {
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  ifnetByIndex,
  ifnetByIndexRef,
  ifRele,
  ifTryRef,
} from "../../mod.ts";
import { epochOpen } from "../../kernel/api.ts";
import { dropRef, tryKill } from "../../core/net/ref.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { codeThrown, until, withKernel } from "./rig.ts";

const PENDING = 1 << 30;
const DEAD = 1 << 31;

Deno.test("[B12] one word: the deferred free takes 0 to DEAD, or sets PENDING and the last release queues it again", () => {
  const a = new Int32Array(new SharedArrayBuffer(4));
  assert(tryKill(a, 0));
  assertEquals(a[0], DEAD);

  a[0] = 2;
  assert(!tryKill(a, 0));
  assertEquals(a[0], PENDING | 2);
  assert(!tryKill(a, 0), "asked again: still held");
  assert(!dropRef(a, 0), "one is left");
  assert(dropRef(a, 0), "exactly one release sees PENDING alone");
  assertEquals(a[0], PENDING);
  assert(tryKill(a, 0));
  assertEquals(a[0], DEAD);

  a[0] = 1;
  assert(!dropRef(a, 0), "nobody asked for the free");
  assertEquals(codeThrown(() => dropRef(a, 0)), "SOFTC_IF_REF");
});

Deno.test("[B12] a reference keeps the slot, not the interface; why() names the holder", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const ref = k.vnet0.section((s) => ifnetByIndexRef(s, i.index, "a monitor"))!;
    await ifCloneDestroy(i);
    assertEquals([i.state, k.resolve(i.handle)], ["dead", "detached"]);
    assertEquals(i.why().map((b) => [b.what, b.holder]), [["reference", "a monitor"]]);
    assertEquals(k.arena.a[k.arena.ifnetAt(i.index) + IFNET.refs], PENDING | 1);
    const [other] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(other.index, i.index + 1);
    ifRele(ref);
    await until("the slot is free", () => i.state === "freed");
    assertEquals(i.why(), []);
  });
});

Deno.test("[B11] the last release frees only after a further grace period", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const take = (): ReturnType<typeof ifnetByIndexRef> =>
      k.vnet0.section((s) => ifnetByIndexRef(s, i.index, "holder"));
    const refs = [take()!, take()!];
    await ifCloneDestroy(i);
    ifRele(refs[0]!);
    await k.control.grace.wait();
    assertEquals(i.state, "dead", "one reference is left");
    const section = epochOpen(k, "a reader that saw the slot");
    const before = k.gracePeriods;
    ifRele(refs[1]!);
    await until("the grace period has begun", () => k.gracePeriods > before);
    assertEquals(i.state, "dead", "a section from before the last release is open");
    section.close();
    await until("the slot is free", () => i.state === "freed");
  });
});

Deno.test("[B9] ifTryRef never revives: it fails once the free was asked for, and finds nothing once it is done", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const tryIt = (): unknown =>
      k.vnet0.section((s) => {
        const p = ifnetByIndex(s, i.index);
        return p === undefined ? "no occupant" : ifTryRef(s, p, "late");
      });
    const ref = k.vnet0.section((s) => ifnetByIndexRef(s, i.index))!;
    await ifDetach(i);
    // R06, R07: PENDING with a holder left.
    assertEquals(tryIt(), undefined);
    assertEquals(k.vnet0.section((s) => ifnetByIndexRef(s, i.index)), undefined);
    ifRele(ref);
    await until("the slot is free", () => i.state === "freed");
    assertEquals(tryIt(), "no occupant");
    assertEquals(k.arena.a[k.arena.ifnetAt(i.index) + IFNET.refs], DEAD);
    assertEquals(k.ifs.references.size, 0);
  });
});

for (const debug of [true, false]) {
  Deno.test(`[B9 B10] a reference is released once, and taken only inside a section (${debug ? "with" : "without"} the sanitizer)`, async () => {
    await withKernel({ debug }, async ({ k, probe }) => {
      await probe();
      const [i] = await ifCloneCreate(k.vnet0, "probe");
      const ref = k.vnet0.section((s) => ifnetByIndexRef(s, i.index))!;
      ifRele(ref);
      assertEquals(codeThrown(() => ifRele(ref)), "SOFTC_IF_REF");
      assertEquals(codeThrown(() => ifRele({ index: i.index, tag: "forged" })), "SOFTC_IF_REF");
      const closed = k.vnet0.section((s) => ({ s, p: ifnetByIndex(s, i.index)! }));
      assertEquals(codeThrown(() => ifTryRef(closed.s, closed.p, "late")), "SOFTC_EPOCH_OUTSIDE");
      assertEquals(k.ifs.references.size, 0);
      assertEquals(codeThrown(() => k.ifs.lastReleased(i.index)), "SOFTC_IF_REF");
      assertEquals(k.arena.a[k.arena.ifnetAt(i.index) + IFNET.refs], 0);
      // No other way to one: what takes a reference may answer that there is none.
      const ways = Object.keys(softc).filter((name) => /ref|rele/i.test(name));
      assertEquals(ways.sort(), ["ifRele", "ifTryRef", "ifnetByIndexRef"]);
    });
  });
}

Deno.test("a reference that is never released is a leak, by tag, and no hang", async () => {
  const reports: string[] = [];
  await withKernel({ wedged: 0 }, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    k.vnet0.section((s) => ifnetByIndexRef(s, i.index, "forgotten"));
    reports.push(...(await k.shutdown()).leaks);
  }).catch((e) => reports.push(`asserted: ${(e as Error).message.includes("forgotten")}`));
  assertEquals(reports, [`reference "forgotten" to if#1`, "asserted: true"]);
});
