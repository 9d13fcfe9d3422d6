/** Cases of the data path of a whole kernel beside plain transmit: scale, switches, input, look-up. @module */
import { ifnetByHandle } from "../../core/net/section.ts";
import {
  boot,
  type BootOptions,
  discard,
  ifCloneCreate,
  type Ifnet,
  type Kernel,
  vnetCreate,
} from "../../mod.ts";
import { type Case, opsPerSecond } from "../harness.ts";
import { checked, frame, nsPerPacket, sender, sharedKernel, type Suite } from "../suite.ts";

/** One kernel with as many as the largest case needs; each case sends through the first `n` of them. */
function scaleCases(
  group: string,
  unit: string,
  sizes: number[],
  make: (k: Kernel, n: number) => Promise<Ifnet>,
): Case[] {
  const on = sharedKernel({ cpus: 1 }, async (kernel) => {
    await kernel.modules.load("softc:null");
    const made = await Promise.all(Array.from({ length: Math.max(...sizes) }, (_, n) => make(kernel, n)));
    await Promise.all(made.map((i) => i.up()));
    return made;
  });
  const name = (n: number): string => `${n} ${unit}${n > 1 ? "s" : ""}`;
  return sizes.map((n): Case => ({
    group,
    name: name(n),
    unit: "ns/packet",
    ...(n === sizes[0] ? {} : { against: name(sizes[0]!) }),
    setup: async () => {
      const [kernel, made] = await on.take();
      const send = sender(kernel, made.slice(0, n));
      return {
        sample: (ms) => nsPerPacket(ms, send, Math.max(1, 256 / n)),
        teardown: () => on.give(),
      };
    },
  }));
}

/** One interface, sent through from CPU 0; what differs is how the kernel is set up. */
function switchCase(
  group: string,
  name: string,
  options: BootOptions,
  tap: boolean,
): Case {
  return {
    group,
    name,
    unit: "Mpps",
    ...(tap ? { against: "no tap" } : {}),
    setup: async () => {
      const kernel = await boot({ cpus: 1, ...options });
      await kernel.modules.load("softc:null");
      const [i] = await ifCloneCreate(kernel.vnet0, "null");
      await i.up();
      if (tap) i.tap({ onPacket: () => {}, snap: 64 });
      const send = sender(kernel, [i]);
      return {
        sample: (ms) => 1e3 / nsPerPacket(ms, send, 64),
        teardown: () => checked(kernel),
      };
    },
  };
}

// The sanitizer watches the whole thread: a group of its own, or it would slow its neighbours.
const switchCases: Case[] = [
  switchCase("taps, 64 B, batch 32", "no tap", {}, false),
  switchCase(
    "taps, 64 B, batch 32",
    "a tap that keeps 64 bytes, its ring full",
    {},
    true,
  ),
  switchCase(
    "sanitizer, 64 B, batch 32",
    "debug: true",
    { debug: true },
    false,
  ),
];

/** The way in: to a service that throws away, or out again through another interface. */
function inputCase(
  group: string,
  name: string,
  make: (k: Kernel) => Promise<Ifnet>,
): Case {
  return {
    group,
    name,
    unit: "Mpps",
    setup: async () => {
      const kernel = await boot({ cpus: 1 });
      for (const m of ["loopback", "epair", "null"]) {
        await kernel.modules.load(`softc:${m}`);
      }
      const i = await make(kernel);
      const send = sender(kernel, [i], udp());
      return {
        sample: (ms) => 1e3 / nsPerPacket(ms, send, 64),
        teardown: () => checked(kernel),
      };
    },
  };
}

/** A frame of 64 bytes with a UDP packet whose checksums are right (RFC 768: 0 is none). */
function udp(): Uint8Array {
  const f = frame(64);
  f.set([
    8,
    0,
    0x45,
    0,
    0,
    50,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    0,
    0,
    1,
    10,
    0,
    0,
    2,
    0,
    9,
    0,
    9,
    0,
    30,
  ], 12);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += f[i]! << 8 | f[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  f.set([~sum >> 8 & 255, ~sum & 255], 24);
  return f;
}

async function up(i: Ifnet): Promise<Ifnet> {
  await i.up();
  return i;
}

const inputCases: Case[] = [
  inputCase("input, 64 B, batch 32", "loopback to discard", async (k) => {
    discard(k.vnet0);
    return await up((await ifCloneCreate(k.vnet0, "lo"))[0]);
  }),
  inputCase("input, 64 B, batch 32", "epair to discard", async (k) => {
    discard(k.vnet0);
    const [a, b] = await ifCloneCreate(k.vnet0, "epair");
    await up(b!);
    return await up(a);
  }),
  inputCase(
    "forwarding, 64 B, batch 32",
    "epair, cross-connect, null",
    async (k) => {
      const [a, b] = await ifCloneCreate(k.vnet0, "epair");
      const [out] = await ifCloneCreate(k.vnet0, "null");
      await up(out);
      await (await up(b!)).set({ xconnect: out });
      return await up(a);
    },
  ),
];

const lookupCase: Case = {
  group: "look-up",
  name: "by handle, in an open section",
  unit: "ns",
  setup: async () => {
    const kernel = await boot({ cpus: 1 });
    await kernel.modules.load("softc:null");
    const made = await Promise.all(
      Array.from({ length: 64 }, () => ifCloneCreate(kernel.vnet0, "null")),
    );
    const handles = made.map(([i]) => i.handle);
    let found = 0;
    return {
      sample: (ms) =>
        kernel.vnet0.section((s) =>
          1e9 / opsPerSecond(ms, 64 * 64, () => {
            for (
              let i = 0;
              i < 64 * 64;
              i++
            ) if (ifnetByHandle(s, handles[i & 63]!) !== undefined) found++;
          })
        ),
      teardown: () => {
        if (found === 0) throw new Error("nothing was found");
        return checked(kernel);
      },
    };
  },
};

const cases: Case[] = [
  ...scaleCases(
    "scale: a batch to each of many interfaces",
    "interface",
    [4, 256, 4096],
    async (k) => (await ifCloneCreate(k.vnet0, "null"))[0],
  ),
  ...scaleCases(
    "scale: a batch in each of many vnets",
    "vnet",
    [1, 64, 1024],
    async (k, n) => (await ifCloneCreate(await vnetCreate(k.vnet0, `v${n}`), "null"))[0],
  ),
  ...switchCases,
  ...inputCases,
  lookupCase,
];

/** The suite. */
export const suite: Suite = { cases };
