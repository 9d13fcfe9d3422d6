/**
 * Torture: everything that can happen to interfaces, vnets, modules and devices, at random and at once, on all
 * CPUs under traffic, with the sanitizer on and faults planted.
 *
 * Rounds of a few seconds, each with a kernel of its own: what it finds is reproduced by a round's seed, as far
 * as threads allow, and memory is bounded. What it does not find: interleavings that did not come up (the
 * explorer is for those).
 *
 * @module
 */
import { mix } from "./random.ts";
import { type OpCount, type RoundResult, tortureRound } from "./round.ts";
import type { TortureSubject } from "./world.ts";

export type { OpCount, TortureSubject };

/** How long and how hard. */
export interface TortureOptions {
  /** What is tortured. */
  readonly subjects: readonly TortureSubject[];
  /** Seconds in all; 10 unless told. It ends with the round: rounds take 4 s, the last one 0.5 s at least. */
  readonly seconds?: number;
  /** CPUs of each kernel; 2 unless told. */
  readonly cpus?: number;
  /** Seed of all decisions; 1 unless told. */
  readonly seed?: number;
  /** Milliseconds that one operation may take; 30,000 unless told. */
  readonly deadline?: number;
  /** Runs this round alone, by its number from 0 on: what a failure names. */
  readonly round?: number;
  /** Told after each round. */
  onRound?(report: TortureReport): void;
}

/** What was done, and what came of it. */
export interface TortureReport {
  /** Nothing happened that never may. */
  readonly pass: boolean;
  /** Of all decisions. */
  readonly seed: number;
  /** CPUs of each kernel. */
  readonly cpus: number;
  /** Rounds so far. */
  readonly rounds: number;
  /** Seconds so far. */
  readonly seconds: number;
  /** Operations, by name. */
  readonly ops: Readonly<Record<string, OpCount>>;
  /** What nearly went wrong, by kind. */
  readonly nearMisses: Readonly<Record<string, number>>;
  /** Packets that were sent. */
  readonly packets: number;
  /** Packets that the books disagree about. */
  readonly unaccounted: number;
  /** What nobody freed, in rounds without hooks that stall for ever. */
  readonly leaks: number;
  /** What never may be, each with its round. */
  readonly failures: readonly string[];
}

/** Seconds of a round. */
const ROUND = 4;

/**
 * Tortures drivers, and the kernel with them. Stops after the first round that fails; a failure is reported, not thrown.
 *
 * @example
 * ```ts
 * import { torture } from "@softc/softc/testing";
 *
 * const report = await torture({
 *   subjects: [{ url: import.meta.resolve("@softc/softc/drivers/null"), cloners: [{ cloner: "null" }] }],
 *   seconds: 0.5,
 * });
 * console.log(report.pass, report.failures);
 * ```
 * @throws {SoftcError} `SOFTC_BOOT_ARGUMENT`, `SOFTC_BOOT_CPU` when a round's kernel does not boot
 */
export async function torture(o: TortureOptions): Promise<TortureReport> {
  const { seed = 1, cpus = 2, seconds = 10, deadline = 30_000 } = o;
  const start = performance.now();
  const spent = (): number => (performance.now() - start) / 1000;
  const ops: Record<string, OpCount> = {};
  const nearMisses: Record<string, number> = {};
  const failures: string[] = [];
  let [packets, unaccounted, leaks, rounds] = [0, 0, 0, 0];
  const take = (r: RoundResult, round: number): void => {
    rounds++;
    for (const [name, { done, refused }] of Object.entries(r.ops)) {
      const sum = ops[name] ?? { done: 0, refused: 0 };
      ops[name] = { done: sum.done + done, refused: sum.refused + refused };
    }
    for (const [what, n] of Object.entries(r.near)) nearMisses[what] = (nearMisses[what] ?? 0) + n;
    failures.push(...r.wrongs.map((w) => `round ${round}: ${w}`));
    packets += r.packets;
    unaccounted += Math.abs(r.unaccounted);
    leaks += r.leaks;
  };
  const report = (): TortureReport => ({
    pass: failures.length === 0,
    seed,
    cpus,
    rounds,
    seconds: Math.round(spent()),
    ops,
    nearMisses,
    packets,
    unaccounted,
    leaks,
    failures,
  });
  for (let round = o.round ?? 0;; round++) {
    const ms = Math.min(ROUND, Math.max(0.5, seconds - spent())) * 1000;
    take(await tortureRound({ seed: mix(seed, round), ms, cpus, subjects: o.subjects, deadline }), round);
    o.onRound?.(report());
    if (failures.length > 0 || o.round !== undefined || spent() >= seconds) return report();
  }
}
