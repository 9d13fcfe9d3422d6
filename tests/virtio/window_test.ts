/** A window serves one driver after the other. */
import { assertEquals } from "@std/assert";
import { boot, ifCloneCreate } from "../../mod.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";

const NIC = { bus: "virtio", device: 1, address: "0" };

Deno.test("a device that is plugged in while the last one's driver still resets it gets a driver; both stop", () =>
  assertNoLeaks(async (watch) => {
    const k = watch(await boot({ cpus: 3, debug: true }));
    await k.modules.load("softc:virtio");
    const [host] = await ifCloneCreate(k.vnet0, "vhost", { cpu: 1 });
    await host.up();
    for (let round = 0; round < 5; round++) {
      // The resets of both would be under way together.
      const last = await k.devices.plug(NIC, { parent: host, cpu: 2 });
      const out = k.devices.unplug(last);
      const next = await k.devices.plug(NIC, { parent: host, cpu: 0 });
      assertEquals(next.state, "attached", k.devices.explain(next).join("\n"));
      await out;
      await k.devices.unplug(next);
    }
    const { wedged, leaks } = await k.shutdown();
    assertEquals({ wedged, leaks }, { wedged: [], leaks: [] });
  }));
