import { assert, assertEquals } from "@std/assert";
import {
  boot,
  ifCloneCreate,
  type Ifnet,
  ifOutput,
  ifunit,
  ifVmove,
  type Kernel,
  mAlloc,
  type Vnet,
  vnetCreate,
} from "../../mod.ts";
import { partialCsum } from "../../core/device/mod.ts";
import type { Feature, VhostOptions } from "../../drivers/virtio/mod.ts";
import {
  inetAddress,
  inetForwarding,
  inetNeighbour,
  inetRoute,
  udpOpen,
  type UdpSocket,
} from "../../vnet/mod.ts";
import { poll } from "../helpers/leaks.ts";
import { HandDevice } from "./hand_device.ts";

const HEADER = 12;
/** Bytes in front of UDP: Ethernet and IP. */
const UDP = { 4: 34, 6: 54 } as const;
const NEIGHBOUR = "02:00:00:00:00:77";

async function withKernel(body: (k: Kernel) => Promise<void>, cpus = 1): Promise<void> {
  const faults: string[] = [];
  const k = await boot({ cpus, debug: true, onFault: (e) => faults.push(e.message) });
  try {
    for (const m of ["virtio", "epair"]) await k.modules.load(`softc:${m}`);
    await body(k);
  } finally {
    const { leaks, wedged, unaccounted } = await k.shutdown();
    assertEquals({ leaks, wedged, unaccounted, faults }, {
      leaks: [],
      wedged: [],
      unaccounted: 0,
      faults: [],
    });
  }
}

interface Rig {
  readonly k: Kernel;
  readonly device: HandDevice;
  readonly nic: Ifnet;
  readonly socket: UdpSocket;
}

/** A device by hand with a UDP socket on port 7 above it, and a neighbour behind it. */
function withDevice(offer: Feature[], family: 4 | 6, body: (r: Rig) => Promise<void>): Promise<void> {
  return withKernel(async (k) => {
    const device = new HandDevice(...offer);
    const plugged = await k.devices.plug({ bus: "virtio", device: 1, address: "0" }, { resource: device });
    const nic = plugged.ifnets[0]!;
    await nic.up();
    await inetAddress(nic, family === 4 ? "10.0.0.1/24" : "fd00::1/64", { dad: false });
    inetNeighbour(nic, other(family), NEIGHBOUR);
    const socket = udpOpen(k.vnet0, { port: 7, connect: { address: other(family), port: 9 } });
    await body({ k, device, nic, socket });
    socket.close();
    assertEquals(device.mistakes, []);
  });
}

const other = (family: 4 | 6): string => family === 4 ? "10.0.0.2" : "fd00::2";

/** One's complement sum over a datagram and its pseudo-header: 0xffff when its checksum is right. */
function sum(frame: Uint8Array, family: 4 | 6): number {
  const at = UDP[family];
  const udp = frame.subarray(at, at + (frame[at + 4]! << 8 | frame[at + 5]!));
  const addresses = family === 4 ? frame.subarray(26, 34) : frame.subarray(22, 54);
  let s = 17 + udp.length;
  for (const part of [addresses, udp]) part.forEach((b, i) => s += i % 2 === 0 ? b << 8 : b);
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return s;
}

const le16 = (b: Uint8Array, at: number): number => b[at]! | b[at + 1]! << 8;
const DATA = Uint8Array.of(1, 2, 3, 4, 5);

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: with CSUM the datagram goes out with two offsets, and completing it there makes it right`, () =>
    withDevice(["CSUM"], family, async ({ device, nic, socket }) => {
      assertEquals(nic.toJSON().capabilities, ["txcsum"]);
      assertEquals(socket.send(DATA), 0);
      assert(await poll(() => device.sent.some((p) => p[0] === 1), 5000), "nothing with NEEDS_CSUM");
      const packet = device.sent.find((p) => p[0] === 1)!;
      const [start, offset] = [le16(packet, 6), le16(packet, 8)];
      assertEquals([start, offset], [UDP[family], 6]);
      const frame = packet.subarray(HEADER);
      assert(sum(frame, family) !== 0xffff, "it was whole already");
      // What virtio 1.x 5.1.6.2 asks of the device: the sum from csum_start on, put at csum_offset.
      let s = 0;
      for (let i = start; i < frame.length; i++) s += (i - start) % 2 === 0 ? frame[i]! << 8 : frame[i]!;
      while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
      frame.set([~s >> 8 & 255, ~s & 255], start + offset);
      assertEquals(sum(frame, family), 0xffff);
    }));

  Deno.test(`IPv${family}: without CSUM the stack writes the whole checksum`, () =>
    withDevice([], family, async ({ device, nic, socket }) => {
      assertEquals(nic.toJSON().capabilities, []);
      assertEquals(socket.send(DATA), 0);
      const udp = (p: Uint8Array): boolean => p.length === HEADER + UDP[family] + 8 + DATA.length;
      assert(await poll(() => device.sent.some(udp), 5000), "nothing sent");
      const packet = device.sent.find(udp)!;
      assertEquals([...packet.subarray(0, 10)], new Array(10).fill(0));
      assertEquals(sum(packet.subarray(HEADER), family), 0xffff);
    }));
}

Deno.test("a device that offers CSUM no more after a reset gets whole checksums", () =>
  withDevice(["CSUM"], 4, async ({ device, socket }) => {
    device.offer = device.offer.without("CSUM");
    device.break();
    assert(await poll(() => device.resets > 1 && !device.accepted.has("CSUM"), 5000), "no recovery");
    assert(await poll(() => socket.send(DATA) === 0 && device.sent.length > 0, 5000), "nothing sent");
    const packet = device.sent.at(-1)!;
    assertEquals([packet[0], sum(packet.subarray(HEADER), 4)], [0, 0xffff]);
  }));

Deno.test("a datagram that is cut into fragments carries a whole checksum", () =>
  withDevice(["CSUM"], 4, async ({ device, socket }) => {
    assertEquals(socket.send(new Uint8Array(3000).fill(7)), 0);
    assert(await poll(() => device.sent.length >= 3, 5000));
    const udp = new Uint8Array(UDP[4] + 3008);
    for (const p of device.sent) {
      assertEquals(p[0], 0);
      const frame = p.subarray(HEADER);
      const at = ((frame[20]! & 31) << 8 | frame[21]!) * 8;
      udp.set(frame.subarray(0, 34));
      udp.set(frame.subarray(34), 34 + at);
    }
    assertEquals(sum(udp, 4), 0xffff);
  }));

/** A datagram to the socket, behind a virtio header; its UDP checksum is `csum`. */
function arriving(nic: Ifnet, header: readonly number[], csum: number, to = [10, 0, 0, 1]): Uint8Array {
  const p = new Uint8Array(HEADER + 34 + 8 + DATA.length);
  p.set(header);
  const f = p.subarray(HEADER);
  f.set(nic.toJSON().mac.split(":").map((x) => parseInt(x, 16)));
  f.set([2, 0, 0, 0, 0, 0x77, 8, 0, 0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17], 6);
  f.set([10, 0, 0, 2, ...to, 0, 9, 0, 7, 0, 13, csum >> 8, csum & 255, ...DATA], 26);
  let s = 0;
  for (let i = 14; i < 34; i += 2) s += f[i]! << 8 | f[i + 1]!;
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  f.set([~s >> 8 & 255, ~s & 255], 24);
  return p;
}

const PARTIAL = (start: number, offset: number): number[] => [
  1,
  0,
  0,
  0,
  0,
  0,
  start & 255,
  start >> 8,
  offset & 255,
  offset >> 8,
  0,
  0,
];

Deno.test("GUEST_CSUM: what was never on a wire or is known to be right is not checked, all else is", () =>
  withDevice(["GUEST_CSUM"], 4, async ({ k, device, nic, socket }) => {
    const wrong = 0x1234;
    const cases: [what: string, header: number[], taken: boolean][] = [
      ["NEEDS_CSUM", PARTIAL(34, 6), true],
      ["DATA_VALID", [2, ...new Array(11).fill(0)], true],
      ["neither", new Array(12).fill(0), false],
      ["NEEDS_CSUM, offsets behind the packet", PARTIAL(60, 6), false],
      ["NEEDS_CSUM, offsets far away", PARTIAL(65535, 65535), false],
      ["NEEDS_CSUM, in the Ethernet header", PARTIAL(2, 2), false],
    ];
    for (const [what, header, taken] of cases) {
      const before = (await k.ledger()).dropped;
      assert(device.receive(arriving(nic, header, wrong)), what);
      const got = await socket.receive(taken ? 5000 : 50);
      assertEquals(got?.data, taken ? DATA : undefined, what);
      const after = (await k.ledger()).dropped;
      const bad = (d: typeof before): number => (d.checksum ?? 0) + (d.driver ?? 0);
      assertEquals(bad(after) - bad(before), taken ? 0 : 1, what);
    }
  }));

Deno.test("flags of checksums that were not negotiated: NEEDS_CSUM is refused, DATA_VALID means nothing", () =>
  withDevice([], 4, async ({ device, nic, socket }) => {
    for (const flags of [1, 2]) {
      assert(device.receive(arriving(nic, [flags, ...new Array(11).fill(0)], 0x1234)));
      assertEquals(await socket.receive(50), undefined, `flags ${flags}`);
    }
  }));

/** Two vnets, the second routes to a third; the first hop is virtio, the second has no offload. */
for (
  const [what, host] of [["both ends offload", {}], ["the device does not", {
    without: ["CSUM", "GUEST_CSUM"],
  }]] as const
) {
  Deno.test(`datagrams across virtio and on through an epair arrive, and every tap shows them right: ${what}`, () =>
    withKernel(async (k) => {
      const [a, b, c] = await Promise.all(["a", "b", "c"].map((n) => vnetCreate(k.vnet0, n))) as [
        Vnet,
        Vnet,
        Vnet,
      ];
      const [vhost] = await ifCloneCreate(b, "vhost", { cpu: 1, options: host as VhostOptions });
      await vhost.up();
      const device = await k.devices.plug({ bus: "virtio", device: 1, address: "0" }, {
        parent: vhost,
        vnet: a,
        cpu: 0,
      });
      const nic = device.ifnets[0]!;
      await nic.up();
      const [left, right] = await ifCloneCreate(b, "epair") as [Ifnet, Ifnet];
      const { ifnet: end } = await ifVmove(right, c);
      await left.up();
      await end.up();
      await inetAddress(nic, "10.0.0.1/24");
      await inetAddress(vhost, "10.0.0.2/24");
      await inetAddress(left, "10.0.1.2/24");
      await inetAddress(end, "10.0.1.3/24");
      inetRoute(a, "10.0.1.0/24", "10.0.0.2");
      inetRoute(c, "10.0.0.0/24", "10.0.1.2");
      inetForwarding(b, true);
      const wrong: string[] = [];
      let seen = 0;
      for (const i of [nic, vhost, left, end]) {
        i.tap({
          onPacket: ({ bytes, direction }) => {
            if (bytes[12] !== 8 || bytes[13] !== 0 || bytes[23] !== 17) return;
            seen++;
            if (sum(bytes, 4) !== 0xffff) wrong.push(`${direction} ${i.name}`);
          },
        });
      }
      const server = udpOpen(c, { port: 7 });
      const client = udpOpen(a, { connect: { address: "10.0.1.3", port: 7 } });
      for (let i = 0; i < 20; i++) {
        assertEquals(client.send(Uint8Array.of(i, 1, 2)), 0);
        const got = await server.receive(5000);
        assertEquals(got?.data, Uint8Array.of(i, 1, 2));
        server.send(Uint8Array.of(i, 3), { address: got!.address, port: got!.port });
        assertEquals((await client.receive(5000))?.data, Uint8Array.of(i, 3));
      }
      assert(await poll(() => seen >= 160, 5000), `${seen} seen`);
      assertEquals(wrong, []);
    }, 2));
}

/** An interface that completes nothing, and what its driver was given. */
async function wire(k: Kernel): Promise<{ i: Ifnet; sent: Uint8Array[] }> {
  await k.modules.load(new URL("../plugins/wire.ts", import.meta.url));
  const resource = { sent: [] as Uint8Array[], unplugged: () => {} };
  const [i] = (await k.devices.plug({ bus: "wire", address: "0" }, { resource })).ifnets;
  await i!.up();
  return { i: i!, sent: resource.sent };
}

Deno.test("a partial checksum of a program's own is completed where the interface does not", () =>
  withKernel(async (k) => {
    const { i, sent } = await wire(k);
    k.vnet0.section((s) => {
      const b = mAlloc(s, 1, 60);
      b.bytes(0).fill(0);
      b.bytes(0)[20] = 0x55;
      assertEquals(b.setCsum(0, partialCsum(59, 0)), false, "outside");
      assert(b.setCsum(0, partialCsum(20, 2)));
      ifOutput(s, ifunit(s, i.name)!, b);
    });
    assertEquals([...sent[0]!.subarray(20, 24)], [0x55, 0, 0xaa, 0xff]);
  }));

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: a socket's datagram is complete where the interface does not complete it`, () =>
    withKernel(async (k) => {
      const { i, sent } = await wire(k);
      await inetAddress(i, family === 4 ? "10.0.0.1/24" : "fd00::1/64", { dad: false });
      inetNeighbour(i, other(family), NEIGHBOUR);
      const socket = udpOpen(k.vnet0, { connect: { address: other(family), port: 9 } });
      assertEquals(socket.send(DATA), 0);
      const udp = sent.find((f) => f.length === UDP[family] + 8 + DATA.length)!;
      assertEquals(sum(udp, family), 0xffff);
      socket.close();
    }));
}

for (const forward of ["routed", "cross-connected"] as const) {
  Deno.test(`received partial, sent on complete: ${forward}`, () =>
    withDevice(["GUEST_CSUM"], 4, async ({ k, device, nic }) => {
      const { i, sent } = await wire(k);
      if (forward === "routed") {
        await inetAddress(i, "10.0.9.1/24");
        inetNeighbour(i, "10.0.9.9", NEIGHBOUR);
        inetForwarding(k.vnet0, true);
      } else await nic.set({ xconnect: i });
      const to = forward === "routed" ? [10, 0, 9, 9] : [10, 0, 0, 1];
      const pseudo = (0x0a00 + 2 + (to[0]! << 8 | to[1]!) + (to[2]! << 8 | to[3]!) + 17 + 13) & 0xffff;
      assert(device.receive(arriving(nic, PARTIAL(34, 6), pseudo, to)));
      assert(await poll(() => sent.some((f) => f[12] === 8 && f[13] === 0), 5000), "nothing sent on");
      assertEquals(sum(sent.find((f) => f[12] === 8 && f[13] === 0)!, 4), 0xffff);
    }));
}
