import { assertEquals } from "@std/assert";
import {
  formatHandle,
  type Handle,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifnetByHandle,
  ifnetByIndexAttached,
  ifnetByIndexRef,
  ifRele,
  ifVmove,
  parseHandle,
  vnetCreate,
} from "../../mod.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { GENCNT_END, handleGencnt, makeHandle } from "../../core/net/handle.ts";
import { codeOf, codeThrown, gate, setGencnt, withKernel } from "./rig.ts";

Deno.test("a handle answers live, moving, moved, detached, gone, reused, unknown", async () => {
  await withKernel({}, async ({ k, probe }) => {
    const { gates } = await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    assertEquals(k.resolve(i.handle), "live");

    const reassigning = gate();
    gates.set("reassign", reassigning.promise);
    const move = ifVmove(i, b);
    for (let n = 0; k.resolve(i.handle) === "live" && n < 1000; n++) await Promise.resolve();
    assertEquals(k.resolve(i.handle), "moving");
    reassigning.open();
    const { ifnet: moved } = await move;
    assertEquals([k.resolve(i.handle), k.resolve(moved.handle)], ["moved", "live"]);

    const ref = b.section((s) => ifnetByIndexRef(s, moved.index))!;
    await ifCloneDestroy(moved);
    assertEquals([k.resolve(moved.handle), k.resolve(i.handle)], ["detached", "moved"]);
    ifRele(ref);
    await k.control.grace.wait();
    assertEquals([k.resolve(moved.handle), k.resolve(i.handle)], ["gone", "gone"]);

    const [next] = await ifCloneCreate(k.vnet0, "probe", { cpu: 0 });
    assertEquals(next.index, i.index);
    assertEquals([k.resolve(i.handle), k.resolve(moved.handle)], ["reused", "reused"]);

    const gencnt = handleGencnt(next.handle);
    for (
      const h of [
        makeHandle(gencnt + 2, next.index),
        makeHandle(gencnt, 0),
        makeHandle(gencnt, 65535),
        makeHandle(gencnt + 1, next.index),
        -1 as Handle,
        NaN as Handle,
        0.5 as Handle,
      ]
    ) assertEquals(k.resolve(h), "unknown", String(h));
  });
});

Deno.test("[B2 B3] gencnt is odd when attached, even when not; A to B to A is +4, so a stored handle does not live again", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const gencnt = (): number => k.arena.a[k.arena.ifnetAt(i.index)]!;
    const first = gencnt();
    assertEquals([first & 1, handleGencnt(i.handle)], [1, first]);
    const seen: number[] = [];
    k.events.listen(() => void seen.push(gencnt() - first));
    let at: Ifnet = i;
    for (const [n, to] of [b, k.vnet0].entries()) {
      at = (await ifVmove(at, to)).ifnet;
      assertEquals([gencnt(), at.index], [first + 2 * (n + 1), i.index]);
      assertEquals(handleGencnt(at.handle), gencnt());
    }
    assertEquals(gencnt(), first + 4);
    assertEquals(k.vnet0.section((s) => ifnetByHandle(s, i.handle)), undefined);
    assertEquals(k.vnet0.section((s) => ifnetByHandle(s, at.handle)) as number | undefined, i.index);
    const ref = k.vnet0.section((s) => ifnetByIndexRef(s, at.index))!;
    await ifCloneDestroy(at);
    assertEquals([gencnt(), at.state], [first + 5, "dead"]);
    ifRele(ref);
    await k.control.grace.wait();
    assertEquals([gencnt(), at.state], [first + 5, "freed"], "a free changes nothing");
    await codeOf(ifCloneCreate(k.vnet0, "probe", { options: { fail: ["attach"] } }));
    assertEquals(gencnt(), first + 5, "nor does an attach that fails");
    // Departure, arrival, twice; departure, freed.
    assertEquals(seen, [1, 2, 3, 4, 5, 5]);
  });
});

Deno.test("[B4] a slot that is reused goes on counting: an old handle never names the new occupant", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const handles: Handle[] = [];
    for (let n = 0; n < 5; n++) {
      const [i] = await ifCloneCreate(k.vnet0, "probe");
      assertEquals(i.index, 1);
      handles.push(i.handle);
      await ifCloneDestroy(i);
    }
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(new Set([...handles, i.handle]).size, 6);
    for (const h of handles) {
      assertEquals(k.vnet0.section((s) => ifnetByHandle(s, h)), undefined);
      assertEquals(k.resolve(h), "reused");
    }
  });
});

Deno.test("[B1] the lowest free index is taken, and index 0 never", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const made: Ifnet[] = [];
    for (let n = 0; n < 4; n++) made.push((await ifCloneCreate(k.vnet0, "probe"))[0]);
    assertEquals(made.map((i) => i.index), [1, 2, 3, 4]);
    await ifCloneDestroy(made[2]!);
    await ifCloneDestroy(made[1]!);
    const again = [await ifCloneCreate(k.vnet0, "probe"), await ifCloneCreate(k.vnet0, "probe")];
    assertEquals(again.map(([i]) => i.index), [2, 3]);
    assertEquals(k.arena.a[k.arena.ifnetAt(2) + IFNET.refs], 0, "nobody holds a reference");
    assertEquals(k.vnet0.section((s) => ifnetByIndexAttached(s, 0)), undefined);
  });
});

Deno.test("[B5] a slot near 2^31 is not allocated again, vmove refuses it, detach never wraps", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    // The last allocation that a slot takes: linked at 2^31 - 3, unlinked at 2^31 - 2.
    setGencnt(k, 1, GENCNT_END - 4);
    const [last] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals([last.index, handleGencnt(last.handle)], [1, GENCNT_END - 3]);
    assertEquals(parseHandle(formatHandle(last.handle)), last.handle);
    assertEquals(await codeOf(ifVmove(last, b)), "SOFTC_IF_STATE");
    assertEquals([k.resolve(last.handle), last.state, last.vnet.name], ["live", "attached", "vnet0"]);
    await ifCloneDestroy(last);
    assertEquals(k.arena.a[k.arena.ifnetAt(1)], GENCNT_END - 2);
    const [next] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(next.index, 2);

    // Two below: one move is left, and then none.
    setGencnt(k, 3, GENCNT_END - 6);
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    assertEquals(i.index, 3);
    const { ifnet } = await ifVmove(i, b);
    assertEquals(await codeOf(ifVmove(ifnet, k.vnet0)), "SOFTC_IF_STATE");
  });
});

Deno.test("a handle prints and reads back; what is none is refused with a code", () => {
  for (const [gencnt, index] of [[1, 1], [3, 12], [GENCNT_END - 1, 65535]] as const) {
    const h = makeHandle(gencnt, index);
    assertEquals(parseHandle(formatHandle(h)), h);
    assertEquals(JSON.parse(JSON.stringify(h)), h);
  }
  for (const text of ["", "if#1", "if#65536.g1", `if#1.g${GENCNT_END}`, "if#-1.g1", "if#1.g1 "]) {
    assertEquals(codeThrown(() => parseHandle(text)), "SOFTC_IF_ARGUMENT", text);
  }
});
