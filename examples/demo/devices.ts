/**
 * Devices that a bus finds, and a driver in a worker of its own.
 *
 * @module
 */
import { type Ifnet, ifVmove, pktgen } from "@softc/softc";
import { SoftNic, SoftPort, usbId } from "@softc/softc/drivers/usb";
import { datagram, ECHO, type Lab, until, up, watch } from "./lab.ts";
import { count, duration, rate } from "./paint.ts";

/** Packets that crossed a virtio link. */
export interface Crossed {
  /** From the driver to the device. */
  readonly toDevice: number;
  /** From the device to the driver. */
  readonly toDriver: number;
}

/** A virtio driver on the first CPU and its device on the last: full rate one way, then the other. */
export async function virtio({ k, screen, left, right }: Lab, seconds: number): Promise<Crossed> {
  const there = k.cpus - 1;
  const [host] = await up(right, "vhost", { cpu: there });
  const device = await k.devices.plug(
    { bus: "virtio", device: 1, address: "0" },
    { parent: host, vnet: left, cpu: 0 },
  );
  const nic = device.ifnets[0]!;
  await nic.up();
  const frame = datagram();
  const cross = async (from: Ifnet, cpu: number, to: Ifnet): Promise<{ packets: number; rate: string }> => {
    const stream = await pktgen({ vnet: from.vnet, ifnet: from, frame, cpus: [cpu] });
    await until(() => to.counters.ipackets > 10_000);
    const start = performance.now();
    const before = to.counters.ipackets;
    await watch(screen, "virtio", start, seconds / 2, () => `${from.name} ─▶ ${to.name}`);
    const packets = to.counters.ipackets - before;
    const took = (performance.now() - start) / 1000;
    await stream.stop();
    return { packets, rate: rate(packets, took) };
  };
  const out = await cross(nic, 0, host);
  const back = await cross(host, there, nic);
  screen.step(
    "virtio",
    `${out.rate.padStart(9)}  ${nic.name} on CPU 0 ─▶ ${host.name} on CPU ${there}, ${back.rate} back`,
  );
  return { toDevice: out.packets, toDriver: back.packets };
}

/** What a USB adapter was before it was pulled out, and what it is after. */
export interface Replugged {
  readonly before: { readonly name: string; readonly vnet: string };
  readonly after: { readonly name: string; readonly vnet: string; readonly up: boolean };
  /** Milliseconds until nothing of it was left. */
  readonly goneMs: number;
  /** Frames that came out of its cable, before and after. */
  readonly frames: readonly [number, number];
}

/** A USB network adapter is pulled out while every CPU sends through it, and comes back at another port. */
export async function usb({ k, screen, left, right }: Lab, seconds: number): Promise<Replugged> {
  const adapter = (): SoftNic => {
    const nic = new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 9), serial: "DEMO1" });
    nic.onFrame = (f) => void nic.send(f); // what goes into the cable comes back out of it
    return nic;
  };
  const plug = async (nic: SoftNic, port: string): Promise<{ unplug(): Promise<void>; ifnet: Ifnet }> => {
    const resource = new SoftPort(nic);
    const device = await k.devices.plug(await usbId(resource, port), { resource, vnet: left });
    return { unplug: () => k.devices.unplug(device), ifnet: device.ifnets[0]! };
  };
  const [first, second] = [adapter(), adapter()];
  const plugged = await plug(first, "1-1");
  await plugged.ifnet.set({ name: "dongle" });
  const { ifnet } = await ifVmove(plugged.ifnet, right);
  await ifnet.up();
  const before = { name: ifnet.name, vnet: right.name };
  const stream = await pktgen({ vnet: right, ifnet, frame: datagram() });
  await until(() => first.received > 0);
  await watch(screen, "usb", performance.now(), seconds / 2, () => `${count(first.received)} frames`);
  const at = performance.now();
  await plugged.unplug();
  const goneMs = performance.now() - at;
  const { ifnet: again } = await plug(second, "2-4");
  await until(() => second.received > 0);
  await watch(screen, "usb", performance.now(), seconds / 2, () => `${count(second.received)} frames`);
  await stream.stop();
  const { name, vnet, flags } = again.toJSON();
  const after = { name, vnet, up: flags.includes("UP") };
  screen.step(
    "usb",
    `${before.name} in ${before.vnet} pulled out at full rate: gone after ${
      duration(goneMs * 1e6)
    }; plugged ` +
      `back at another port: ${after.name} in ${after.vnet}, ${after.up ? "UP" : "down"}`,
  );
  return { before, after, goneMs: Math.round(goneMs * 10) / 10, frames: [first.received, second.received] };
}

/** What became of a driver in a worker of its own. */
export interface Hosted {
  /** Packets that it answered. */
  readonly packets: number;
  /** Workers of the kernel before, while it ran, and after. */
  readonly workers: readonly [number, number, number];
}

/** The plugin again, unchanged, in a worker that has nothing of the kernel's; unloaded, its worker is gone. */
export async function hosted({ k, screen, left }: Lab, seconds: number): Promise<Hosted> {
  const workers = (): number => k.inspect().workers.length;
  const before = workers();
  const module = await k.modules.load(ECHO, { host: {} });
  const during = workers();
  const [echo] = await up(left, "echo", { options: { perSecond: 1e9 } });
  const stream = await pktgen({ vnet: left, ifnet: echo, frame: datagram() });
  await until(() => echo.counters.ipackets > 0);
  await watch(screen, "host", performance.now(), seconds, () => `${count(echo.counters.ipackets)} answers`);
  const at = performance.now();
  await k.modules.unload(module, { mode: "drain" });
  await until(() => workers() === before);
  const took = performance.now() - at;
  const packets = echo.counters.ipackets;
  const gone = workers() === before;
  await stream.stop();
  screen.step(
    "host",
    `module ${module.name} again, in a worker of its own, ${count(packets)} answers; unloaded at full ` +
      `rate: worker ${gone ? "gone" : "still there"} after ${duration(took * 1e6)}`,
  );
  return { packets, workers: [before, during, workers()] };
}
