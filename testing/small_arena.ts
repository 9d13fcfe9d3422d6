/** How large the arena of a scenario is. @module */
import {
  type ArenaConfig,
  ASYNC,
  CLUSTER,
  CPU,
  CPU_COUNTERS,
  HEADER,
  IF_COUNTERS,
  IFNET,
  INPUT_RING,
  LINE,
  MAGAZINE,
  MAGAZINE_WORDS,
  MAILBOX,
  MBUF,
  ringWords,
  VNET,
} from "../core/memory/arena.ts";
import type { ScenarioArena } from "./scenario.ts";

/** An arena just large enough. */
export function smallConfig(threads: number, o: ScenarioArena): ArenaConfig {
  const cpus = o.cpus ?? threads;
  const ifnets = o.ifnets ?? 4;
  const mbufs = o.mbufs ?? 64;
  const vnets = 8;
  const words = HEADER.WORDS + cpus * CPU.WORDS + ASYNC.RECORDS * ASYNC.WORDS + cpus * 2 * MAILBOX.WORDS +
    cpus * cpus * ringWords(INPUT_RING) + vnets * VNET.WORDS + ifnets * IFNET.WORDS +
    cpus * ifnets * IF_COUNTERS * 2 + cpus * CPU_COUNTERS * 2 + 2 * LINE +
    (mbufs / MAGAZINE + 16 * cpus) * MAGAZINE_WORDS + mbufs * MBUF.WORDS + Math.max(4096, o.heap ?? 0) + 1024;
  // The shadow is a sixteenth of what lies before the clusters.
  const bytes = Math.ceil((words * 1.15 * 4 + mbufs * (CLUSTER + 4)) / 65536) * 65536;
  return { bytes, cpus, ifnets, vnets, mbufs, debug: o.debug ?? true };
}
