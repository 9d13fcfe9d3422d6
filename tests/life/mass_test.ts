import { assert, assertEquals } from "@std/assert";
import { ifCloneCreate, ifCloneDestroy, vnetCreate, vnetDestroy } from "../../mod.ts";
import { withKernel } from "./rig.ts";

Deno.test("512 epairs destroyed with their vnet share at most 4 grace periods", async () => {
  await withKernel({ cpus: 2, arena: 64 << 20, debug: false }, async ({ k }) => {
    await k.modules.load("softc:epair");
    const v = await vnetCreate(k.vnet0, "mass");
    const pairs = await Promise.all(Array.from({ length: 512 }, () => ifCloneCreate(v, "epair")));
    assertEquals(v.ifnets.length, 1024);
    assertEquals(new Set(pairs.map(([a]) => a.name)).size, 512);
    const before = k.gracePeriods;
    await vnetDestroy(v);
    const used = k.gracePeriods - before;
    assert(used >= 1 && used <= 4, `${used} grace periods`);
    assertEquals([k.ifs.count, k.modules.list()[0]!.instances.length], [0, 0]);
  });
});

Deno.test("destroys that are asked together share grace periods; one after the other each needs its own", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const make = (): ReturnType<typeof ifCloneCreate>[] =>
      Array.from({ length: 16 }, () => ifCloneCreate(k.vnet0, "probe"));
    let before = k.gracePeriods;
    await Promise.all((await Promise.all(make())).map(([i]) => ifCloneDestroy(i)));
    // Their vetoes are asked on two CPUs first, so they do not begin at one moment.
    assert(k.gracePeriods - before <= 8, `${k.gracePeriods - before} grace periods`);
    before = k.gracePeriods;
    for (const [i] of await Promise.all(make())) await ifCloneDestroy(i);
    assertEquals(k.gracePeriods - before, 16);
  });
});
