/** Cases of the IP stack: forwarding through a router vnet, and Linux at the other end of a TAP. @module */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import {
  boot,
  discard,
  ifCloneCreate,
  type Ifnet,
  ifVmove,
  type Kernel,
  pktgen,
  type Vnet,
  vnetCreate,
} from "../../mod.ts";
import { inetAddress, inetForwarding, ping } from "../../vnet/mod.ts";
import { checksum, put16 } from "../../vnet/inet/checksum.ts";
import { type Case, Skip } from "../harness.ts";
import { sendmmsg } from "../peers/process.ts";
import { checked, type Suite } from "../suite.ts";

const bytes = (i: Ifnet): number[] => i.toJSON().mac.split(":").map((x) => parseInt(x, 16));

/** A pair with one end in each vnet. */
async function link(a: Vnet, b: Vnet, name: string): Promise<[Ifnet, Ifnet]> {
  const [x, y] = await ifCloneCreate(a, "epair", { name }) as [Ifnet, Ifnet];
  const moved = (await ifVmove(y, b)).ifnet;
  await x.up();
  await moved.up();
  return [x, moved];
}

/** A frame of 64 bytes with a UDP datagram to 10.2.0.2. */
function datagram(from: Ifnet, to: Ifnet): Uint8Array {
  const f = new Uint8Array(64);
  f.set([...bytes(to), ...bytes(from), 8, 0]);
  f.set([0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2, 0, 9, 0, 9, 0, 30], 14);
  put16(f, 24, checksum(f, 14, 20));
  return f;
}

/** Epair, router vnet, epair, a vnet that throws away; every CPU sends. Per CPU. */
function forwarding(cpus: number): Case {
  return {
    group: "forwarding through a router vnet, 64 B, batch 32",
    name: `epair to epair, ${cpus} CPU${cpus > 1 ? "s" : ""}, per CPU`,
    unit: "Mpps",
    workers: cpus > 1,
    setup: async () => {
      const kernel = await boot({ cpus });
      await kernel.modules.load("softc:epair");
      const [a, r, b] = await Promise.all(["a", "r", "b"].map((n) => vnetCreate(kernel.vnet0, n)));
      const [a0, r0] = await link(a!, r!, "in");
      const [b0, r1] = await link(b!, r!, "out");
      for (const [i, cidr] of [[r0, "10.1.0.1/24"], [r1, "10.2.0.1/24"], [b0, "10.2.0.2/24"]] as const) {
        await inetAddress(i, cidr);
      }
      inetForwarding(r!, true);
      if ((await ping(r!, "10.2.0.2")).received !== 1) throw new Error("the way does not lead there");
      discard(b!);
      return {
        sample: async (ms) => {
          const stream = await pktgen({ vnet: a!, ifnet: a0, batch: 32, frame: datagram(a0, r0) });
          const before = b0.counters.ipackets;
          const start = performance.now();
          await new Promise((resolve) => setTimeout(resolve, ms));
          const mpps = (b0.counters.ipackets - before) / (performance.now() - start) / 1e3 / cpus;
          await stream.stop();
          return mpps;
        },
        teardown: () => checked(kernel),
      };
    },
  };
}

let count = 0;

/** Linux in a namespace of its own, 10.7.0.1; softc, 10.7.0.2. @throws {Skip} without root or the device */
async function tapped(): Promise<{ kernel: Kernel; tap: Ifnet; netns: string; end(): Promise<void> }> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Skip("needs root on Linux");
  if (!existsSync("/dev/net/tun")) throw new Skip("needs /dev/net/tun");
  const netns = `softc-bench-${process.pid}-${count++}`;
  const ip = (args: string): void => {
    const { status, error, stderr } = spawnSync("ip", args.split(" "), { encoding: "utf8" });
    if (status !== 0) throw new Skip(`needs iproute2 and namespaces: ${error?.message ?? stderr.trim()}`);
  };
  ip(`netns add ${netns}`);
  try {
    const kernel = await boot({ cpus: 1 });
    await kernel.modules.load("softc:tap");
    const [tap] = await ifCloneCreate(kernel.vnet0, "tap", { options: { device: "tap0", netns } });
    await tap.up();
    ip(`-n ${netns} addr add 10.7.0.1/24 dev tap0`);
    ip(`-n ${netns} link set tap0 up`);
    await inetAddress(tap, "10.7.0.2/24");
    const end = async (): Promise<void> => {
      await checked(kernel);
      ip(`netns del ${netns}`);
    };
    return { kernel, tap, netns, end };
  } catch (e) {
    spawnSync("ip", ["netns", "del", netns]);
    throw e;
  }
}

const tapCases: Case[] = [
  {
    group: "TAP, ping by Linux",
    name: "average",
    unit: "ms",
    setup: async () => {
      const { netns, end } = await tapped();
      return {
        sample: async (ms) => {
          const n = Math.max(20, Math.ceil(ms / 5));
          const child = spawn("ip", [
            ..."netns exec".split(" "),
            netns,
            ..."ping -q -i 0.005 -c".split(" "),
            `${n}`,
            "10.7.0.2",
          ]);
          let text = "";
          child.stdout.on("data", (d: Uint8Array) => text += new TextDecoder().decode(d));
          await new Promise((resolve) => child.on("close", resolve));
          return Number(/ = [\d.]+\/([\d.]+)\//.exec(text)?.[1]);
        },
        teardown: end,
      };
    },
  },
  {
    group: "TAP, read",
    name: "64 B, Linux sends with sendmmsg",
    unit: "ops/s",
    atLeast: 200,
    setup: async () => {
      const { tap, netns, end } = await tapped();
      const sender = await sendmmsg(netns, "tap0", 32, 64);
      return {
        sample: async (ms) => {
          const before = tap.counters.ipackets;
          const start = performance.now();
          await sender.sample(ms);
          return (tap.counters.ipackets - before) / (performance.now() - start) * 1e3;
        },
        teardown: async () => {
          await sender.teardown?.();
          await end();
        },
      };
    },
  },
];

/** The suite. */
export const suite: Suite = {
  cases: [forwarding(1), forwarding(2), ...tapCases],
  targets: [
    ...[1, 2].map((cpus) => ({
      name: "forwarding through a router vnet",
      group: "forwarding through a router vnet, 64 B, batch 32",
      case: `epair to epair, ${cpus} CPU${cpus > 1 ? "s" : ""}, per CPU`,
      sense: ">=" as const,
      hold: 1.5,
      aim: 3,
    })),
    {
      name: "ping through a TAP",
      group: "TAP, ping by Linux",
      case: "average",
      sense: "<=",
      hold: 0.3,
      aim: 0.15,
    },
    {
      name: "packets read from a TAP",
      group: "TAP, read",
      case: "64 B, Linux sends with sendmmsg",
      sense: ">=",
      hold: 150_000,
      aim: 230_000,
    },
  ],
};
