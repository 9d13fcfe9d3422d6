import { assert, assertEquals, assertRejects } from "@std/assert";
import { ifCloneCreate, pktgen, SoftcError } from "../../mod.ts";
import { frames, until, withCleanKernel } from "./kit.ts";

const frame = new Uint8Array(60);

Deno.test("a stream keeps its rate: by the clock, none faster, and goes on after the interface was down", async () => {
  await withCleanKernel({ clock: "virtual", cpus: 1 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [nic] = await ifCloneCreate(k.vnet0, "null");
    await nic.up();
    const stream = await pktgen({ vnet: k.vnet0, ifnet: nic, frame, rate: 1000 });
    const sent = (): number => nic.counters.opackets;
    const turn = async (ms: number): Promise<void> => {
      k.advance(ms);
      await new Promise((resolve) => setTimeout(resolve, 0)); // the pump turns
    };
    for (let ms = 1; ms <= 50; ms++) {
      await turn(1);
      assert(sent() <= 1 + ms, `${sent()} after ${ms} ms`);
    }
    await until("all that is due is sent", () => sent() >= 49);
    await nic.down();
    const before = sent();
    for (let ms = 0; ms < 100; ms++) await turn(1);
    assertEquals(sent(), before);
    await nic.up();
    await turn(1);
    // What was not sent meanwhile is saved up for 10 ms, not longer.
    await until("it goes on", () => sent() - before >= 10);
    assert(sent() - before <= 11, `${sent() - before} at once`);
    assertEquals((await stream.stop())[0]!.sent, sent());
    for (let ms = 0; ms < 5; ms++) await turn(1);
    assertEquals(k.inspect().timers.filter((t) => t.startsWith("timer")), []);
  });
});

Deno.test("a paced stream that nobody stopped ends with its kernel, on every CPU", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [nic] = await ifCloneCreate(k.vnet0, "null");
    await nic.up();
    await pktgen({ vnet: k.vnet0, ifnet: nic, frame: frames(1)[0]!, rate: 100_000 });
    await until("both CPUs send", () => nic.counters.opackets > 1000);
  });
});

Deno.test("a rate that is none is refused", async () => {
  await withCleanKernel({ cpus: 1 }, async ({ k }) => {
    await k.modules.load("softc:null");
    const [nic] = await ifCloneCreate(k.vnet0, "null");
    for (const rate of [0, -1, NaN, Infinity]) {
      await assertRejects(() => pktgen({ vnet: k.vnet0, ifnet: nic, frame, rate }), SoftcError, "per second");
    }
  });
});
