/**
 * What the guarantees cost: the transmit path run to completion, bare, and then with each of them added.
 *
 * Bare: ids from a cache, the frame copied in, the driver called, the ids back into the cache.
 *
 * @module
 */
import { load } from "../../core/doors/arena.ts";
import { Epoch } from "../../core/epoch/epoch.ts";
import { Arena, CLUSTER, HEADROOM, IFNET, MBUF } from "../../core/memory/arena.ts";
import { BORN, Counters, DROP, ENDED, IFC } from "../../core/memory/counters.ts";
import { Pool, poolInit } from "../../core/memory/mbuf.ts";
import { type Case, opsPerSecond } from "../harness.ts";
import type { Suite } from "../suite.ts";

const BATCH = 32;
const LOOPS = 500;
const WORDS = 16;

/** What is added to the bare path. */
interface Added {
  readonly epoch?: boolean;
  readonly gencnt?: boolean;
  readonly ledger?: boolean;
  readonly owners?: boolean;
}

let only: Arena | undefined;

/** One arena for every case, as a program has one. */
function create(): Arena {
  const arena = Arena.create({ bytes: 8 << 20, cpus: 1, ifnets: 64, vnets: 8, mbufs: 1024, debug: false });
  poolInit(arena);
  return arena;
}

/** One send of a batch. The flags are constant in a case; the loops over packets have none. */
function sender(added: Added): () => void {
  const arena = only ??= create();
  const { a, f, plan, wasm } = arena;
  const epoch = new Epoch(arena, 0);
  const counters = new Counters(arena, 0);
  const pool = new Pool(arena, 0, counters, undefined);
  const ids = new Int32Array(256);
  const cache = new Int32Array(512).map((_, i) => i);
  let cached = cache.length;
  const frame = new Int32Array(WORDS).map((_, i) => i);
  const gencnt = arena.ifnetAt(3) + IFNET.gencnt;
  const c = arena.ifCountersAt(0, 3);
  const driver = { seen: 0 };
  const transmit = (n: number): void => {
    driver.seen += n;
    if (added.owners === true) pool.end(ids, 0, n, ENDED.wire, "freeAll");
    else for (let i = 0; i < n; i++) cache[cached++] = ids[i]!;
  };
  const take = (): void => {
    for (let i = 0; i < BATCH; i++) {
      const id = ids[i] = cache[--cached]!;
      const h = plan.mbuf + id * MBUF.WORDS;
      a[h + MBUF.len] = WORDS * 4;
      a[h + MBUF.off] = HEADROOM;
    }
  };
  return () => {
    if (added.epoch === true) epoch.enter();
    if (added.gencnt !== true || (load(a, gencnt, wasm) & 1) === 0) {
      if (added.owners === true) {
        pool.alloc(ids, 0, BATCH, BORN.stack, WORDS * 4);
      } else take();
      for (let i = 0; i < BATCH; i++) {
        const w = plan.data + ids[i]! * (CLUSTER / 4) +
          (a[plan.mbuf + ids[i]! * MBUF.WORDS + MBUF.off]! >> 2);
        for (let k = 0; k < WORDS; k++) a[w + k] = frame[k]!;
      }
      if (added.ledger === true) {
        counters.count(BORN.copy, BATCH);
        let bytes = 0;
        for (let i = 0; i < BATCH; i++) {
          bytes += a[plan.mbuf + ids[i]! * MBUF.WORDS + MBUF.len]!;
        }
        f[c + IFC.opackets]! += BATCH;
        f[c + IFC.obytes]! += bytes;
        counters.count(DROP.driver, BATCH);
      }
      transmit(BATCH);
    }
    if (added.epoch === true) epoch.exit();
  };
}

function bareCase(name: string, added: Added): Case {
  return {
    group: "what the guarantees cost, 64 B, batch 32",
    name,
    unit: "Mpps",
    ...(name === "bare" ? {} : { against: "bare" }),
    setup: () => {
      const send = sender(added);
      return {
        sample: (ms) =>
          opsPerSecond(ms, LOOPS * BATCH, () => {
            for (let i = 0; i < LOOPS; i++) send();
          }) / 1e6,
      };
    },
  };
}

const cases: Case[] = [
  bareCase("bare", {}),
  bareCase("with the epoch", { epoch: true }),
  bareCase("with gencnt", { gencnt: true }),
  bareCase("with the ledger", { ledger: true }),
  bareCase("with owner words and life counts", { owners: true }),
  bareCase("with all of them", {
    epoch: true,
    gencnt: true,
    ledger: true,
    owners: true,
  }),
];

/** The suite. */
export const suite: Suite = { cases };
