/** Cases of the lower floors: epoch section, ring, mbuf pool. One thread, no kernel. @module */
import { BORN, Counters, DROP } from "../../core/memory/counters.ts";
import { Arena, CPU, IFNET, ringWords } from "../../core/memory/arena.ts";
import { load } from "../../core/doors/arena.ts";
import { Epoch } from "../../core/epoch/epoch.ts";
import { Pool, poolInit } from "../../core/memory/mbuf.ts";
import { ringInit, ringPeek, ringPush, ringReady, ringRelease } from "../../core/memory/ring.ts";
import { type Case, nsPerOp, opsPerSecond } from "../harness.ts";

const arena = (): Arena =>
  Arena.create({ bytes: 8 << 20, cpus: 1, ifnets: 64, vnets: 64, mbufs: 1024, debug: false });
const LOOPS = 1000;
const SIZE = 1024;

function epochCase(perSection: number): Case {
  return {
    group: "epoch",
    name: perSection === 1 ? "enter + look-up + exit" : `the same around ${perSection}, per item`,
    unit: "ns",
    setup: () => {
      const x = arena();
      const epoch = new Epoch(x, 0);
      const word = x.ifnetAt(1) + IFNET.gencnt;
      let sum = 0;
      return {
        sample: (ms) =>
          nsPerOp(ms, LOOPS * perSection, () => {
            for (let i = 0; i < LOOPS; i++) {
              epoch.enter();
              for (let k = 0; k < perSection; k++) sum += k === 0 ? load(x.a, word) : x.a[word + (k & 7)]!;
              epoch.exit();
            }
          }),
        teardown: () => {
          if (sum === -1 || x.a[CPU.record] === -1) throw new Error("unreachable: keeps the loop alive");
        },
      };
    },
  };
}

function ringCase(batch: number): Case {
  return {
    group: "ring",
    name: `push + pop on one CPU, batch ${batch}`,
    unit: "M items/s",
    setup: () => {
      const x = arena();
      const r = x.plan.heap;
      if (ringWords(SIZE) > x.plan.data - r) throw new Error("the arena is too small");
      ringInit(x.a, r, SIZE);
      const ids = new Int32Array(batch).map((_, i) => i);
      const stamps = new Int32Array(batch);
      return {
        sample: (ms) =>
          opsPerSecond(ms, LOOPS * batch, () => {
            for (let i = 0; i < LOOPS; i++) {
              ringPush(x.a, r, ids, 0, batch, 1);
              const n = Math.min(batch, ringReady(x.a, r, batch));
              ringPeek(x.a, r, ids, stamps, n);
              ringRelease(x.a, r, n);
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
      poolInit(x);
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

/** The cases. */
export const memoryCases: Case[] = [
  epochCase(1),
  epochCase(32),
  ...[1, 8, 32, 64].map(ringCase),
  ...[1, 8, 32, 64].map(poolCase),
];
