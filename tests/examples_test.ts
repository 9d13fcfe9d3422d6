import { assert, assertEquals, assertRejects } from "@std/assert";
import { boot, discard, ifCloneCreate, isSoftcError, pktgen } from "../mod.ts";
import { readCapture } from "../drivers/pcap/mod.ts";
import { assertNoLeaks, poll } from "./helpers/leaks.ts";
import { answer } from "../examples/echo/answer.ts";

const ECHO = new URL("../examples/echo/echo.ts", import.meta.url);
const LINUX = new URL("../examples/data/linux.pcapng", import.meta.url);

const hex = (b: Uint8Array): string => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");

Deno.test("answer() makes of each recorded request the reply that Linux gave, byte for byte", () => {
  const frames = readCapture(Deno.readFileSync(LINUX), "linux.pcapng").frames.map((f) => f.bytes);
  const type = (f: Uint8Array): number => f[12]! << 8 | f[13]!;
  // What a host chooses anew for each packet is left out: IPv4's identification and so its checksum, DF, IPv6's
  // flow label.
  const comparable = (f: Uint8Array): string =>
    type(f) === 0x0800
      ? hex(f.subarray(0, 18)) + hex(f.subarray(22, 24)) + hex(f.subarray(26))
      : hex(f.subarray(0, 15)) + hex(f.subarray(18));
  const replies = new Set(frames.map(comparable));
  let pings = 0;
  for (const f of frames) {
    const ping = type(f) === 0x0800
      ? f[23] === 1 && f[34] === 8
      : type(f) === 0x86dd && f[20] === 58 && f[54] === 128;
    if (!ping) continue;
    const made = f.slice();
    assert(answer(made));
    assert(replies.has(comparable(made)), hex(made));
    pings++;
  }
  assert(pings > 40, `${pings} requests in the capture`);
});

Deno.test("answer() leaves what it does not know as it is", () => {
  const tcp = readCapture(Deno.readFileSync(LINUX), "linux.pcapng").frames.map((f) => f.bytes).find((f) =>
    f[12] === 8 && f[13] === 0 && f[23] === 6
  )!;
  for (const f of [new Uint8Array(0), new Uint8Array(60), tcp.slice(), tcp.slice(0, 30)]) {
    const before = hex(f);
    assertEquals(answer(f), false);
    assertEquals(hex(f), before);
  }
});

/** A UDP datagram to port 7, 64 bytes. */
function datagram(): Uint8Array {
  const f = new Uint8Array(64);
  f.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0x66, 0xb9]);
  f.set([10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 7, 0, 30, 0, 0], 26);
  return f;
}

Deno.test("echo, loaded from its file, answers on every CPU up to its allowance", async () => {
  await assertNoLeaks(async (watch) => {
    const k = watch(await boot({ cpus: 2, clock: "virtual" }));
    await k.modules.load(ECHO);
    discard(k.vnet0);
    const [i] = await ifCloneCreate(k.vnet0, "echo", { options: { perSecond: 100_000 } });
    await i.up();
    const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: datagram(), count: 600 });
    assert(await poll(() => i.counters.opackets === 1200, 5000));
    await g.stop();
    const first = await k.ledger();
    // 100,000 a second are 1,000 in the 10 ms that have not passed.
    assertEquals([i.counters.ipackets, first.dropped.driver], [1000, 200]);
    assert(first.perCpu.every((n) => n > 0), `${first.perCpu}`);
    k.advance(10);
    await k.ledger();
    await k.ledger();
    const again = await pktgen({ vnet: k.vnet0, ifnet: i, frame: datagram(), count: 300 });
    assert(await poll(() => i.counters.ipackets === 1600, 5000));
    await again.stop();
    await k.modules.unload("echo", { mode: "drain" });
    assertEquals(i.driverCounters, { limited: 200 });
    const { unaccounted, leaks, dropped } = await k.shutdown();
    assertEquals({ unaccounted, leaks, dropped }, { unaccounted: 0, leaks: [], dropped: { driver: 200 } });
  });
});

Deno.test("echo refuses an allowance that its refill cannot share out", async () => {
  const k = await boot();
  await k.modules.load(ECHO);
  const e = await assertRejects(() => ifCloneCreate(k.vnet0, "echo", { options: { perSecond: 7 } }));
  assert(isSoftcError(e, "SOFTC_DRIVER_OPTIONS"));
  await k.shutdown();
});
