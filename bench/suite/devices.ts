/** Cases of devices: virtio to a device on another CPU, a device pulled out under load, the border of a driver host. @module */
import {
  boot,
  ifCloneCreate,
  type Ifnet,
  type Kernel,
  type Pktgen,
  pktgen,
  type PluggedDevice,
  type Vnet,
  vnetCreate,
} from "../../mod.ts";
import { SoftNic, SoftPort, usbId } from "../../drivers/usb/mod.ts";
import type { Case } from "../harness.ts";
import type { Target } from "../targets.ts";
import { checked, frame, type Suite } from "../suite.ts";

/** Milliseconds of traffic until the code of both threads is compiled. */
const WARM = 1000;
const HOMED = new URL("../plugins/homed.ts", import.meta.url);

/** Packets per second, in millions, that `count` counts while a stream runs for `ms` milliseconds. */
async function streamed(
  ms: number,
  start: () => Promise<Pktgen>,
  count: () => number,
): Promise<number> {
  const stream = await start();
  const before = count();
  const begin = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const mpps = (count() - before) / (performance.now() - begin) / 1e3;
  await stream.stop();
  return mpps;
}

interface Link {
  readonly a: Vnet;
  readonly b: Vnet;
  readonly nic: Ifnet;
  readonly vhost: Ifnet;
  readonly device: PluggedDevice;
}

/** A virtio device on CPU 1 in vnet b, its driver on CPU 0 in vnet a. */
async function virtio(k: Kernel): Promise<Link> {
  await k.modules.load("softc:virtio");
  const [a, b] = [await vnetCreate(k.vnet0, "a"), await vnetCreate(k.vnet0, "b")];
  const [vhost] = await ifCloneCreate(b, "vhost", { cpu: 1 });
  await vhost.up();
  const device = await k.devices.plug(
    { bus: "virtio", device: 1, address: "0", serial: "B1" },
    { parent: vhost, vnet: a, cpu: 0 },
  );
  const nic = device.ifnets[0]!;
  await nic.up();
  return { a, b, nic, vhost, device };
}

const VIRTIO = "virtio to the software device on another CPU, 64 B";

/** What is counted is what came in at the other end. */
function virtioCase(name: string, batch: number, back: boolean): Case {
  return {
    group: VIRTIO,
    name,
    unit: "Mpps",
    workers: true,
    setup: async () => {
      const kernel = await boot({ cpus: 2 });
      const { a, b, nic, vhost } = await virtio(kernel);
      const [vnet, ifnet, cpu, sink] = back ? [b, vhost, 1, nic] as const : [a, nic, 0, vhost] as const;
      const sample = (ms: number): Promise<number> =>
        streamed(
          ms,
          () => pktgen({ vnet, ifnet, cpus: [cpu], batch, frame: frame(64) }),
          () => sink.counters.ipackets,
        );
      await sample(WARM);
      return {
        sample,
        teardown: () => checked(kernel),
      };
    },
  };
}

/** Plugs the next device in and sends through it from every CPU; how it is pulled out. */
type Replug = (k: Kernel) => Promise<() => Promise<void>>;

const usb: Replug = async (k) => {
  const nic = new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 9), serial: "B2" });
  nic.onFrame = (f) => void nic.send(f);
  const resource = new SoftPort(nic);
  const device = await k.devices.plug(await usbId(resource, "1-1"), { resource });
  return await loaded(k, k.vnet0, device);
};

async function loaded(k: Kernel, vnet: Vnet, device: PluggedDevice): Promise<() => Promise<void>> {
  const ifnet = device.ifnets[0]!;
  await ifnet.up();
  const stream = await pktgen({ vnet, ifnet, frame: frame(64) });
  while (ifnet.counters.opackets < 2000) await new Promise((resolve) => setTimeout(resolve, 1));
  return async () => {
    await k.devices.unplug(device);
    unplugged.push(stream);
  };
}
/** Streams of devices that are gone: stopped outside of what is measured. */
const unplugged: Pktgen[] = [];

async function virtioReplug(k: Kernel): Promise<Replug> {
  let { a, vhost, device }: { a: Vnet; vhost: Ifnet; device: PluggedDevice } = await virtio(k);
  return async () => {
    if (device.state === "gone") device = await k.devices.plug(device.id, { parent: vhost, vnet: a, cpu: 0 });
    return await loaded(k, a, device);
  };
}

/** Time from unplug to the softc destroyed. The percentile is of every unplug so far: one sample has too few. */
function unplugCase(what: string, p: number, prepare: (k: Kernel) => Promise<Replug>): Case {
  return {
    group: "surprise unplug to softc destroyed, every CPU sending",
    name: `${what}, p${p * 100}`,
    unit: "us",
    workers: true,
    atLeast: 100,
    setup: async () => {
      const kernel = await boot({ cpus: 2 });
      const replug = await prepare(kernel);
      const times: number[] = [];
      return {
        sample: async (ms) => {
          const end = performance.now() + ms;
          do {
            const pull = await replug(kernel);
            const begin = performance.now();
            await pull();
            times.push((performance.now() - begin) * 1e3);
            for (const s of unplugged.splice(0)) await s.stop();
          } while (performance.now() < end);
          const sorted = times.toSorted((x, y) => x - y);
          return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!;
        },
        teardown: () => checked(kernel),
      };
    },
  };
}

const HOST = "a driver on another thread, 64 B, batch 32";

/** The same driver: on another CPU of the kernel, and in a host of its own, where the border copies. */
function hostCase(name: string, hosted: boolean): Case {
  return {
    group: HOST,
    name,
    unit: "Mpps",
    ...(hosted ? { against: "on another CPU" } : {}),
    workers: true,
    setup: async () => {
      const kernel = await boot({ cpus: hosted ? 1 : 2 });
      await kernel.modules.load(HOMED, hosted ? { host: {} } : {});
      const [i] = await ifCloneCreate(kernel.vnet0, "homed", hosted ? {} : { cpu: 1 });
      await i.up();
      const sample = (ms: number): Promise<number> =>
        streamed(
          ms,
          () => pktgen({ vnet: kernel.vnet0, ifnet: i, cpus: [0], batch: 32, frame: frame(64) }),
          () => i.counters.opackets,
        );
      await sample(WARM);
      return {
        sample,
        teardown: () => checked(kernel),
      };
    },
  };
}

const cases: readonly Case[] = [
  virtioCase("batch 32, driver to device", 32, false),
  virtioCase("batch 32, device to driver", 32, true),
  virtioCase("batch 1, driver to device", 1, false),
  ...[0.5, 0.99].flatMap((p) => [
    unplugCase("virtio, device on another CPU", p, virtioReplug),
    unplugCase("USB NCM", p, (k) => k.modules.load("softc:usb").then(() => usb)),
  ]),
  hostCase("on another CPU", false),
  hostCase("in a host", true),
];

const targets: readonly Target[] = [
  {
    name: "virtio to a device on another CPU, 64 B, batch 32",
    group: VIRTIO,
    case: "batch 32, driver to device",
    sense: ">=",
    hold: 3,
    aim: 6,
  },
];

/** The suite. */
export const suite: Suite = { cases, targets };
