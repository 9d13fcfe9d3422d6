import { assert, assertEquals, assertGreater, assertRejects, assertStringIncludes } from "@std/assert";
import { ARP, Blocks, join } from "../../tests/pcap/blocks.ts";
import { assertNoLeaks, poll } from "../../tests/helpers/leaks.ts";
import {
  boot,
  type BootOptions,
  discard,
  ifCloneCreate,
  type Ifnet,
  type Kernel,
  pktgen,
} from "../../mod.ts";
import { isSoftcError, SoftcError } from "../../core/error.ts";
import { captureTo } from "./capture.ts";
import type { PcapOptions } from "./driver.ts";
import { PcapngWriter, readCapture } from "./mod.ts";

const LINUX = new URL("../../examples/data/linux.pcapng", import.meta.url);
const LOOPBACK = new URL("../../tests/data/pcap/raw.pcap", import.meta.url);

/** The frames of the real capture in the order of time: two interfaces were recorded, their frames are not in it. */
const RECORDED = readCapture(Deno.readFileSync(LINUX), "linux.pcapng").frames.toSorted((x, y) =>
  Number(x.at - y.at)
);

/** Runs `body` on a kernel with the pcap driver, then checks the books and that nothing is left. */
async function onKernel(o: BootOptions, body: (k: Kernel) => Promise<void>): Promise<void> {
  await assertNoLeaks(async (watch) => {
    const k = watch(await boot(o));
    try {
      await k.modules.load("softc:pcap");
      await body(k);
    } finally {
      const { unaccounted, leaks, wedged } = await k.shutdown();
      assertEquals({ unaccounted, leaks, wedged }, { unaccounted: 0, leaks: [], wedged: [] });
    }
  });
}

async function pcap(k: Kernel, options: PcapOptions, cpu = 0): Promise<Ifnet> {
  return (await ifCloneCreate(k.vnet0, "pcap", { cpu, options }))[0];
}

async function until(what: string, condition: () => boolean): Promise<void> {
  assert(await poll(condition, 5000), `not within 5 s: ${what}`);
}

/** A capture in a file of its own: frames `ms` apart. */
async function withCapture(
  frames: readonly { ms: number; bytes: Uint8Array; originalLength?: number; interface?: number }[],
  body: (path: string) => Promise<void>,
): Promise<void> {
  const w = new PcapngWriter();
  w.addInterface({ name: "one" });
  w.addInterface({ name: "two" });
  for (const { ms, ...f } of frames) w.frame({ interface: 0, at: BigInt(ms) * 1_000_000n, ...f });
  await withFile(w.take(), body);
}

async function withFile(bytes: Uint8Array, body: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, bytes);
    await body(path);
  } finally {
    await Deno.remove(path);
  }
}

for (const cpu of [0, 1]) {
  Deno.test(`pcap replays every frame of a file, in its order, homed on CPU ${cpu}`, async () => {
    await onKernel({ cpus: 2 }, async (k) => {
      discard(k.vnet0);
      const i = await pcap(k, { file: LINUX, speed: "full" }, cpu);
      const seen: Uint8Array[] = [];
      const tap = i.tap({ onPacket: (p) => seen.push(p.bytes) });
      await i.up();
      await until("all frames", () => seen.length === RECORDED.length);
      await tap.close();
      assertEquals(seen, RECORDED.map((f) => new Uint8Array(f.bytes)));
      assertEquals(i.counters.ipackets, RECORDED.length);
      const { delivered, dropped, born } = await k.ledger();
      assertEquals({ dropped, rx: born.rx }, { dropped: {}, rx: RECORDED.length });
      assertEquals(delivered, 2 * RECORDED.length); // each once, and its copy in the tap
    });
  });
}

const THREE = [{ ms: 1000, bytes: ARP }, { ms: 1010, bytes: ARP }, { ms: 1100, bytes: ARP }];

for (const [speed, at] of [[1, [0, 10, 100]], [2, [0, 5, 50]], [0.5, [0, 20, 200]]] as const) {
  Deno.test(`pcap keeps the recorded distances at speed ${speed}`, async () => {
    // A witness is due one millisecond earlier: when its frame is there, the CPU has looked at that time.
    const early = at.map((ms) => ({ ms: Math.max(0, ms - 1), bytes: ARP }));
    await withCapture(
      THREE,
      (file) =>
        withCapture(early, (other) =>
          onKernel({ cpus: 1, clock: "virtual" }, async (k) => {
            discard(k.vnet0);
            const i = await pcap(k, { file, speed });
            const witness = await pcap(k, { file: other });
            await i.up();
            await witness.up();
            k.advance(1); // the first frame may have had to wait for the flag UP
            await until(
              "the first of each",
              () => i.counters.ipackets === 1 && witness.counters.ipackets === 1,
            );
            let now = 1;
            for (const [n, t] of [...at.entries()].slice(1)) {
              k.advance(t - 1 - now);
              await until(`${t - 1} ms`, () => witness.counters.ipackets === n + 1);
              assertEquals(i.counters.ipackets, n, `before ${t} ms`);
              k.advance(1);
              await until(`frame ${n} at ${t} ms`, () => i.counters.ipackets === n + 1);
              now = t;
            }
          })),
    );
  });
}

Deno.test("pcap at full speed asks no clock", async () => {
  await withCapture(THREE, async (file) =>
    await onKernel({ cpus: 2, clock: "virtual" }, async (k) => {
      discard(k.vnet0);
      const i = await pcap(k, { file, speed: 0, loop: 100 }, 1);
      await i.up();
      // Only a look at whether it is UP may have to wait for time.
      await until("300 frames", () => (k.advance(1), i.counters.ipackets === 300));
    }));
});

Deno.test("pcap pauses while its interface is down, and plays again when UP comes after the end", async () => {
  await withCapture(THREE, async (file) =>
    await onKernel({ cpus: 1, clock: "virtual" }, async (k) => {
      discard(k.vnet0);
      const i = await pcap(k, { file });
      await i.up();
      await k.ledger(); // its first turn is over
      k.advance(20);
      await until("two frames", () => i.counters.ipackets === 2);
      await i.down();
      k.advance(1000);
      await k.ledger();
      assertEquals(i.counters.ipackets, 2);
      await i.up();
      k.advance(80);
      await until("the last frame", () => i.counters.ipackets === 3);
      k.advance(1000);
      await k.ledger();
      assertEquals(i.counters.ipackets, 3);
      await i.down();
      await i.up();
      k.advance(1);
      await until("the first again", () => i.counters.ipackets === 4);
    }));
});

Deno.test("pcap plays what was recorded on the named interface only", async () => {
  const frames = [{ ms: 0, bytes: ARP }, { ms: 1, bytes: ARP, interface: 1 }, { ms: 2, bytes: ARP }];
  await withCapture(frames, async (file) =>
    await onKernel({ cpus: 1 }, async (k) => {
      discard(k.vnet0);
      const two = await pcap(k, { file, interface: "two" });
      const tap = two.tap({ onPacket: () => {} });
      await two.up();
      await until("its frame", () => two.counters.ipackets === 1);
      await tap.close();
      const e = await assertRejects(() => pcap(k, { file, interface: "three" }), SoftcError);
      assertEquals(e.code, "SOFTC_PCAP_ARGUMENT");
      assertStringIncludes(e.message, "one, two");
    }));
});

Deno.test("pcap counts frames that no packet holds, and replays the rest", async () => {
  const long = new Uint8Array(1985);
  long.set(ARP);
  const frames = [{ ms: 0, bytes: ARP }, { ms: 1, bytes: long }, { ms: 2, bytes: long.subarray(0, 1984) }];
  await withCapture(
    [...frames, { ms: 3, bytes: ARP, originalLength: 3000 }],
    async (file) =>
      await onKernel({ cpus: 1 }, async (k) => {
        discard(k.vnet0);
        const i = await pcap(k, { file, speed: "full" });
        await i.up();
        await until("three frames", () => i.counters.ipackets === 3);
        await k.modules.unload("pcap", { mode: "drain" });
        assertEquals(i.driverCounters, { toobig: 1, cut: 1, replayed: 3, passes: 1 });
      }),
  );
});

Deno.test("pcap takes what is sent as on its wire, from every CPU", async () => {
  await withCapture(THREE, async (file) =>
    await onKernel({ cpus: 2, clock: "virtual" }, async (k) => {
      const i = await pcap(k, { file }, 1);
      await i.up();
      const before = i.counters.opackets;
      const g = await pktgen({ vnet: k.vnet0, ifnet: i, frame: ARP, batch: 8, count: 64 });
      await until("both CPUs' packets", () => i.counters.opackets - before === 128);
      await g.stop();
    }));
});

Deno.test("pcap makes no interface of a bad file, and leaves nothing behind", async () => {
  const whole = Deno.readFileSync(LINUX);
  const cut = whole.subarray(0, whole.length - 10);
  await withFile(cut, async (file) =>
    await onKernel({ cpus: 2 }, async (k) => {
      for (const cpu of [0, 1]) {
        const e = await assertRejects(() => pcap(k, { file }, cpu));
        assert(isSoftcError(e, "SOFTC_PCAP_BAD"), String(e));
        assertStringIncludes(e.message, file);
        assert(/ at offset \d+: /.test(e.message), e.message);
      }
      assertEquals(k.ifnets, []);
      await k.modules.unload("pcap"); // nothing uses it
      await k.modules.load("softc:pcap");
    }));
});

Deno.test("pcap says what is wrong with its options and files", async () => {
  await onKernel({ cpus: 1 }, async (k) => {
    const wrong: [unknown, string, string][] = [
      [undefined, "SOFTC_DRIVER_OPTIONS", "file is undefined"],
      [{ file: new URL("https://example.org/x") }, "SOFTC_DRIVER_OPTIONS", "wanted a path or file: URL"],
      [{ file: LINUX, speed: -1 }, "SOFTC_DRIVER_OPTIONS", "speed is -1"],
      [{ file: LINUX, loop: 0 }, "SOFTC_DRIVER_OPTIONS", "loop is 0"],
      [{ file: LINUX, interface: 3 }, "SOFTC_DRIVER_OPTIONS", "interface is 3"],
      [{ file: new URL("missing.pcapng", LINUX) }, "SOFTC_PCAP_FILE", "missing.pcapng"],
      [{ file: new URL(".", LINUX) }, "SOFTC_PCAP_FILE", "a directory"],
      [{ file: LOOPBACK }, "SOFTC_PCAP_ARGUMENT", "link type 101"],
    ];
    for (const [options, code, text] of wrong) {
      const e = await assertRejects(() => ifCloneCreate(k.vnet0, "pcap", { options }), SoftcError, text);
      assertEquals(e.code, code);
    }
    assertEquals(k.ifnets, []);
  });
});

Deno.test("pcap leaves a recorded frame check sequence on the wire", async () => {
  const blocks = new Blocks().section().iface(1, 0, [[13, new Uint8Array([4])]]);
  const frame = join([ARP, new Uint8Array([1, 2, 3, 4])]);
  await withFile(
    blocks.enhanced(0, 0n, frame).bytes(),
    async (file) =>
      await onKernel({ cpus: 1 }, async (k) => {
        discard(k.vnet0);
        const i = await pcap(k, { file });
        await i.up();
        await until("the frame", () => i.counters.ipackets === 1);
        assertEquals(i.counters.ibytes, ARP.length);
      }),
  );
});

Deno.test("captureTo() records several interfaces, each with direction, and their drops", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await onKernel({ cpus: 2 }, async (k) => {
      await k.modules.load("softc:epair");
      discard(k.vnet0);
      const ends = await ifCloneCreate(k.vnet0, "epair");
      const [a, b] = [ends[0], ends[1]!];
      for (const i of ends) await i.up();
      const file = captureTo(path, [a, b]);
      const g = await pktgen({ vnet: k.vnet0, ifnet: a, frame: ARP, cpus: [1], count: 5 });
      await until("five frames, seen twice", () => file.frames === 10);
      await b.down();
      const g2 = await pktgen({ vnet: k.vnet0, ifnet: a, frame: ARP, cpus: [0], count: 3 });
      await until("three that are refused", () => b.counters.iqdrops === 3);
      await until("their records", () => file.frames === 16);
      await g.stop();
      await g2.stop();
      await file.close();
      await file.close();
      assertEquals(file.missed, 0);
    });
    const { interfaces, frames } = readCapture(Deno.readFileSync(path), path);
    assertEquals(interfaces.map((i) => [i.name, i.description, i.received, i.dropped]), [
      ["epair0a", "vnet vnet0", 8n, 0n],
      ["epair0b", "vnet vnet0", 5n, 3n],
    ]);
    const by = (n: number, direction: string) =>
      frames.filter((f) => f.interface === n && f.direction === direction && f.dropReason === undefined);
    assertEquals([by(0, "out").length, by(0, "in").length], [8, 0]);
    assertEquals([by(1, "out").length, by(1, "in").length], [0, 5]);
    assertEquals(
      frames.filter((f) => f.dropReason !== undefined).map((f) => [f.interface, f.direction, f.dropReason]),
      Array(3).fill([1, "in", "down"]),
    );
    for (const f of frames) assertEquals(f.bytes, ARP);
    assertGreater(frames[0]!.at, BigInt(Date.now() - 60_000) * 1_000_000n);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("captureTo() keeps the first bytes of each frame, and the length that it had", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await onKernel({ cpus: 1 }, async (k) => {
      discard(k.vnet0);
      const i = await pcap(k, { file: LINUX, speed: "full" });
      const file = captureTo(path, [i], { snap: 20 });
      await i.up();
      await until("all frames", () => file.frames + file.missed === 448);
      await file.close();
    });
    const { frames } = readCapture(Deno.readFileSync(path), path);
    const lost = frames.reduce((n, f) => n + Number(f.lost), 0);
    assertEquals(lost, 0);
    assertEquals(
      frames.map((f) => [f.bytes.length, f.originalLength]),
      RECORDED.map((f) => [Math.min(20, f.bytes.length), f.bytes.length]),
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("captureTo() says what it cannot do, and taps nothing then", async () => {
  await onKernel({ cpus: 1 }, async (k) => {
    const i = await pcap(k, { file: LINUX });
    const refused = (path: string | URL, ifnets: readonly Ifnet[]): string => {
      try {
        captureTo(path, ifnets);
      } catch (e) {
        if (isSoftcError(e)) return e.code;
      }
      return "nothing";
    };
    assertEquals(refused("x.pcapng", []), "SOFTC_PCAP_ARGUMENT");
    assertEquals(refused("x.pcapng", [i, i]), "SOFTC_PCAP_ARGUMENT");
    assertEquals(refused(new URL("./none/x.pcapng", LINUX), [i]), "SOFTC_PCAP_FILE");
  });
});
