import { assert, assertEquals } from "@std/assert";
import {
  boot,
  type Ifnet,
  ifOutput,
  ifunit,
  ifVmove,
  type Kernel,
  mAlloc,
  type PluggedDevice,
  vnetCreate,
} from "../../mod.ts";
import { queueLayout } from "../../drivers/virtio/mod.ts";
import { poll } from "../helpers/leaks.ts";
import { Machine, qemuMissing, QtestTransport } from "./qtest_machine.ts";

const MAC = [2, 0, 0, 0, 0, 7];
const missing = await qemuMissing();
if (missing !== undefined) console.log(`skipped: ${missing}`);

interface Rig {
  readonly k: Kernel;
  readonly machine: Machine;
  readonly t: QtestTransport;
  readonly device: PluggedDevice;
  readonly logs: string[];
  nic(): Ifnet;
}

function rig(name: string, options: object, body: (r: Rig) => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing !== undefined,
    fn: async () => {
      const machine = await Machine.start();
      const logs: string[] = [];
      const k = await boot({ debug: true, onLog: (l) => logs.push(l), onFault: (e) => logs.push(e.message) });
      try {
        const t = await QtestTransport.open(machine);
        await k.modules.load("softc:virtio");
        const id = { bus: "virtio", device: 1, address: "pci:4", serial: "02:00:00:00:00:07" };
        const device = await k.devices.plug(id, { resource: t, options });
        assertEquals(device.state, "attached", k.devices.explain(device).join("\n") + machine.stderr);
        const nic = (): Ifnet => device.ifnets[0]!;
        await nic().up();
        await body({ k, machine, t, device, logs, nic });
      } finally {
        const { leaks, wedged, unaccounted } = await k.shutdown();
        await machine.stop();
        assertEquals(
          { leaks, wedged, unaccounted },
          { leaks: [], wedged: [], unaccounted: 0 },
          logs.join("\n"),
        );
      }
    },
  });
}

function send(i: Ifnet, frame: Uint8Array): number {
  return i.vnet.section((s) => {
    const b = mAlloc(s, 1, frame.length);
    b.copyFrom(0, frame);
    return ifOutput(s, ifunit(s, i.name)!, b);
  });
}

function checksum(p: Uint8Array, from: number, to: number): [number, number] {
  let s = 0;
  for (let i = from; i < to; i += 2) s += p[i]! << 8 | p[i + 1]!;
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return [~s >> 8 & 255, ~s & 255];
}

/** Sends `frame` until slirp answers with what `accept` takes. */
async function ask(
  i: Ifnet,
  frame: Uint8Array,
  accept: (f: Uint8Array) => boolean,
): Promise<Uint8Array | undefined> {
  let got: Uint8Array | undefined;
  const tap = i.tap({ onPacket: (p) => void (p.direction === "in" && accept(p.bytes) && (got = p.bytes)) });
  for (let tries = 0; tries < 5 && got === undefined; tries++) {
    send(i, frame);
    await poll(() => got !== undefined, 1000);
  }
  await tap.close();
  return got;
}

/** slirp's gateway, by ARP. */
async function gateway(i: Ifnet): Promise<number[]> {
  const arp = new Uint8Array(60);
  arp.set([255, 255, 255, 255, 255, 255, ...MAC, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...MAC, 10, 0, 2, 15]);
  arp.set([10, 0, 2, 2], 38);
  const reply = await ask(i, arp, (f) => f[12] === 8 && f[13] === 6 && f[21] === 2);
  assert(reply !== undefined, "slirp did not answer ARP");
  return [...reply.subarray(22, 28)];
}

function echo(gw: readonly number[], seq: number, len = 98): Uint8Array {
  const p = new Uint8Array(len);
  p.set([...gw, ...MAC, 8, 0, 0x45, 0, (len - 14) >> 8, (len - 14) & 255, 0, 0, 0, 0, 64, 1, 0, 0]);
  p.set([10, 0, 2, 15, 10, 0, 2, 2, 8, 0, 0, 0, 0x12, 0x34, seq >> 8, seq & 255], 26);
  for (let i = 42; i < len; i++) p[i] = i * seq & 255;
  p.set(checksum(p, 14, 34), 24);
  p.set(checksum(p, 34, len), 36);
  return p;
}

async function pings(i: Ifnet, count: number, len = 98): Promise<number> {
  const gw = await gateway(i);
  let ok = 0;
  for (let seq = 1; seq <= count; seq++) {
    const sent = echo(gw, seq, len);
    const reply = await ask(
      i,
      sent,
      (f) => f[23] === 1 && f[34] === 0 && (f[40]! << 8 | f[41]!) === seq,
    );
    if (reply !== undefined && reply.subarray(42).every((b, k) => b === sent[42 + k])) ok++;
  }
  return ok;
}

for (
  const [name, options] of [
    ["all that QEMU offers", {}],
    ["no EVENT_IDX", { without: ["EVENT_IDX"] }],
    ["no MRG_RXBUF, no INDIRECT", { without: ["MRG_RXBUF", "INDIRECT"] }],
    ["eight entries, receive buffers of 200 bytes", { entries: 8, rxBuffer: 200 }],
  ] as const
) {
  rig(
    `QEMU's virtio-net-pci answers ARP and echoes through slirp: ${name}`,
    options,
    async ({ nic, t, machine }) => {
      assertEquals([nic().toJSON().mac, nic().toJSON().link], ["02:00:00:00:00:07", "up"]);
      assertEquals(await pings(nic(), 40), 40);
      assertEquals(await pings(nic(), 5, 1400), 5);
      await nic().set({ promisc: true });
      assert(t.kicks[1]! > 0);
      assertEquals(machine.stderr.split("\n").filter((l) => /virtio|Guest/i.test(l)), []);
    },
  );
}

rig("the link follows QEMU's set_link", {}, async ({ nic, machine }) => {
  await machine.qmp("set_link", { name: "nic", up: false });
  assert(await poll(() => nic().toJSON().link === "down", 5000));
  await machine.qmp("set_link", { name: "nic", up: true });
  assert(await poll(() => nic().toJSON().link === "up", 5000));
});

/** Writes into the driver's transmit ring behind its back, then kicks. */
const PLANTED: [name: string, says: RegExp, plant: (t: QtestTransport) => void][] = [
  ["a head out of range", /Guest says index 9999 is available/, (t) => {
    const { avail } = queueLayout(256);
    const at = t.places.get("queue 1")! + avail;
    const view = new DataView(t.dma.u8.buffer, at);
    const idx = view.getUint16(2, true);
    view.setUint16(4 + 2 * (idx & 255), 9999, true);
    view.setUint16(2, idx + 1 & 0xffff, true);
  }],
  ["a descriptor loop", /Looped descriptor/, (t) => {
    const { avail } = queueLayout(256);
    const queue = t.places.get("queue 1")!;
    const view = new DataView(t.dma.u8.buffer, queue);
    for (const [i, next] of [[200, 201], [201, 200]] as const) {
      view.setBigUint64(i * 16, BigInt(queue), true);
      view.setUint32(i * 16 + 8, 12, true);
      view.setUint16(i * 16 + 12, 1, true);
      view.setUint16(i * 16 + 14, next, true);
    }
    const idx = view.getUint16(avail + 2, true);
    view.setUint16(avail + 4 + 2 * (idx & 255), 200, true);
    view.setUint16(avail + 2, idx + 1 & 0xffff, true);
  }],
];

for (const [name, says, plant] of PLANTED) {
  rig(`QEMU flags ${name}, asks for a reset, and gets one`, {}, async ({ nic, t, machine, logs }) => {
    assertEquals(await pings(nic(), 3), 3);
    plant(t);
    t.kick(1);
    assert(await poll(() => says.test(machine.stderr), 5000), `QEMU said: ${machine.stderr}`);
    assert(await poll(() => logs.some((l) => l.includes("the device asks for it")), 5000), logs.join("\n"));
    assertEquals(await pings(nic(), 10), 10);
  });
}

rig(
  "device_del and eject in traffic, then the same card again: its name and vnet come back",
  {},
  async (r) => {
    const { k, machine, device } = r;
    const lan = await vnetCreate(k.vnet0, "lan");
    await r.nic().set({ name: "uplink" });
    const { ifnet: nic } = await ifVmove(r.nic(), lan);
    const gw = await gateway(nic);
    let seq = 0;
    let running = true;
    const traffic = (async () => {
      while (running && nic.state === "attached") {
        send(nic, echo(gw, seq++ & 0xffff));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    })();
    assert(await poll(() => nic.counters.ipackets > 50, 5000));
    await machine.eject();
    assertEquals(await machine.pci(0, "l") >>> 0, 0xffffffff);
    await k.devices.unplug(device);
    running = false;
    await traffic;
    assertEquals([device.state, k.ifnets.length], ["gone", 0]);
    await machine.qmp("device_add", {
      driver: "virtio-net-pci",
      netdev: "n0",
      id: "nic",
      bus: "pci.0",
      addr: "4",
      "disable-legacy": "on",
      mac: "02:00:00:00:00:07",
    });
    const again = await k.devices.plug(device.id, { resource: await QtestTransport.open(machine) });
    assertEquals(again.state, "attached", k.devices.explain(again).join("\n"));
    const back = again.ifnets[0]!;
    assertEquals([back.name, back.vnet.name, back.toJSON().flags.includes("UP")], ["uplink", "lan", true]);
    assertEquals(await pings(back, 10), 10);
  },
);
