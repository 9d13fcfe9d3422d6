/** What the kernel gives out prints alike everywhere, in one line, and is plain data in JSON. */
import { inspect } from "node:util";
import { assertEquals } from "@std/assert";
import { formatHandle, ifCloneCreate, type Ifnet } from "../../mod.ts";
import { withCleanKernel } from "../core/kit.ts";

Deno.test("an interface, vnet, module and device print alike by String, Deno and Node", async () => {
  await withCleanKernel({}, async ({ k }) => {
    const module = await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const device = await k.devices.plug({ bus: "test", address: "7" });
    const handle = formatHandle(i.handle);
    const want: readonly (readonly [{ toJSON(): object }, string])[] = [
      [i, `null0 (${handle}, attached, vnet "vnet0")`],
      [k.vnet0, 'vnet "vnet0" (live)'],
      [module, 'module "null" (loaded, 1 in use)'],
      [device, 'device "test:7" (unclaimed, no driver)'],
    ];
    for (const [x, text] of want) {
      assertEquals([String(x), Deno.inspect(x), inspect(x), inspect([x])], [
        text,
        text,
        text,
        `[ ${text} ]`,
      ]);
      assertEquals(JSON.parse(JSON.stringify(x)).name, (x.toJSON() as { name: string }).name);
    }
    await k.devices.unplug(device);
  });
});

Deno.test("a handle reads the same in text and in JSON", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load("softc:null");
    const [i]: Ifnet[] = await ifCloneCreate(k.vnet0, "null");
    const handle = formatHandle(i!.handle);
    assertEquals(i!.toJSON().handle, handle);
    assertEquals(String(i).includes(handle), true);
    assertEquals(JSON.parse(JSON.stringify(i)).vnet, "vnet0");
  });
});
