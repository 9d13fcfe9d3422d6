/** The `device` option of the conformance test: what is made is used, and taken away again. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CONFORMANCE_RULES, ConformanceError, type DeviceMaker, tryRule } from "../../testing/mod.ts";
import { adapter } from "./devices.ts";

const usb = new URL("../../drivers/usb/mod.ts", import.meta.url);

async function tried(id: string, make: DeviceMaker): Promise<{ made: number; removed: number }> {
  const rule = CONFORMANCE_RULES.find((r) => r.id === id)!;
  const count = { made: 0, removed: 0 };
  const device: DeviceMaker = async (kernel, n) => {
    assertEquals(n, ++count.made);
    return { ...await make(kernel, n), remove: () => void count.removed++ };
  };
  try {
    await tryRule(rule, usb, { device });
  } catch (e) {
    assert(e instanceof ConformanceError, String(e));
    assertEquals(e.rule, id);
    throw Object.assign(e, { count });
  }
  return count;
}

Deno.test("a device for each interface, and each is taken away once", async () => {
  const { made, removed } = await tried("D28", adapter("ncm"));
  assertEquals([made, removed], [21, 21]);
});

Deno.test("a device that the driver does not take: the rule says why, and it is taken away", async () => {
  const e = await assertRejects(
    () => tried("D03", (_kernel, n) => ({ id: { bus: "nothing", address: String(n) } })),
    ConformanceError,
  );
  assertStringIncludes(e.message, "nothing:1 has no interface: cdc: ");
  assertEquals((e as unknown as { count: object }).count, { made: 1, removed: 1 });
});
