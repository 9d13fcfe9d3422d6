/**
 * The ratios that a run is judged by: softc against what one would use in its place.
 *
 * @module
 */
import { measured, number, type Result, timesAsGood } from "./harness.ts";

/** One ratio, or one value where `against` is missing. */
export interface Target {
  readonly name: string;
  readonly group: string;
  readonly case: string;
  /** Case of the same group. */
  readonly against?: string;
  /** ">=": the more the better, a multiple of the peer's speed. "<=": the less the better, a multiple of its cost. */
  readonly sense: ">=" | "<=";
  readonly hold?: number;
  readonly aim: number;
}

/** A target as a run met it. */
export interface Ratio {
  readonly name: string;
  readonly against: string;
  /** Null when one of the two was not measured. */
  readonly value: number | null;
  readonly unit: string;
  readonly sense: ">=" | "<=";
  readonly hold: number | null;
  readonly aim: number;
  /** Whether it holds; null when unknown or only reported. */
  readonly ok: boolean | null;
  readonly reached: boolean | null;
  /** Its threads, or the peer's, had to wait for a CPU in nearly every sample: do not trust it. */
  readonly noisy: boolean;
  readonly why?: string;
}

const RTC = "transmit run to completion, 64 B";
const HAND_OFF = "transmit through a ring, 64 B";
const queue = (batch: number): string => `queue between two threads, batch ${batch}`;

/** Those that the project promises; a suite may add its own. */
export const TARGETS: readonly Target[] = [
  ...([
    ["testpmd txonly on net_null", 0.5, 1],
    ["the same in C", undefined, 0.4],
    ["veth + sendmmsg", 10, 25],
  ] as const).map(([peer, hold, aim]): Target => ({
    name: "transmit run to completion, 64 B, batch 32",
    group: RTC,
    case: "batch 32, one CPU",
    against: `batch 32, ${peer}`,
    sense: ">=",
    ...(hold === undefined ? {} : { hold }),
    aim,
  })),
  {
    name: "transmit through a ring to another CPU, 64 B, batch 32",
    group: HAND_OFF,
    case: "batch 32, CPU 0 to CPU 1",
    against: "batch 32, the same in C",
    sense: ">=",
    hold: 0.45,
    aim: 0.7,
  },
  ...([
    [32, "DPDK rte_ring SP/SC", 0.5, 0.8],
    [32, "ringbuf.js, 8-byte entries", 1.5, 2],
    [1, "ringbuf.js, 8-byte entries", 1.5, 4],
    [32, "ringbuf.js, 4-byte entries", undefined, 1.5],
    [1, "ringbuf.js, 4-byte entries", undefined, 1.5],
    [32, "MessageChannel", 15, 30],
    [1, "MessageChannel", 10, 20],
  ] as const).map(([batch, against, hold, aim]): Target => ({
    name: `ring between two CPUs, batch ${batch}`,
    group: queue(batch),
    case: "ring",
    against,
    sense: ">=",
    ...(hold === undefined ? {} : { hold }),
    aim,
  })),
  {
    name: "epoch enter + exit",
    group: "epoch",
    case: "enter + load + exit",
    against: "ck_epoch begin + load + end",
    sense: "<=",
    hold: 3,
    aim: 1.5,
  },
  {
    name: "epoch around 32 packets",
    group: "epoch",
    case: "around 32 packets, per packet",
    against: "ck_epoch around 32 packets, per packet",
    sense: "<=",
    hold: 1.6,
    aim: 1.2,
  },
  {
    name: "grace period p50, one busy reader",
    group: "grace period, one busy reader",
    case: "p50, sections of 1 packet",
    against: "ck_epoch_synchronize, p50",
    sense: "<=",
    hold: 2,
    aim: 0.8,
  },
  {
    name: "attach + detach of an interface",
    group: "create + destroy, 1 CPU",
    case: "64 at once",
    sense: ">=",
    hold: 50_000,
    aim: 150_000,
  },
  {
    name: "attach + detach of an interface",
    group: "create + destroy, 2 CPUs",
    case: "64 at once",
    sense: ">=",
    hold: 50_000,
    aim: 150_000,
  },
  {
    name: "vnet create + destroy",
    group: "vnet",
    case: "create + destroy an empty vnet",
    sense: "<=",
    hold: 100,
    aim: 30,
  },
  {
    name: "512 epairs destroyed with their vnet",
    group: "512 epairs destroyed with their vnet, 2 CPUs",
    case: "time",
    sense: "<=",
    hold: 50,
    aim: 10,
  },
  {
    name: "512 epairs destroyed with their vnet",
    group: "512 epairs destroyed with their vnet, 2 CPUs",
    case: "grace periods",
    sense: "<=",
    hold: 2,
    aim: 2,
  },
  {
    name: "vmove under full load",
    group: "vmove under load, 2 CPUs",
    case: "blackout p99",
    sense: "<=",
    hold: 1000,
    aim: 50,
  },
  {
    name: "two CPUs, run to completion",
    group: "scale",
    case: "2 CPUs, batch 32, 64 B",
    against: "1 CPU, batch 32, 64 B",
    sense: ">=",
    hold: 1.7,
    aim: 1.9,
  },
  ...([
    [
      "scale: a batch to each of many interfaces",
      "4096 interfaces",
      "4 interfaces",
    ],
    ["scale: a batch in each of many vnets", "1024 vnets", "1 vnet"],
  ] as const).map(([group, many, few]): Target => ({
    name: `cost per packet, ${many}`,
    group,
    case: many,
    against: few,
    sense: "<=",
    hold: 1.2,
    aim: 1.1,
  })),
];

/** The targets whose group was measured. */
export function ratios(
  results: readonly Result[],
  targets: readonly Target[] = TARGETS,
): Ratio[] {
  const found: Ratio[] = [];
  for (const t of targets) {
    const own = results.find((r) => r.group === t.group && r.name === t.case);
    if (own === undefined) continue;
    const peer = results.find((r) => r.group === t.group && r.name === t.against);
    const missing = [own, ...(peer === undefined ? [] : [peer])].find((r) => !measured(r));
    const known = missing === undefined &&
      (t.against === undefined || peer !== undefined);
    const value = known ? valueOf(t, own, peer) : null;
    const meets = (limit: number | undefined): boolean | null =>
      value === null || limit === undefined ? null : t.sense === ">=" ? value >= limit : value <= limit;
    const why = missing?.error ?? missing?.skipped;
    found.push({
      name: t.name,
      against: t.against ?? own.name,
      value,
      unit: t.against === undefined ? own.unit : "x",
      sense: t.sense,
      hold: t.hold ?? null,
      aim: t.aim,
      ok: meets(t.hold),
      reached: meets(t.aim),
      noisy: own.noisy || peer?.noisy === true,
      ...(why === undefined ? {} : { why }),
    });
  }
  return found;
}

function valueOf(t: Target, own: Result, peer: Result | undefined): number {
  if (peer === undefined) return own.median;
  const better = timesAsGood(own, peer);
  return t.sense === ">=" ? better : 1 / better;
}

/** The ratios as aligned lines. */
export function ratioTable(all: readonly Ratio[]): string {
  const rows = all.map((r) => [
    `  ${r.name}`,
    r.against,
    r.value === null ? `not measured: ${r.why ?? "the peer is filtered out"}` : number(r.value) + unit(r),
    r.hold === null ? "report" : `${r.sense} ${number(r.hold)}`,
    number(r.aim),
    r.ok === false ? "MISSED" : r.reached === true ? "aim" : r.ok === true ? "holds" : "",
  ]);
  rows.unshift(["ratios", "against", "value", "hold", "aim", "", ""]);
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd()).join("\n");
}

function unit(r: Ratio): string {
  return r.unit === "x" ? "x" : ` ${r.unit}`;
}
