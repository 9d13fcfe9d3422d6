import { assert, assertEquals, assertRejects } from "@std/assert";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import { load } from "../../core/doors/arena.ts";
import type { Device } from "../../core/device/device.ts";
import { ifCloneCreate, ifCloneDestroy, pktgen, SoftcError } from "../../mod.ts";
import { frames, plugin, send, udpFrame, until, untilAsync, withCleanKernel } from "./kit.ts";

Deno.test("a driver's own counters of a live interface are those of every CPU, as of when it is asked", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(plugin("stalls"));
    const [i] = await ifCloneCreate(k.vnet0, "stalls");
    await i.up();
    send(k.vnet0, i, frames(3));
    assertEquals(i.driverCounters, {}, "nobody asked yet");
    assertEquals(await i.readDriverCounters(), { counters: { packets: 3 }, late: [] });
    const load = await pktgen({ vnet: k.vnet0, ifnet: i, cpus: [1], count: 5, frame: udpFrame() });
    await untilAsync("CPU 1 sent", async () => (await i.readDriverCounters()).counters.packets === 8);
    await load.stop();
    assertEquals(i.driverCounters, { packets: 8 }, "the getter has what was told last");
    for (const timeout of [0, 1.5, 60_001, NaN]) {
      const e = await assertRejects(() => i.readDriverCounters({ timeout }), SoftcError);
      assertEquals(e.code, "SOFTC_IF_ARGUMENT");
    }
    send(k.vnet0, i, frames(1));
    await ifCloneDestroy(i);
    assertEquals([i.driverCounters, await i.readDriverCounters()], [
      { packets: 9 },
      { counters: { packets: 9 }, late: [] },
    ]);
  });
});

Deno.test("a stalled CPU makes a driver's counters old, not late, and is asked once, not by everybody", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k, own }) => {
    await k.modules.load(plugin("stalls"));
    const [i] = await ifCloneCreate(k.vnet0, "stalls");
    await i.up();
    const device = IfnetObject.entry(i)!.device as Device;
    const stream = await pktgen({ vnet: k.vnet0, ifnet: i, cpus: [1], count: 1, frame: udpFrame() });
    await until("CPU 1 is stuck in transmit", () => load(own.arena.a, device.sharedAt) === 1);
    const began = performance.now();
    for (let n = 0; n < 5; n++) {
      assertEquals(await i.readDriverCounters({ timeout: 20 }), { counters: {}, late: [1] });
    }
    assert(performance.now() - began < 10_000, "each waits as long as it was told, no longer");
    const asked = own.control.pending().filter((p) => p.label === `counters of ${i.name}`);
    assertEquals(asked.map((p) => p.cpu), [1]);
    assertEquals(i.why().map((b) => b.holder), [`counters of ${i.name} on CPU 1`]);
    send(k.vnet0, i, frames(1));
    await untilAsync("CPU 1 answers again", async () => (await i.readDriverCounters()).late.length === 0);
    assertEquals(i.driverCounters, { packets: 2 });
    await stream.stop();
  });
});
