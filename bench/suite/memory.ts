/** Cases of the lower floors: epoch section, ring, mbuf pool. One thread, no kernel. @module */
import { BORN, Counters, DROP } from "../../core/memory/counters.ts";
import { Arena, IFNET, ringWords } from "../../core/memory/arena.ts";
import { load } from "../../core/doors/arena.ts";
import { Epoch } from "../../core/epoch/epoch.ts";
import { Pool, poolInit } from "../../core/memory/mbuf.ts";
import { ringInit, ringPeek, ringPush, ringReady, ringRelease, ringRoom } from "../../core/memory/ring.ts";
import { arenaChecksum, checksum } from "../../vnet/inet/checksum.ts";
import { type Case, nsPerOp, opsPerSecond } from "../harness.ts";
import { asyncQueue, channel, ring, transformStream } from "../peers/queues.ts";
import { peerCase, type Suite } from "../suite.ts";

let only: Arena | undefined;

/** One arena for every case of a thread, as a program has one. */
function arena(): Arena {
  if (only === undefined) {
    only = Arena.create({ bytes: 16 << 20, cpus: 1, ifnets: 64, vnets: 64, mbufs: 4096, debug: false });
    poolInit(only);
  }
  return only;
}

const LOOPS = 1000;
const SIZE = 1024;

/** A section around `loads` loads; the first one atomic when it is a look-up. */
function epochCase(name: string, loads: number, lookup: boolean, against: string): Case {
  return {
    group: "epoch",
    name,
    unit: "ns",
    against,
    setup: () => {
      const x = arena();
      const { a, wasm } = x;
      const epoch = new Epoch(x, 0);
      const word = x.ifnetAt(1) + IFNET.gencnt;
      // Like the C peer: added up in a local, kept at the end.
      const kept = new Int32Array(1);
      const pairs = (): void => {
        let sum = 0;
        for (let i = 0; i < LOOPS; i++) {
          epoch.enter();
          for (let k = 0; k < loads; k++) sum = (sum + a[word + k]!) | 0;
          epoch.exit();
        }
        kept[0] = sum;
      };
      const lookups = (): void => {
        let sum = 0;
        for (let i = 0; i < LOOPS; i++) {
          epoch.enter();
          sum = (sum + load(a, word, wasm)) | 0;
          epoch.exit();
        }
        kept[0] = sum;
      };
      return { sample: (ms) => nsPerOp(ms, LOOPS * loads, lookup ? lookups : pairs) };
    },
  };
}

const epochCases: Case[] = [
  peerCase("epoch", "ck_epoch begin + load + end", "ns", {
    program: "epoch",
    name: "ck_pair",
  }),
  peerCase("epoch", "ck_epoch around 32 packets, per packet", "ns", {
    program: "epoch",
    name: "ck_around",
  }),
  peerCase("epoch", "liburcu lock + load + unlock", "ns", {
    program: "epoch",
    name: "urcu_pair",
  }),
  epochCase("enter + load + exit", 1, false, "ck_epoch begin + load + end"),
  epochCase("enter + look-up + exit", 1, true, "ck_epoch begin + load + end"),
  epochCase(
    "around 32 packets, per packet",
    32,
    false,
    "ck_epoch around 32 packets, per packet",
  ),
];

/** Rings and queues from one thread to another. */
function queueCases(batch: number): Case[] {
  const group = `queue between two threads, batch ${batch}`;
  const unit = "M items/s";
  const js = (name: string, setup: Case["setup"], workers = true): Case => ({
    group,
    name,
    unit,
    workers,
    against: "DPDK rte_ring SP/SC",
    setup,
  });
  return [
    peerCase(group, "DPDK rte_ring SP/SC", unit, {
      program: "ring",
      name: "rte_spsc",
      batch,
    }),
    peerCase(group, "DPDK rte_ring MP/SC", unit, {
      program: "ring",
      name: "rte_mpsc",
      batch,
    }),
    peerCase(group, "the same algorithm in C", unit, {
      program: "ring",
      name: "c_spsc",
      batch,
    }),
    js("ring", () => ring("softc", batch, 2)),
    js("ringbuf.js, 8-byte entries", () => ring("ringbuf.js", batch, 2)),
    js("ringbuf.js, 4-byte entries", () => ring("ringbuf.js", batch, 1)),
    js("MessageChannel", () => channel(batch)),
    js("TransformStream (one thread)", () => transformStream(batch), false),
    js("async-iterator queue (one thread)", () => asyncQueue(batch), false),
  ];
}

function ringCase(batch: number): Case {
  return {
    group: "ring",
    name: `push + pop on one CPU, batch ${batch}`,
    unit: "M items/s",
    setup: () => {
      const x = arena();
      const r = x.plan.heap;
      if (ringWords(SIZE) > x.plan.data - r) {
        throw new Error("the arena is too small");
      }
      ringInit(x.a, r, SIZE);
      const ids = new Int32Array(batch).map((_, i) => i);
      return {
        sample: (ms) =>
          opsPerSecond(ms, LOOPS * batch, () => {
            for (let i = 0; i < LOOPS; i++) {
              const m = Math.min(batch, ringRoom(x.a, r, batch, x.wasm));
              ringPush(x.a, r, ids, 0, m, 1, x.wasm);
              const ready = Math.min(batch, ringReady(x.a, r, batch, x.wasm));
              ringRelease(x.a, r, ringPeek(x.a, r, ids, ready), x.wasm);
            }
          }) / 1e6,
      };
    },
  };
}

function poolCase(batch: number): Case {
  return {
    group: "pool",
    name: `alloc + free, batch ${batch}`,
    unit: "M mbufs/s",
    setup: () => {
      const x = arena();
      const pool = new Pool(x, 0, new Counters(x, 0), undefined);
      const ids = new Int32Array(batch);
      return {
        sample: (ms) =>
          opsPerSecond(ms, LOOPS * batch, () => {
            for (let i = 0; i < LOOPS; i++) {
              const n = pool.alloc(ids, 0, batch, BORN.stack, 64);
              pool.end(ids, 0, n, DROP.driver, "freeAll");
            }
          }) / 1e6,
      };
    },
  };
}

type Sum = (x: Arena, at: number, bytes: number) => number;

const SUMS: readonly [string, Sum][] = [
  ["TypeScript", (x, at, bytes) => checksum(x.u8, at, bytes)],
  ["WebAssembly", arenaChecksum],
];

function checksumCase(bytes: number, name: string, sum: Sum): Case {
  return {
    group: `checksum (RFC 1071), ${bytes} B`,
    name,
    unit: "ns",
    ...(name === SUMS[0]![0] ? {} : { against: SUMS[0]![0] }),
    setup: () => {
      const x = arena();
      const kept = new Int32Array(1);
      return {
        sample: (ms) =>
          nsPerOp(ms, LOOPS, () => {
            for (let i = 0; i < LOOPS; i++) kept[0]! ^= sum(x, x.plan.data * 4 + ((i & 63) << 11), bytes);
          }),
      };
    },
  };
}

const cases: Case[] = [
  ...epochCases,
  ...[1, 32].flatMap(queueCases),
  ...[1, 8, 32, 64].map(ringCase),
  ...[1, 8, 32, 64].map(poolCase),
  ...[64, 1500].flatMap((bytes) => SUMS.map(([name, sum]) => checksumCase(bytes, name, sum))),
];

/** The suite. */
export const suite: Suite = { cases };
