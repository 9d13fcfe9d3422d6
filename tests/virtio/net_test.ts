import { assert, assertEquals } from "@std/assert";
import {
  boot,
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifOutput,
  ifunit,
  ifVmove,
  type Kernel,
  mAlloc,
  pktgen,
  type PluggedDevice,
  type ShutdownReport,
  type Vnet,
  vnetCreate,
} from "../../mod.ts";
import type { VhostOptions, VirtioNetOptions } from "../../drivers/virtio/mod.ts";
import { poll } from "../helpers/leaks.ts";

/** A link: the driver's end in vnet a, the device's in vnet b, both UP. */
interface Link {
  readonly k: Kernel;
  readonly a: Vnet;
  readonly b: Vnet;
  readonly nic: Ifnet;
  readonly host: Ifnet;
  readonly device: PluggedDevice;
  readonly logs: string[];
  /** Sends a frame of `len` bytes that begins with `mark`, and waits until the other end has it. */
  cross(from: "nic" | "host", len: number, mark: number): Promise<Uint8Array>;
}

interface Setup {
  readonly cpus?: number;
  readonly host?: VhostOptions;
  readonly nic?: VirtioNetOptions;
  readonly debug?: boolean;
  /** A pair on every CPU. */
  readonly mq?: boolean;
}

async function withLink(o: Setup, body: (l: Link) => Promise<void>): Promise<ShutdownReport> {
  const cpus = o.cpus ?? 1;
  const logs: string[] = [];
  const k = await boot({ cpus, debug: o.debug ?? true, onLog: (l) => logs.push(l) });
  let report: ShutdownReport;
  try {
    await k.modules.load("softc:virtio");
    const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
    const [host] = await ifCloneCreate(b, "vhost", {
      cpu: cpus - 1,
      options: { ...(o.mq === true ? { pairs: cpus } : {}), ...o.host },
    });
    await host.up();
    const device = await k.devices.plug(
      { bus: "virtio", device: 1, address: "0", serial: "V1", ...(o.mq === true ? { multiqueue: 1 } : {}) },
      { parent: host, vnet: a, cpu: 0, options: o.nic },
    );
    assertEquals(device.state, "attached", k.devices.explain(device).join("\n"));
    assertEquals(device.driver, o.mq === true ? "virtio-net-mq" : "virtio-net");
    const nic = device.ifnets[0]!;
    await nic.up();
    const cross: Link["cross"] = async (from, len, mark) => {
      const [source, sink] = from === "nic" ? [nic, host] : [host, nic];
      let got: Uint8Array | undefined;
      const tap = sink.tap({
        onPacket: (p) => {
          if (p.direction === "in" && p.bytes[0] === mark) got = p.bytes;
        },
      });
      const put = (): boolean =>
        source.vnet.section((s) => {
          const batch = mAlloc(s, 1, len);
          const bytes = batch.bytes(0);
          for (let i = 0; i < len; i++) bytes[i] = i * 7 & 255;
          bytes[0] = mark;
          return ifOutput(s, ifunit(s, source.name)!, batch) === 1;
        });
      // After full traffic the queue may still be full.
      assert(await poll(put, 30_000), `${from} takes no packet; ${logs.join("; ")}`);
      assert(await poll(() => got !== undefined, 30_000), `no packet from ${from}; ${logs.join("; ")}`);
      await tap.close();
      return got!;
    };
    await body({ k, a, b, nic, host, device, logs, cross });
  } finally {
    report = await k.shutdown();
  }
  const { leaks, wedged, unaccounted } = report;
  assertEquals({ leaks, wedged, unaccounted }, { leaks: [], wedged: [], unaccounted: 0 }, logs.join("\n"));
  return report;
}

const frame = (len: number, mark: number): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => i === 0 ? mark : i * 7 & 255);

const MATRIX: [name: string, nic: VirtioNetOptions, host?: VhostOptions][] = [
  ["everything", {}],
  ["no EVENT_IDX", { without: ["EVENT_IDX"] }],
  ["no MRG_RXBUF", { without: ["MRG_RXBUF"] }],
  ["no INDIRECT", { without: ["INDIRECT"] }],
  ["small receive buffers, merged", { rxBuffer: 200 }],
  ["four entries", { entries: 4 }],
  ["a device that offers nothing but VERSION_1", {}, {
    without: [
      "CSUM",
      "GUEST_CSUM",
      "MTU",
      "MAC",
      "MRG_RXBUF",
      "STATUS",
      "CTRL_VQ",
      "CTRL_RX",
      "MQ",
      "INDIRECT",
      "EVENT_IDX",
    ],
  }],
];

for (const [name, nic, host] of MATRIX) {
  for (const cpus of [1, 2]) {
    Deno.test(`frames of every size cross both ways, on ${cpus} CPUs: ${name}`, async () => {
      await withLink({ cpus, nic, ...(host === undefined ? {} : { host }) }, async (l) => {
        for (const [i, len] of [14, 60, 64, 187, 188, 189, 512, 1500, 1514].entries()) {
          assertEquals(await l.cross("nic", len, 2 * i), frame(len, 2 * i), `to the device, ${len} bytes`);
          assertEquals(
            await l.cross("host", len, 2 * i + 1),
            frame(len, 2 * i + 1),
            `to the driver, ${len} bytes`,
          );
        }
        for (let i = 0; i < 20; i++) await l.cross(i % 3 === 0 ? "nic" : "host", 60, 98);
        assertEquals(l.logs, []);
      });
    });
  }
}

Deno.test("MAC, MTU, link and promisc are the device's", () =>
  withLink({ host: { mtu: 1400 } }, async ({ nic, host }) => {
    const { mac, mtu, link } = nic.toJSON();
    assertEquals([mac.slice(0, 8), mtu, link], ["02:76:68", 1400, "up"]);
    await host.down();
    assert(await poll(() => nic.toJSON().link === "down", 30_000));
    await host.up();
    assert(await poll(() => nic.toJSON().link === "up", 30_000));
    await nic.set({ promisc: true });
    assert(nic.toJSON().flags.includes("PROMISC"));
  }).then(() => {}));

Deno.test("a driver that asks for what is not offered is refused, and nothing is left", async () => {
  const k = await boot({ debug: true });
  await k.modules.load("softc:virtio");
  const [host] = await ifCloneCreate(k.vnet0, "vhost", { options: { without: ["VERSION_1"] } });
  const d = await k.devices.plug({ bus: "virtio", device: 1, address: "0" }, { parent: host });
  assertEquals(d.state, "unclaimed");
  assert(k.devices.explain(d).some((line) => line.includes("it is not virtio 1")));
  const lost = await k.devices.plug({ bus: "virtio", device: 1, address: "1" });
  assert(k.devices.explain(lost).some((line) => line.includes("without a parent")));
  const { leaks, unaccounted } = await k.shutdown();
  assertEquals([leaks, unaccounted], [[], 0]);
});

/** An IPv4 frame that discard() takes. */
function ip(len = 64): Uint8Array {
  const f = new Uint8Array(len);
  f.set([8, 0, 0x45, 0, (len - 14) >> 8, (len - 14) & 255], 12);
  f.set([64, 17], 22);
  f[26] = f[30] = 10;
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += f[i]! << 8 | f[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  f.set([(~sum >> 8) & 255, ~sum & 255], 24);
  return f;
}

async function traffic(l: Link, body: () => Promise<void>): Promise<void> {
  discard(l.a);
  discard(l.b);
  const streams = [
    await pktgen({ vnet: l.a, ifnet: l.nic, frame: ip() }),
    await pktgen({ vnet: l.b, ifnet: l.host, frame: ip(1000) }),
  ];
  const before = l.host.counters.ipackets;
  assert(await poll(() => l.host.counters.ipackets > before + 2000, 30_000), "no traffic");
  await body();
  await Promise.all(streams.map((s) => s.stop()));
}

Deno.test("a command that a device's reset overtakes has no answer, and nobody waits for one", () =>
  withLink({ host: { breakAfter: 1 } }, async (l) => {
    const send = (): number => l.a.section((s) => ifOutput(s, ifunit(s, l.nic.name)!, mAlloc(s, 1, 60)));
    send();
    // The device takes the packet up first, and then no command any more.
    await l.nic.set({ promisc: true });
    assert(await poll(() => l.logs.some((x) => x.includes("the device asks for it")), 30_000), "no reset");
    // What is sent until the reset is over comes back unsent.
    const { ipackets } = l.host.counters;
    assert(await poll(() => (send(), l.host.counters.ipackets > ipackets), 30_000), "no traffic after it");
    await l.nic.set({ promisc: false });
    await l.k.devices.detach(l.device);
    assertEquals(l.nic.state, "freed");
  }).then(() => {}));

for (const mq of [false, true]) {
  const what = mq ? "a pair on every CPU" : "one pair";
  Deno.test(`[B69] ${what}: a device that asks for a reset gets one, every buffer comes back, and traffic goes on`, () =>
    withLink({ cpus: 2, mq, host: { breakAfter: 1000 }, debug: false }, async (l) => {
      await traffic(l, async () => {
        assert(
          await poll(() => l.logs.some((x) => x.includes("the device asks for it")), 30_000),
          "no reset",
        );
        const { ipackets } = l.host.counters;
        assert(
          await poll(() => l.host.counters.ipackets > ipackets + 2000, 30_000),
          "no traffic after the reset",
        );
        const rx = l.nic.counters.ipackets;
        assert(
          await poll(() => l.nic.counters.ipackets > rx + 2000, 30_000),
          "nothing received after the reset",
        );
      });
      await l.cross("nic", 100, 77);
    }).then(() => {}));

  Deno.test(`${what}: unplugged in full traffic, plugged back in: name and vnet come back, nothing is lost uncounted`, () =>
    withLink({ cpus: 2, mq, debug: false }, async (l) => {
      await l.nic.set({ name: "uplink", mtu: 1400 });
      await traffic(l, async () => {
        let { device } = l;
        for (let i = 0; i < 5; i++) {
          await l.k.devices.unplug(device);
          assertEquals(device.state, "gone");
          device = await l.k.devices.plug(device.id, { parent: l.host, cpu: 0 });
          const nic = device.ifnets[0]!.toJSON();
          assertEquals([nic.name, nic.vnet, nic.mtu, nic.flags.includes("UP")], ["uplink", "a", 1400, true]);
          const before = l.host.counters.ipackets;
          assert(
            await poll(() => l.host.counters.ipackets > before + 500, 30_000),
            "no traffic after the replug",
          );
        }
      });
    }).then(() => {}));
}

Deno.test("a pair on every CPU: each CPU sends through its own queue and hears its own interrupts", () =>
  withLink({ cpus: 2, mq: true, debug: false }, async (l) => {
    await traffic(l, async () => {
      const before = l.host.counters.ipackets;
      assert(await poll(() => l.host.counters.ipackets > before + 5000, 30_000));
    });
    assertEquals(l.nic.toJSON().queues, 0, "no rings: run to completion");
    await l.cross("nic", 100, 50);
    await l.cross("host", 100, 51);
  }).then(() => {}));

Deno.test("a driver for a pair on every CPU refuses a device that has too few", async () => {
  const k = await boot({ cpus: 2, debug: true });
  await k.modules.load("softc:virtio");
  const [host] = await ifCloneCreate(k.vnet0, "vhost", { options: { pairs: 1 } });
  const d = await k.devices.plug({ bus: "virtio", device: 1, address: "0", multiqueue: 1 }, { parent: host });
  assert(k.devices.explain(d).some((line) => line.includes("1 pairs")), k.devices.explain(d).join("\n"));
  const { leaks, unaccounted } = await k.shutdown();
  assertEquals([leaks, unaccounted], [[], 0]);
});

Deno.test("the device's end destroyed in full traffic takes the driver's end with it", () =>
  withLink({ cpus: 2, debug: false }, async (l) => {
    await traffic(l, () => ifCloneDestroy(l.host));
    assertEquals([l.device.state, l.k.ifnets.length], ["gone", 0]);
  }).then(() => {}));

Deno.test("moved to another vnet in full traffic", () =>
  withLink({ cpus: 2, debug: false }, async (l) => {
    const c = await vnetCreate(l.k.vnet0, "c");
    await traffic(l, async () => {
      let nic = l.nic;
      for (let i = 0; i < 20; i++) nic = (await ifVmove(nic, i % 2 === 0 ? c : l.a)).ifnet;
    });
  }).then(() => {}));
