/** What step 3 of docs/guide.md does, tested on a clock that is moved by hand. @module */
import assert from "node:assert/strict";
import { test } from "node:test";
import { boot, ifCloneCreate, ifOutput, ifunit, mAlloc } from "@softc/softc";
import { eventually } from "@softc/softc/testing";

test("16 packets are under way at a time, and each millisecond sends them", async () => {
  const kernel = await boot({ clock: "virtual" });
  try {
    await kernel.modules.load(new URL("./step3.ts", import.meta.url));
    const [i] = await ifCloneCreate(kernel.vnet0, "step");
    await i.up();
    kernel.vnet0.section((s) => void ifOutput(s, ifunit(s, i.name)!, mAlloc(s, 40, 64), 0));
    for (const sent of [16, 32, 40]) {
      kernel.advance(1);
      await eventually(`${sent} are sent`, () => i.counters.opackets === sent);
    }
  } finally {
    const { unaccounted, leaks } = await kernel.shutdown();
    assert.deepEqual([unaccounted, leaks], [0, []]);
  }
});
