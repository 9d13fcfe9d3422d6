/** Cases of a whole kernel: transmit, vmove under load, create and destroy. @module */
import {
  boot,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifVmove,
  type Kernel,
  type Pktgen,
  pktgen,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { IF_COUNTERS, IFNET } from "../../core/memory/arena.ts";
import { ownKernel } from "../../kernel/api.ts";
import { yieldToLoop } from "../../kernel/yield.ts";
import type { Case } from "../harness.ts";
import { type PeerJob, testpmd, veth } from "../peers/process.ts";
import { checked, frame, peerCase, type Shared, sharedKernel, type Suite } from "../suite.ts";

const HOMED = new URL("../plugins/homed.ts", import.meta.url);

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Packets that left through an interface per second, in millions, over `ms` milliseconds. */
async function rate(i: Ifnet, ms: number): Promise<number> {
  const before = i.counters.opackets;
  const start = performance.now();
  await sleep(ms);
  return (i.counters.opackets - before) / (performance.now() - start) / 1e3;
}

/** A kernel of so many CPUs with one interface that is up: on every CPU, or on CPU 1 behind rings. */
function oneInterface(cpus: number, ring: boolean): Shared<[Kernel, Ifnet]> {
  return sharedKernel({ cpus }, async (kernel) => {
    await kernel.modules.load(ring ? HOMED : "softc:null");
    const [i] = await ifCloneCreate(kernel.vnet0, ring ? "homed" : "null", ring ? { cpu: 1 } : {});
    await i.up();
    return i;
  });
}

/** A stream that runs only while it is sampled, so that cases of one group do not disturb each other. */
function transmitCase(
  o: {
    group: string;
    name: string;
    on: Shared<[Kernel, Ifnet]>;
    /** CPUs that send. */
    senders: readonly number[];
    batch: number;
    bytes: number;
    workers: boolean;
    against?: string;
  },
): Case {
  return {
    group: o.group,
    name: o.name,
    unit: "Mpps",
    ...(o.against === undefined ? {} : { against: o.against }),
    workers: o.workers,
    setup: async () => {
      const [kernel, i] = await o.on.take();
      return {
        sample: async (ms) => {
          const stream = await pktgen({
            vnet: kernel.vnet0,
            ifnet: i,
            cpus: o.senders,
            batch: o.batch,
            frame: frame(o.bytes),
          });
          const mpps = await rate(i, ms);
          await stream.stop();
          return mpps;
        },
        teardown: () => o.on.give(),
      };
    },
  };
}

/** The peers of one transmit group. */
function transmitPeers(
  group: string,
  batch: number,
  bytes: number,
  ring: boolean,
): Case[] {
  const job = (name: string): PeerJob => ({
    program: "transmit",
    name,
    batch,
    bytes,
  });
  if (ring) {
    return [
      peerCase(group, `batch ${batch}, the same in C`, "Mpps", job("handoff")),
    ];
  }
  return [
    peerCase(group, `batch ${batch}, the same in C`, "Mpps", job("rtc")),
    {
      group,
      name: `batch ${batch}, testpmd txonly on net_null`,
      unit: "Mpps",
      setup: () => testpmd(batch, bytes),
    },
    {
      group,
      name: `batch ${batch}, veth + sendmmsg`,
      unit: "Mpps",
      setup: () => veth(batch, bytes),
    },
  ];
}

const BATCHES = [1, 8, 32, 64];

const transmitCases: Case[] = [64, 1500].flatMap((bytes) => {
  const rtc = `transmit run to completion, ${bytes} B`, ring = `transmit through a ring, ${bytes} B`;
  const here = oneInterface(1, false), there = oneInterface(2, true);
  const shared = { senders: [0], bytes };
  return [
    ...transmitPeers(rtc, 32, bytes, false),
    ...BATCHES.map((batch) =>
      transmitCase({
        ...shared,
        group: rtc,
        name: `batch ${batch}, one CPU`,
        on: here,
        batch,
        workers: false,
      })
    ),
    ...transmitPeers(ring, 32, bytes, true),
    ...BATCHES.map((batch) =>
      transmitCase({
        ...shared,
        group: ring,
        name: `batch ${batch}, CPU 0 to CPU 1`,
        on: there,
        batch,
        workers: true,
      })
    ),
  ];
});

const both = oneInterface(2, false);
const scaleCases: Case[] = [[0], [0, 1]].map((senders) =>
  transmitCase({
    group: "scale",
    name: `${senders.length} CPU${senders.length > 1 ? "s" : ""}, batch 32, 64 B`,
    on: both,
    senders,
    batch: 32,
    bytes: 64,
    workers: true,
    ...(senders.length > 1 ? { against: "1 CPU, batch 32, 64 B" } : {}),
  })
);

/** An interface to be moved between two vnets. */
const moving = sharedKernel({ cpus: 2 }, async (kernel) => {
  await kernel.modules.load("softc:null");
  const vnets = [await vnetCreate(kernel.vnet0, "a"), await vnetCreate(kernel.vnet0, "b")] as const;
  const [i] = await ifCloneCreate(vnets[0], "null");
  await i.up();
  return { vnets, i, turn: 0 };
});

/** Moves per second, and the blackout's percentile, with both CPUs sending from both vnets. */
function vmoveCase(
  name: string,
  unit: string,
  value: (blackouts: number[], seconds: number) => number,
): Case {
  return {
    group: "vmove under load, 2 CPUs",
    name,
    unit,
    workers: true,
    atLeast: 50,
    setup: async () => {
      const [, moved] = await moving.take();
      const start = (): Promise<Pktgen[]> =>
        Promise.all(
          moved.vnets.map((vnet) => pktgen({ vnet, ifnet: moved.i, frame: frame(64) })),
        );
      return {
        sample: async (ms) => {
          const streams = await start();
          const blackouts: number[] = [];
          const begin = performance.now();
          while (performance.now() - begin < ms) {
            const r = await ifVmove(moved.i, moved.vnets[++moved.turn & 1]!);
            moved.i = r.ifnet;
            blackouts.push(r.blackoutNs / 1e3);
            await yieldToLoop();
          }
          const seconds = (performance.now() - begin) / 1e3;
          for (const s of streams) await s.stop();
          return value(blackouts.sort((x, y) => x - y), seconds);
        },
        teardown: () => moving.give(),
      };
    },
  };
}

const median = (values: number[]): number => percentile(values.sort((x, y) => x - y), 0.5);

const percentile = (sorted: number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!;

/** Milliseconds until what an interface's life runs through is compiled. */
const WARM = 1500;

/** Interfaces created and destroyed per second: one after the other, and 64 at once. */
function lifeCases(cpus: number): Case[] {
  const on = sharedKernel({ cpus }, (kernel) => kernel.modules.load("softc:null"));
  return [1, 64].map((parallel): Case => ({
    group: `create + destroy, ${cpus} CPU${cpus > 1 ? "s" : ""}`,
    name: parallel === 1 ? "one after the other" : `${parallel} at once`,
    unit: "ifnets/s",
    workers: cpus > 1,
    atLeast: 100,
    setup: async () => {
      const [kernel] = await on.take();
      const sample = async (ms: number): Promise<number> => {
        const start = performance.now();
        let n = 0;
        while (performance.now() - start < ms) {
          const made = await Promise.all(
            Array.from({ length: parallel }, () => ifCloneCreate(kernel.vnet0, "null")),
          );
          await Promise.all(made.map(([i]) => ifCloneDestroy(i)));
          n += parallel;
        }
        return n / (performance.now() - start) * 1e3;
      };
      // So much code runs once per interface that it takes a while until all of it is compiled.
      await sample(WARM);
      return { sample, teardown: () => on.give() };
    },
  }));
}

/** 512 epairs that go with their vnet. */
function massCase(
  name: string,
  unit: string,
  value: (ms: number, graces: number) => number,
): Case {
  return {
    group: "512 epairs destroyed with their vnet, 2 CPUs",
    name,
    unit,
    workers: true,
    setup: async () => {
      const kernel = await boot({ cpus: 2 });
      await kernel.modules.load("softc:epair");
      return {
        sample: async () => {
          const v = await vnetCreate(kernel.vnet0, "mass");
          await Promise.all(
            Array.from({ length: 512 }, () => ifCloneCreate(v, "epair")),
          );
          const graces = kernel.gracePeriods;
          const start = performance.now();
          await vnetDestroy(v);
          return value(performance.now() - start, kernel.gracePeriods - graces);
        },
        teardown: () => checked(kernel),
      };
    },
  };
}

/** What a vnet with a loopback costs, mean over 1,024: arena and heap. */
const vnetCost: Case = {
  group: "memory",
  name: "a vnet with a loopback, mean over 1,024",
  unit: "KiB",
  setup: async () => {
    const kernel = await boot({ cpus: 2 });
    await kernel.modules.load("softc:loopback");
    let round = 0;
    return {
      sample: async () => {
        const N = 1024;
        const gc = (globalThis as { gc?: () => void }).gc;
        gc?.();
        const before = Deno.memoryUsage().heapUsed + kernel.inspect().arenaUsed;
        round++;
        const vnets = await Promise.all(
          Array.from(
            { length: N },
            (_, i) => vnetCreate(kernel.vnet0, `v${round}-${i}`),
          ),
        );
        await Promise.all(vnets.map((v) => ifCloneCreate(v, "lo")));
        gc?.();
        const after = Deno.memoryUsage().heapUsed + kernel.inspect().arenaUsed;
        await Promise.all(vnets.map((v) => vnetDestroy(v)));
        return (after - before) / N / 1024;
      },
      teardown: () => checked(kernel),
    };
  },
};

/** Vnets made and destroyed, one after the other. */
const vnetLife: Case = {
  group: "vnet",
  name: "create + destroy an empty vnet",
  unit: "us",
  setup: async () => {
    const kernel = await boot({ cpus: 1 });
    return {
      sample: async (ms) => {
        const start = performance.now();
        let n = 0;
        while (performance.now() - start < ms) {
          await vnetDestroy(await vnetCreate(kernel.vnet0, "x"));
          n++;
        }
        return (performance.now() - start) * 1e3 / n;
      },
      teardown: () => checked(kernel),
    };
  },
};

const reading = oneInterface(2, false);

/**
 * The median time of a grace period, one after the other with 20 us in between, while CPU 1 sends batches. Those of
 * one packet make sections of about 100 ns, nearest to the 32 loads of the C peer's reader (25 ns).
 */
function graceCase(batch: number): Case {
  return {
    group: "grace period, one busy reader",
    name: `p50, sections of ${batch} packet${batch > 1 ? "s" : ""}`,
    unit: "us",
    against: "ck_epoch_synchronize, p50",
    workers: true,
    setup: async () => {
      const [kernel, i] = await reading.take();
      const { grace } = ownKernel(kernel).control;
      return {
        sample: async (ms) => {
          const busy = await pktgen({
            vnet: kernel.vnet0,
            ifnet: i,
            cpus: [1],
            frame: frame(64),
            batch,
          });
          const took: number[] = [], empty: number[] = [];
          for (const until = performance.now() + ms; performance.now() < until;) {
            const begin = performance.now(), start = performance.now();
            await grace.wait();
            const end = performance.now();
            took.push((end - start) * 1e3);
            empty.push((start - begin) * 1e3);
            while (performance.now() < end + 0.02);
          }
          await busy.stop();
          // Less what a look at the clock takes, as the peer does: 0.1 us here.
          return median(took) - median(empty);
        },
        teardown: () => reading.give(),
      };
    },
  };
}

const PLUGGED = new URL("../plugins/plugged.ts", import.meta.url);

/** From unplug to the softc's end, with CPU 1 sending through the interface. */
const unplugCase: Case = {
  group: "unplug",
  name: "to softc destroyed, one CPU sending",
  unit: "us",
  workers: true,
  setup: async () => {
    const kernel = await boot({ cpus: 2 });
    await kernel.modules.load(PLUGGED);
    return {
      sample: async (ms) => {
        let sum = 0, n = 0;
        for (
          const until = performance.now() + ms;
          performance.now() < until;
          n++
        ) {
          const d = await kernel.devices.plug({ bus: "bench", address: "0" });
          const [i] = d.ifnets;
          await i!.up();
          const stream = await pktgen({
            vnet: kernel.vnet0,
            ifnet: i!,
            cpus: [1],
            frame: frame(64),
          });
          const start = performance.now();
          await kernel.devices.unplug(d);
          sum += performance.now() - start;
          await stream.stop();
        }
        return sum / n * 1e3;
      },
      teardown: () => checked(kernel),
    };
  },
};

/** What an interface costs, mean over 4,096: arena and heap. */
const ifnetCost: Case = {
  group: "memory",
  name: "an interface of null, mean over 4,096",
  unit: "KiB",
  setup: async () => {
    const kernel = await boot({ cpus: 2 });
    await kernel.modules.load("softc:null");
    const gc = (globalThis as { gc?: () => void }).gc;
    const used = (): number => {
      gc?.();
      return Deno.memoryUsage().heapUsed + kernel.inspect().arenaUsed;
    };
    return {
      sample: async () => {
        const before = used();
        const made = await Promise.all(
          Array.from(
            { length: 4096 },
            () => ifCloneCreate(kernel.vnet0, "null"),
          ),
        );
        const after = used();
        await Promise.all(made.map(([i]) => ifCloneDestroy(i)));
        return (after - before) / 4096 / 1024;
      },
      teardown: () => checked(kernel),
    };
  },
};

/** Arena words that every slot has, used or not: table, counters on each CPU. */
const slotCost: Case = {
  group: "memory",
  name: "arena of a free interface slot, 2 CPUs",
  unit: "B",
  setup: () => ({ sample: () => 4 * IFNET.WORDS + 2 * 8 * IF_COUNTERS }),
};

const cases: Case[] = [
  ...transmitCases,
  ...scaleCases,
  peerCase("grace period, one busy reader", "ck_epoch_synchronize, p50", "us", {
    program: "epoch",
    name: "ck_grace",
  }),
  graceCase(1),
  graceCase(32),
  vmoveCase("moves", "moves/s", (b, s) => b.length / s),
  vmoveCase("blackout p50", "us", (b) => percentile(b, 0.5)),
  vmoveCase("blackout p99", "us", (b) => percentile(b, 0.99)),
  ...[1, 2].flatMap(lifeCases),
  massCase("time", "ms", (ms) => ms),
  massCase("grace periods", "periods", (_, graces) => graces),
  vnetLife,
  unplugCase,
  slotCost,
  ifnetCost,
  vnetCost,
];

/** The suite. */
export const suite: Suite = { cases };
