/** Emulated links of labs: seeded loss, delay, rate. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { applyLab } from "../../control/lab/apply.ts";
import { planLab } from "../../control/lab/plan.ts";
import { type LabNetem, parseLab } from "../../control/mod.ts";
import type { System } from "../../control/system.ts";
import { SoftcError } from "../../mod.ts";
import { frames, send, until } from "../core/kit.ts";
import { withApi } from "./helper.ts";

const link = (netem: LabNetem) =>
  parseLab(JSON.stringify({
    vnets: { a: {}, b: { discard: true } },
    links: [{ name: "w", netem, ends: [{ vnet: "a" }, { vnet: "b" }] }],
  }));
const received = (s: System, name = "wb"): number => s.ifnet(name).counters.ipackets;
const burst = (s: System, n: number, from = "wa"): void => {
  const i = s.ifnet(from);
  for (let sent = 0; sent < n; sent += 100) send(i.vnet, i, frames(Math.min(100, n - sent)));
};

Deno.test("a link loses the same packets for the same seed, others each way and for another", async () => {
  /** Which of 1000 packets, sent one by one, came through. */
  const run = async (seed: number, from: string, to: string): Promise<string> => {
    let came = "";
    await withApi({ clock: "virtual" }, async ({ server: { system }, kernel }) => {
      await applyLab(system, link({ seed, loss: 0.2 }));
      for (let n = 0; n < 1000; n++) {
        const before = received(system, to);
        burst(system, 1, from);
        came += received(system, to) - before;
      }
      const { dropped, unaccounted } = await kernel.ledger();
      const lost = [...came].filter((c) => c === "0").length;
      assert(lost > 150 && lost < 250, `${lost} of 1000 at 20 %`);
      assertEquals([dropped.netem, unaccounted], [lost, 0]);
    });
    return came;
  };
  const once = await run(7, "wa", "wb");
  assertEquals(await run(7, "wa", "wb"), once);
  assert(await run(8, "wa", "wb") !== once);
  assert(await run(7, "wb", "wa") !== once);
});

Deno.test("a link delays what it carries, and what is under way ends with it", () =>
  withApi({ clock: "virtual" }, async ({ server: { system }, kernel }) => {
    await applyLab(system, link({ delay: 20 }));
    burst(system, 5);
    kernel.advance(19);
    const live = async (): Promise<number> =>
      (await kernel.ledger()).live.reduce((n, { lives }) => n + lives, 0);
    assertEquals([await live(), received(system)], [5, 0]);
    kernel.advance(1);
    await until("they arrive", () => received(system) === 5);
    burst(system, 5);
    await system.detach("wb");
    burst(system, 5);
    await system.destroy("wa");
    assertEquals([await live(), (await kernel.ledger()).unaccounted], [0, 0]);
  }));

Deno.test("a link keeps its rate: what is above waits in its queue, then is dropped", () =>
  withApi({ clock: "virtual" }, async ({ server: { system }, kernel }) => {
    await applyLab(system, link({ rate: 1000 }));
    burst(system, 600);
    const first = received(system);
    assertEquals(first, 10); // what is saved up in 10 ms
    assertEquals(system.ifnet("wa").toJSON().queued, 512);
    assertEquals((await kernel.ledger()).dropped.full, 600 - first - 512);
    for (let ms = 1; ms <= 1000 && received(system) < 522; ms++) {
      kernel.advance(1);
      await kernel.ledger(); // the pump has turned
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert(received(system) <= first + ms + 1, `${received(system)} after ${ms} ms`);
    }
    assertEquals([received(system), system.ifnet("wa").toJSON().queued], [522, 0]);
  }));

Deno.test("a lab makes the link anew when its netem differs, and reads it back", () =>
  withApi({}, async ({ call, server: { system } }) => {
    const lab = link({ loss: 0.5, seed: 3 });
    await applyLab(system, lab);
    assertEquals(planLab(system, lab), []);
    const now = (await call("GET", "/api/lab")).body;
    assertEquals(now.links[0].netem, { loss: 0.5, seed: 3 });
    assertEquals((await call("POST", "/api/lab/diff", now)).body.steps, []);
    assertEquals(planLab(system, link({ loss: 0.1, seed: 3 })).map((s) => s.text), [
      "- link a:wa = b:wb on CPU 0",
      "+ link a:wa = b:wb",
    ]);
    const e = await assertRejects(
      () => system.create({ vnet: "a", cloner: "link", options: { loss: 2 } }),
      SoftcError,
    );
    assert(e.message.includes("loss is 2, wanted 0 to 1"), e.message);
    const refused = await call("PUT", "/api/lab", { links: [{ ...now.links[0], cloner: "lo" }] });
    assertEquals(refused.status, 400);
  }));
