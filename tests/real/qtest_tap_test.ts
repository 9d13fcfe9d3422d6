/** The virtio driver over QEMU's device model with a Linux tap behind it: checksum offload and queue pairs. */
import { assert, assertEquals } from "@std/assert";
import { type Ifnet, ifOutput, ifunit, ifVmove, mAlloc, vnetCreate } from "../../mod.ts";
import { queueLayout } from "../../drivers/virtio/mod.ts";
import { inetAddress, inetRoute, udpOpen } from "../../vnet/mod.ts";
import { Machine, qemuMissing, QtestTransport } from "./qtest_machine.ts";
import { type Lab, lab, missing, until } from "./tap_linux.ts";

const why = await qemuMissing() ?? missing(["socat", "-V"]);
if (why !== undefined) console.log(`skipped: ${why}`);

const PORT = 40007;
const MAC = [2, 0, 0, 0, 0, 7];

interface Rig extends Lab {
  readonly t: QtestTransport;
  readonly nic: Ifnet;
}

/** Linux between two taps: QEMU's, with our virtio driver behind it in vnet "lan", and ours in vnet "far". */
function rig(name: string, queues: number, body: (r: Rig) => Promise<void>): void {
  Deno.test({
    name,
    ignore: why !== undefined,
    fn: () =>
      lab({ debug: true }, async (l) => {
        const { kernel, netns, linux } = l;
        const machine = await Machine.start({ netns, tap: "vt0", queues });
        try {
          const t = await QtestTransport.open(machine);
          await kernel.modules.load("softc:virtio");
          const lan = await vnetCreate(kernel.vnet0, "lan");
          const device = await kernel.devices.plug(
            { bus: "virtio", device: 1, address: "pci:4" },
            { resource: t, vnet: lan, options: { pairs: queues } },
          );
          assertEquals(device.state, "attached", kernel.devices.explain(device).join("\n") + machine.stderr);
          const nic = device.ifnets[0]!;
          await nic.up();
          l.capture(nic);
          await linux("ip", "addr", "add", "10.7.0.1/24", "dev", "vt0");
          await linux("ip", "link", "set", "vt0", "up");
          await inetAddress(nic, "10.7.0.2/24");
          inetRoute(lan, "0.0.0.0/0", "10.7.0.1");
          await body({ ...l, t, nic });
          assertEquals(machine.stderr.split("\n").filter((x) => /virtio|Guest/i.test(x)), []);
        } finally {
          // Before the machine's memory is unmapped.
          for (const d of kernel.devices.list()) await kernel.devices.unplug(d);
          await machine.stop();
        }
      }),
  });
}

/** A UDP server of Linux that sends back what it gets. */
async function echo({ netns, linux }: Lab, body: () => Promise<void>): Promise<void> {
  const child = new Deno.Command("ip", {
    args: ["netns", "exec", netns, "socat", `UDP4-LISTEN:${PORT},fork,reuseaddr`, "PIPE"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const bound = `:${PORT.toString(16).toUpperCase()} `;
    const end = performance.now() + 10_000;
    while (!(await linux("cat", "/proc/net/udp")).includes(bound)) {
      assert(performance.now() < end, "the server does not listen");
    }
    await body();
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

rig("partial checksums both ways: Linux answers ours, we take those that it leaves to us", 1, async (r) => {
  const { nic } = r;
  assertEquals(nic.toJSON().capabilities, ["txcsum"]);
  await echo(r, async () => {
    const socket = udpOpen(nic.vnet, { connect: { address: "10.7.0.1", port: PORT } });
    for (let size = 1; size <= 1400; size = size * 3 + 1) {
      const data = Uint8Array.from({ length: size }, (_, i) => i * size & 255);
      socket.send(data);
      assertEquals((await socket.receive(5000))?.data, data);
    }
    socket.close();
  });
});

rig("what Linux passes on for us is right on the next wire, and so is what it passes back", 1, async (r) => {
  const { kernel, nic, tap, linux } = r;
  const far = await vnetCreate(kernel.vnet0, "far");
  const { ifnet: end } = await ifVmove(tap, far);
  await linux("ip", "addr", "add", "10.8.0.1/24", "dev", "tap0");
  await linux("ip", "link", "set", "tap0", "up");
  await linux("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
  await inetAddress(end, "10.8.0.2/24");
  inetRoute(far, "0.0.0.0/0", "10.8.0.1");
  r.capture(end);
  const server = udpOpen(far, { port: 7 });
  const client = udpOpen(nic.vnet, { connect: { address: "10.8.0.2", port: 7 } });
  for (let n = 0; n < 30; n++) {
    const data = new Uint8Array(1 + n * 40).fill(n);
    let got = undefined;
    for (let tries = 0; tries < 20 && got === undefined; tries++) {
      client.send(data);
      got = await server.receive(500);
    }
    assertEquals(got?.data, data);
    server.send(data, { address: got!.address, port: got!.port });
    assertEquals((await client.receive(5000))?.data, data);
  }
  server.close();
  client.close();
});

/** A UDP frame to Linux from port `port`. */
function datagram(to: readonly number[], port: number): Uint8Array {
  const f = new Uint8Array(60);
  f.set([...to, ...MAC, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1]);
  f.set([port >> 8, port & 255, PORT >> 8, PORT & 255, 0, 26, 0, 0], 34);
  const seal = (at: number, from: number, to: number, initial: number): void => {
    let s = initial;
    for (let i = from; i < to; i += 2) s += f[i]! << 8 | f[i + 1]!;
    while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
    f.set([~s >> 8 & 255, ~s & 255], at);
  };
  seal(24, 14, 34, 0);
  seal(40, 26, 60, 17 + 26); // the addresses of the pseudo-header lie right in front
  return f;
}

rig("two queue pairs: what is sent on each arrives, and is answered on the same", 2, async (r) => {
  const { nic, t, linux } = r;
  assertEquals(nic.toJSON().queues, 2);
  const text = await linux("cat", "/sys/class/net/vt0/address");
  const linuxMac = text.trim().split(":").map((x) => parseInt(x, 16));
  const answered = new Set<number>();
  const tap = nic.tap({
    onPacket: ({ bytes: b, direction }) => {
      if (direction === "in" && b[23] === 17) answered.add(b[36]! << 8 | b[37]!);
    },
  });
  const used = (queue: number): number => {
    const n = 256;
    return t.dma.u8[t.places.get(`queue ${queue}`)! + queueLayout(n).used + 2]!;
  };
  await echo(r, async () => {
    const flows = Array.from({ length: 16 }, (_, i) => 50_000 + i);
    await until("an answer to every flow", () => {
      for (const port of flows) {
        if (answered.has(port)) continue;
        nic.vnet.section((s) => {
          const b = mAlloc(s, 1, 60);
          b.copyFrom(0, datagram(linuxMac, port));
          ifOutput(s, ifunit(s, nic.name)!, b, port);
        });
      }
      return answered.size === flows.length;
    }, 15_000);
  });
  for (const queue of [1, 3]) assert(t.kicks[queue]! > 0, `transmit queue ${queue} was not used`);
  for (const queue of [0, 2]) assert(used(queue) > 0, `receive queue ${queue} was not used`);
  await tap.close();
});
