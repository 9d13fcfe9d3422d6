import { assert, assertEquals } from "@std/assert";
import { ifCloneCreate, ifDetach } from "../../../mod.ts";
import { CONFORMANCE_RULES, tryRule } from "../../../testing/mod.ts";
import { driverCounters, frames, send, until, untilAsync, withCleanKernel } from "../../core/kit.ts";
import { assertNoLeaks } from "../../helpers/leaks.ts";

const wrapped = (of: string, ...layers: string[]): URL =>
  new URL(`plugins/wrapped.ts?of=${of}&with=${layers.join(",")}`, import.meta.url);

for (
  const [of, ...layers] of [
    ["null", "trace", "pcap"],
    ["lo", "trace", "corrupt"],
    ["epair", "loss", "trace"],
    ["home", "trace", "loss", "refuse"],
    ["home", "slow"],
    ["lo", "late", "loss"],
    ["epair", "late", "loss"],
  ] as const
) {
  Deno.test(`${of} in ${layers.join(", ")} keeps every rule that it keeps alone`, async () => {
    // A slow link does not send 200 packets while a test waits.
    const slow = layers.includes("slow" as never);
    await assertNoLeaks(async () => {
      for (const rule of CONFORMANCE_RULES) {
        if (slow && rule.cpus === 2) continue;
        await tryRule(rule, wrapped(of, ...layers)).catch((e) => {
          throw new Error(`${of} ${layers}: ${(e as Error).message}`);
        });
      }
    });
  });
}

Deno.test("netem loses the same packets for the same seed, and each is counted", async () => {
  const runs: number[] = [];
  for (let n = 0; n < 2; n++) {
    await withCleanKernel({}, async ({ k }) => {
      await k.modules.load(wrapped("null", "loss"));
      const [i] = await ifCloneCreate(k.vnet0, "null");
      await i.up();
      for (let t = 0; t < 10; t++) send(k.vnet0, i, frames(100));
      const { netem_lost } = await driverCounters(i);
      const { dropped, ended } = await k.ledger();
      assertEquals([dropped.driver, ended.wire], [netem_lost, 1000 - netem_lost!]);
      assert(netem_lost! > 200 && netem_lost! < 300, `${netem_lost} of 1000 at 25 %`);
      runs.push(netem_lost!);
    });
  }
  assertEquals(runs[0], runs[1]);
});

Deno.test("netem delays what is received, and a detach ends what is under way", async () => {
  await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
    await k.modules.load(wrapped("null", "trace"));
    await k.modules.load(wrapped("lo", "late"));
    const [i] = await ifCloneCreate(k.vnet0, "lo");
    await i.up();
    send(k.vnet0, i, frames(5));
    k.advance(19);
    assertEquals((await k.ledger()).live.map((l) => l.lives), [5]);
    k.advance(1);
    await untilAsync("they arrive", async () => (await k.ledger()).live.length === 0);
    send(k.vnet0, i, frames(5));
    await ifDetach(i);
  });
});

Deno.test("netem's rate is kept by back-pressure: all arrive, none faster", async () => {
  await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
    await k.modules.load(wrapped("home", "slow"));
    const [i] = await ifCloneCreate(k.vnet0, "home", { cpu: 0 });
    await i.up();
    send(k.vnet0, i, frames(50));
    for (let ms = 0; ms < 200 && i.counters.opackets < 50; ms++) {
      k.advance(1);
      await k.ledger();
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert(i.counters.opackets <= 10 + ms + 2, `${i.counters.opackets} packets after ${ms} ms`);
    }
    await until("all are sent", () => i.counters.opackets === 50);
  });
});

Deno.test("fault throws in the call that it was told, and the change is rolled back", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(wrapped("setter", "throws"));
    const [i] = await ifCloneCreate(k.vnet0, "setter");
    await i.up(); // the first call of set
    const e = await i.set({ mtu: 1000 }).catch((e: Error) => e);
    assert(e instanceof Error && e.message.includes("call 2 of set"), String(e));
    assertEquals(i.toJSON().mtu, 1500);
    await i.set({ mtu: 1000 });
    assertEquals(i.toJSON().mtu, 1000);
  });
});

Deno.test("pcap is shown every packet, byte for byte", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(wrapped("null", "pcap"));
    const [i] = await ifCloneCreate(k.vnet0, "null");
    await i.up();
    send(k.vnet0, i, frames(3));
    const { seen } = await import(wrapped("null", "pcap").href) as typeof import("./plugins/wrapped.ts");
    assertEquals(seen.map((p) => [p.direction, p.bytes]), frames(3).map((f) => ["out", f]));
  });
});
