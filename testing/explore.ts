/**
 * The explorer, as its users call it: explore a scenario, replay a schedule. How it searches stands in search.ts.
 *
 * @module
 */
import type { Finding } from "./judge.ts";
import { Runner } from "./runner.ts";
import { parseSchedule } from "./schedule.ts";
import { Search } from "./search.ts";

/** Options of {@linkcode explore}. */
export interface ExploreOptions {
  /** Name of the scenario in a module that exports several. */
  readonly scenario?: string;
  /** What the module's default export is called with, when it is a function that makes the scenario: plain data. */
  readonly input?: unknown;
  /** Preemptions up to which the search is exhaustive; 2 unless told. */
  readonly bound?: number;
  /** Schedules at most; then the report says that the bound was not reached. 200,000 unless told. */
  readonly max?: number;
  /** Random schedules after the exhaustive part; 0 unless told. */
  readonly random?: number;
  /** PCT schedules of depth 3 after those (Burckhardt et al. 2010); 0 unless told. */
  readonly pct?: number;
  /** Seed of the random and the PCT ones; 1 unless told. */
  readonly seed?: number;
  /** Goes on after the first finding, and counts them; false unless told. */
  readonly all?: boolean;
  /** Keeps traces of this many schedules without a finding; 0 unless told. */
  readonly show?: number;
  /** Loads of its turn word that a parked thread makes before it sleeps; 150 unless told. */
  readonly spins?: number;
  /** Detects data races; on unless told. */
  readonly races?: boolean;
  /** Called at most every 20 ms, with the schedules run so far. */
  onProgress?(schedules: number): void;
}

/** A finding with the schedule that shows it. */
export interface Violation extends Finding {
  /** Shows it again: `replay(url, schedule)`. */
  readonly schedule: string;
  /** Times that a thread was left that could go on. */
  readonly preemptions: number;
  /** The interleaving, a column per thread, with source positions. */
  readonly trace: string;
}

/** What an exploration says. */
export interface ExploreReport {
  /** Name of the scenario. */
  readonly name: string;
  /** The command line that explores it; with `--replay SCHEDULE` it shows one schedule. */
  readonly command: string;
  /** Its threads. */
  readonly threads: number;
  /** Schedules of the last round, exhaustive part. */
  readonly schedules: number;
  /** All schedules that were run, rounds that found new shared words and random ones included. */
  readonly runs: number;
  /** Preemptions to which the search was exhaustive; -1: not even to 0. */
  readonly bound: number;
  /** Rounds until the set of shared words stood still. */
  readonly rounds: number;
  /** Words that two threads access and one writes. */
  readonly sharedWords: number;
  /** Schedules per second, all in all. */
  readonly perSecond: number;
  /** The first violation: the one with the fewest preemptions. */
  readonly violation: Violation | undefined;
  /** Schedules with a violation. */
  readonly violations: number;
  /** Outcomes that the check named, and in how many schedules. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Why the result says less than it seems. */
  readonly warnings: readonly string[];
  /** Traces asked for with `show`. */
  readonly shown: readonly string[];
}

/**
 * Explores the scenario that a module exports, each of its threads in a worker. A violation is reported, not thrown.
 *
 * @example
 * ```ts
 * import { driverScenarios, explore } from "@softc/softc/testing";
 *
 * // A scenario of one's own: new URL("./scenario.ts", import.meta.url).href
 * const { url, input } = driverScenarios(import.meta.resolve("@softc/softc/drivers/null"));
 * const report = await explore(url, { scenario: "move", input, bound: 1 });
 * if (report.violation !== undefined) throw new Error(report.violation.trace);
 * ```
 * @throws {Error} when the module exports no such scenario, it has not 1 to 4 threads, a thread does not start
 * within 15 s or throws in `prepare`, or a schedule takes more than 10 s
 */
export async function explore(url: string, o: ExploreOptions = {}): Promise<ExploreReport> {
  const runner = await Runner.start({ url, pick: o.scenario, input: o.input }, o.spins ?? 150);
  try {
    return await new Search(runner, o).run();
  } finally {
    await runner.stop();
  }
}

/**
 * Runs one schedule again, with its trace.
 *
 * @example
 * ```ts
 * import { driverScenarios, replay } from "@softc/softc/testing";
 *
 * const { url, input } = driverScenarios(import.meta.resolve("@softc/softc/drivers/null"));
 * console.log((await replay(url, ".", { scenario: "detach", input })).trace);
 * ```
 * @param schedule as {@linkcode Violation.schedule} says it
 * @throws {Error} when it is not a schedule or has more than 4096 decisions, and as {@linkcode explore}
 */
export async function replay(
  url: string,
  schedule: string,
  o: Pick<ExploreOptions, "scenario" | "input" | "spins" | "races"> = {},
): Promise<{ readonly violation: Violation | undefined; readonly outcome: string; readonly trace: string }> {
  const parsed = parseSchedule(schedule);
  const runner = await Runner.start({ url, pick: o.scenario, input: o.input }, o.spins ?? 150);
  try {
    return await new Search(runner, o).replay(parsed);
  } finally {
    await runner.stop();
  }
}
