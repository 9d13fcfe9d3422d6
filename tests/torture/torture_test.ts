/** Torture itself: the drivers of the repository pass it, and it fails when something is wrong. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { boot, ifCloneCreate, ifnetByHandle, ifOutput, mAlloc } from "../../mod.ts";
import { torture } from "../../testing/mod.ts";
import { afflicted } from "../../testing/torture/fault.ts";
import { taggedFrame } from "../../testing/torture/frame.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";
import { SUBJECTS } from "./subjects.ts";

Deno.test("two seconds of torture: nothing happens that never may", async () => {
  await assertNoLeaks(async () => {
    const r = await torture({ subjects: SUBJECTS.filter((s) => s.host === undefined), seconds: 2, seed: 7 });
    assertEquals([r.failures, r.pass, r.unaccounted, r.leaks], [[], true, 0, 0]);
    assert(Object.values(r.ops).reduce((n, o) => n + o.done, 0) > 50, JSON.stringify(r.ops));
  });
});

for (
  const [name, vice, says] of [
    ["a driver that frees a packet twice", "double free", "SOFTC_MBUF"],
    ["a hook that never settles", "stall", "wedged, and nothing stalled"],
    ["an error with a code that no operation may get", "refuse", "unexpected"],
  ] as const
) {
  Deno.test(`torture fails on ${name}, says what and in which round`, async () => {
    await assertNoLeaks(async () => {
      const url = new URL(`./wrong.ts?${encodeURIComponent(vice)}`, import.meta.url);
      const r = await torture({
        subjects: [{ url, cloners: [{ cloner: "wrong" }] }],
        seconds: 20,
        seed: 3,
      });
      assertEquals(r.pass, false);
      assertStringIncludes(r.failures[0]!, `round ${r.rounds - 1}: `);
      assertStringIncludes(r.failures.join("\n"), says);
    });
  });
}

Deno.test("a packet of another vnet is named by the wrapper around the driver that it leaves through", async () => {
  await assertNoLeaks(async () => {
    const faults: string[] = [];
    const k = await boot({ debug: true, arena: 8 << 20, onFault: (e) => void faults.push(e.message) });
    const url = new URL("../../drivers/null.ts", import.meta.url).href;
    await k.modules.load(afflicted(url, { seed: 1, rate: 0, stalls: false }));
    const [i] = await ifCloneCreate(k.vnet0, "null");
    await i.up();
    const send = (vnet: number): number =>
      k.vnet0.section((s) => {
        const b = mAlloc(s, 1, 60);
        b.copyFrom(0, taggedFrame(vnet, 60));
        return ifOutput(s, ifnetByHandle(s, i.handle)!, b);
      });
    send(k.vnet0.id);
    assertEquals(faults, []);
    send(k.vnet0.id + 1);
    assertStringIncludes(faults.join(), `a packet of vnet#${k.vnet0.id + 1} leaves through null0`);
    await k.shutdown();
  });
});
