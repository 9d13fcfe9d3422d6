/** Every step of the guide is the file that it shows, passes the conformance test, and does what the page says. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createSocket } from "node:dgram";
import { ifCloneCreate, ifDetach, isSoftcError, pktgen, vnetCreate } from "../../mod.ts";
import { CONFORMANCE_RULES, ConformanceError, eventually, tryRule } from "../../testing/mod.ts";
import { driverCounters, frames, send, until, untilAsync, withCleanKernel } from "../core/kit.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";

const step = (n: number): URL => new URL(`../../examples/guide/step${n}.ts`, import.meta.url);
const OUTSIDE = new URL("../../examples/guide/outside.ts", import.meta.url);
const page = Deno.readTextFileSync(new URL("../../docs/guide.md", import.meta.url));

/** Code of an example as the page shows it: without the comment at its head. */
const shown = (url: URL): string => Deno.readTextFileSync(url).replace(/^\/\*\*.*?\*\/\n/s, "").trim();

Deno.test("the guide shows its examples as they are", () => {
  const own = new URL("../../examples/guide/step3_test.ts", import.meta.url);
  for (const url of [...[1, 2, 3, 4, 5, 6].map(step), OUTSIDE, own]) {
    assert(page.includes("```ts\n" + shown(url) + "\n```"), url.href);
  }
});

Deno.test("every step of the guide passes the conformance test", async (t) => {
  for (let n = 1; n <= 6; n++) {
    await t.step(`step ${n}`, () =>
      assertNoLeaks(async () => {
        for (const rule of CONFORMANCE_RULES) await tryRule(rule, step(n));
      }));
  }
});

Deno.test("eventually() waits for what comes, and names what does not", async () => {
  let asked = 0;
  await eventually("the third time", () => Promise.resolve(++asked === 3));
  assertEquals(asked, 3);
  const e = await assertRejects(() => eventually("pigs fly", () => false, 10), Error);
  assertEquals(e.message, "Not within 10 ms: pigs fly");
});

Deno.test("step 1: what is sent is gone, and counted", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(step(1));
    const [i] = await ifCloneCreate(k.vnet0, "step");
    await i.up();
    send(k.vnet0, i, frames(100));
    await until("sent", () => i.counters.opackets === 100);
    assertEquals((await k.ledger()).ended.wire, 100);
  });
});

Deno.test("step 2: what is sent comes back with its addresses swapped", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(step(2));
    const [i] = await ifCloneCreate(k.vnet0, "step");
    await i.up();
    const got: Uint8Array[] = [];
    const tap = i.tap({ onPacket: (p) => void (p.direction === "in" && got.push(p.bytes.slice(0, 12))) });
    const f = frames(1)[0]!;
    f.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    send(k.vnet0, i, [f]);
    await until("it came back", () => got.length === 1);
    assertEquals([...got[0]!], [7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6]);
    tap.close();
  });
});

Deno.test("step 3: what has no room waits, all is sent, and a detach under way loses nothing uncounted", async () => {
  await withCleanKernel({ clock: "virtual" }, async ({ k }) => {
    await k.modules.load(step(3));
    const [i] = await ifCloneCreate(k.vnet0, "step", { cpu: 0 });
    await i.up();
    send(k.vnet0, i, frames(40));
    const sent = [];
    for (let ms = 0; ms < 3; ms++) {
      k.advance(1);
      await untilAsync(
        "a batch is sent",
        async () => (await k.ledger(), i.counters.opackets === [16, 32, 40][ms]),
      );
      sent.push(i.counters.opackets);
    }
    assertEquals(sent, [16, 32, 40]);
    send(k.vnet0, i, frames(5));
    await ifDetach(i);
  });
});

Deno.test("step 4: options are checked, and a change that the device refuses is rolled back", async () => {
  await withCleanKernel({}, async ({ k }) => {
    await k.modules.load(step(4));
    const refused = await ifCloneCreate(k.vnet0, "step", { options: { buffer: 5 } }).catch((e) => e);
    assert(isSoftcError(refused, "SOFTC_DRIVER_OPTIONS"), String(refused));
    const [i] = await ifCloneCreate(k.vnet0, "step", { options: { buffer: 1000 } });
    assertEquals(i.toJSON().mtu, 1000);
    const change = await i.set({ mtu: 1200 }).catch((e) => e);
    assert(change instanceof Error);
    assertEquals(i.toJSON().mtu, 1000);
  });
});

Deno.test("a device outside keeps every rule but the explorer's, which says what it cannot run", async () => {
  const o = { options: { peer: 9 } };
  await assertNoLeaks(async () => {
    for (const rule of CONFORMANCE_RULES) if (rule.id !== "D36") await tryRule(rule, OUTSIDE, o);
  });
  const d36 = CONFORMANCE_RULES.find((r) => r.id === "D36")!;
  const e = await assertRejects(() => tryRule(d36, OUTSIDE, o), ConformanceError);
  assertStringIncludes(e.message, "awaits I/O or a timer of the runtime, which does not run here");
});

Deno.test("a device outside: what one sends the other receives, on any CPU, and what is no frame is refused", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(OUTSIDE);
    const port = 20_000 + Deno.pid % 20_000;
    const red = await vnetCreate(k.vnet0, "red");
    const ends = [[k.vnet0, port, port + 1], [red, port + 1, port]] as const;
    const [a, b] = await Promise.all(ends.map(async ([vnet, port, peer], cpu) => {
      const [i] = await ifCloneCreate(vnet, "outside", { cpu, options: { port, peer } });
      await i.up();
      return i;
    }));
    send(k.vnet0, a!, frames(5));
    await until("CPU 1 hears its socket", () => b!.counters.ipackets === 5);
    send(red, b!, frames(7));
    await until("and CPU 0 its own", () => a!.counters.ipackets === 7);
    const stranger = createSocket("udp4");
    for (const bytes of [13, 1415]) stranger.send(new Uint8Array(bytes), port + 1, "127.0.0.1");
    await untilAsync("both are refused", async () => (await driverCounters(b!)).refused === 2);
    stranger.close();
    assertEquals(b!.state, "attached");
  });
});

Deno.test("step 5: every CPU sends, and the shared count is exact", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load(step(5));
    const [i] = await ifCloneCreate(k.vnet0, "step");
    await i.up();
    const load = await pktgen({ vnet: k.vnet0, ifnet: i, frame: frames(1)[0]!, count: 5000 });
    await until("sent", () => i.counters.opackets === 10_000);
    assert((await load.stop()).length === 2);
    await ifDetach(i);
    assertEquals(i.driverCounters.sent, 10_000);
  });
});

Deno.test("step 6: one module, two drivers, and a link that loses a tenth", async () => {
  await withCleanKernel({}, async ({ k }) => {
    const m = await k.modules.load(step(6));
    assertEquals(m.drivers, ["step6-lossy", "step6-wide"]);
    const [i] = await ifCloneCreate(k.vnet0, "lossy");
    await i.up();
    for (let t = 0; t < 10; t++) {
      send(k.vnet0, i, frames(100));
      await k.ledger();
    }
    await untilAsync("all went through", async () => (await driverCounters(i)).trace_sent === 1000);
    const { netem_lost } = await driverCounters(i);
    assert(netem_lost! > 120 && netem_lost! < 260, `${netem_lost} lost of 1000 both ways at 10 %`);
  });
});
