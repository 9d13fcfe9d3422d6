/**
 * A small bench harness for a machine that is shared.
 *
 * All cases of a group are set up together and sampled in turn, so that a change of the machine's speed meets
 * every case alike: ratios inside a group hold where absolute numbers do not. A sample is dropped when its
 * thread had to wait for a CPU meanwhile (Linux says so in schedstat). Reported: the median, and p10 to p90.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";

/** One thing to measure. */
export interface Case {
  /** Cases of one group are interleaved and may be compared. */
  readonly group: string;
  /** Unique in its group. */
  readonly name: string;
  /** What a sample returns: "ops/s", "Mpps", "ns". Times and sizes are better when less, all else when more. */
  readonly unit: string;
  /** Name of the case in this group that this one is compared with. */
  readonly against?: string;
  /** Set when workers take part: a sample is dropped when any thread of the process waited for a CPU. */
  readonly workers?: boolean;
  /** Milliseconds that a sample takes at least: for what counts operations of which there are few. */
  readonly atLeast?: number;
  /** Gets ready to be sampled. */
  setup(): Sampler | Promise<Sampler>;
}

/** A sample of a case that knows itself how long its threads waited for a CPU: another process. */
export interface Sample {
  readonly value: number;
  /** Part of the sample that its threads waited for a CPU. */
  readonly wait: number;
}

/** What `setup` throws when the case cannot be measured here: a tool is missing. No failure. */
export class Skip extends Error {}

/** A case that is ready. */
export interface Sampler {
  /** Works for about `ms` milliseconds and returns the value in the case's unit. */
  sample(ms: number): number | Sample | Promise<number | Sample>;
  /** Ends what setup began. */
  teardown?(): void | Promise<void>;
}

/** What was measured of a case. */
export interface Result {
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  /** Samples that the numbers come from. */
  readonly samples: number;
  /** Samples dropped because the thread waited for a CPU. */
  readonly dropped: number;
  /** Too few samples were left: the least disturbed ones were taken back in. */
  readonly noisy: boolean;
  /** How many times as good as the case it is compared with: above 1 is better, whatever the unit. */
  readonly ratio?: number;
  readonly against?: string;
  /** Why there are no numbers. */
  readonly error?: string;
  /** Why it was not measured here. */
  readonly skipped?: string;
  /** Every sample, by round. */
  readonly rounds: readonly Sample[];
}

/** How to measure. */
export interface Options {
  /** Undisturbed samples wanted of each case. */
  readonly samples: number;
  /** Length of a sample. */
  readonly ms: number;
  /** Time that each case runs before the first sample counts. */
  readonly warmup: number;
  /** Rounds at most, in multiples of the samples wanted, before disturbed samples are taken back; 4 unless told. */
  readonly patience?: number;
  /** Part of a case's `atLeast` that a sample takes; 1 unless told. */
  readonly leastPart?: number;
  /** Limit for a setup, sample or teardown that awaits. */
  readonly deadline: number;
  /** Nanoseconds that the thread, or all threads, have waited for a CPU; undefined where nobody knows. */
  readonly waited: (all: boolean) => number | undefined;
}

/** Enough for numbers to compare. */
export const FULL: Options = {
  samples: 15,
  ms: 20,
  warmup: 100,
  deadline: 30_000,
  waited: cpuWait,
};
/** Enough to see that all runs. */
export const QUICK: Options = {
  ...FULL,
  samples: 7,
  ms: 4,
  warmup: 12,
  patience: 1.5,
  leastPart: 0.1,
};

/** The fewest samples that a median is taken of. */
const FEWEST = 7;
/** A sample in which the thread waited longer than this part of it is dropped. */
const WAIT_LIMIT = 0.02;
/** Patience unless told. */
const PATIENCE = 4;

/** Reads schedstat: time on a CPU, time waiting for one, slices. */
function cpuWait(all: boolean): number | undefined {
  try {
    if (!all) return waitIn("/proc/thread-self/schedstat");
    let sum = 0;
    for (const id of readdirSync("/proc/self/task")) {
      sum += waitIn(`/proc/self/task/${id}/schedstat`);
    }
    return sum;
  } catch {
    return undefined; // not Linux, or a thread ended meanwhile
  }
}

function waitIn(path: string): number {
  return Number(readFileSync(path, "utf8").split(" ")[1]);
}

/** Calls `run`, which does `n` operations, until `ms` have passed; operations per second. */
export function opsPerSecond(ms: number, n: number, run: () => void): number {
  const start = performance.now();
  let ops = 0, now = start;
  do {
    run();
    ops += n;
    now = performance.now();
  } while (now - start < ms);
  return ops / (now - start) * 1e3;
}

/** Like {@linkcode opsPerSecond}; nanoseconds per operation. */
export function nsPerOp(ms: number, n: number, run: () => void): number {
  return 1e9 / opsPerSecond(ms, n, run);
}

/** A case while it is measured. `rounds` has its samples by round, so that two cases can be paired. */
interface Running {
  readonly case: Case;
  readonly rounds: Sample[];
  sampler?: Sampler;
  error?: string;
  skipped?: string;
}

/** Measures cases, group by group; yields the results of a group when it is done. */
export async function* measure(
  cases: readonly Case[],
  options: Options,
): AsyncGenerator<Result[]> {
  check(cases);
  for (const group of new Set(cases.map((c) => c.group))) {
    yield await measureGroup(cases.filter((c) => c.group === group), options);
  }
}

function check(cases: readonly Case[]): void {
  const names = new Set<string>();
  for (const c of cases) {
    const name = path(c);
    if (names.has(name)) {
      throw new Error(`Cannot measure: two cases are named "${name}"`);
    }
    names.add(name);
  }
}

/** Group and name: what `--filter` looks at. */
function path(c: { readonly group: string; readonly name: string }): string {
  return `${c.group}/${c.name}`;
}

async function measureGroup(
  cases: readonly Case[],
  options: Options,
): Promise<Result[]> {
  const group: Running[] = cases.map((c) => ({ case: c, rounds: [] }));
  try {
    for (const r of group) {
      await attempt(r, async () => {
        r.sampler = await within(options.deadline, "setup", r.case.setup());
        // In parts: the sample function itself gets warm too.
        for (let i = 0; i < 3; i++) await take(r, options.warmup / 3, options);
      });
    }
    for (
      let round = 0;
      round < options.samples * (options.patience ?? PATIENCE);
      round++
    ) {
      const live = group.filter((r) => r.error === undefined && r.skipped === undefined);
      if (live.every((r) => clean(r.rounds).length >= options.samples)) break;
      // Nobody always follows the same neighbour.
      for (let i = 0; i < live.length; i++) {
        const r = live[(i + round) % live.length]!;
        await attempt(
          r,
          async () => void r.rounds.push(await take(r, options.ms, options)),
        );
      }
    }
  } finally {
    for (const r of group) {
      await attempt(
        r,
        async () =>
          void await within(
            options.deadline,
            "teardown",
            r.sampler?.teardown?.(),
          ),
      );
    }
  }
  const results = group.map(result);
  return results.map((r, i) => {
    const { against } = group[i]!.case;
    const reference = results.find((o) => o.name === against);
    if (reference === undefined || !measured(r) || !measured(reference)) {
      return r;
    }
    return { ...r, against: reference.name, ratio: timesAsGood(r, reference) };
  });
}

/** One case's failure is its own: the others go on. */
async function attempt(r: Running, fn: () => Promise<void>): Promise<void> {
  try {
    await fn();
  } catch (e) {
    if (e instanceof Skip) r.skipped ??= e.message;
    else r.error ??= e instanceof Error ? e.message : String(e);
  }
}

async function take(r: Running, ms: number, options: Options): Promise<Sample> {
  await new Promise((resolve) => setImmediate(resolve)); // what the last sample left behind runs before this one
  const all = r.case.workers === true;
  const waitedBefore = options.waited(all);
  const start = performance.now();
  const sampled = await within(
    options.deadline,
    "sample",
    r.sampler!.sample(Math.max(ms, (r.case.atLeast ?? 0) * (options.leastPart ?? 1))),
  );
  const took = performance.now() - start;
  const waitedAfter = options.waited(all);
  const { value, wait } = typeof sampled === "number" ? { value: sampled, wait: undefined } : sampled;
  if (!Number.isFinite(value)) {
    throw new Error(`the sample is ${value}, not a finite number`);
  }
  const known = waitedBefore !== undefined && waitedAfter !== undefined;
  if (wait !== undefined) return { value, wait };
  return {
    value,
    wait: known ? (waitedAfter - waitedBefore) / 1e6 / Math.max(took, 1e-3) : 0,
  };
}

async function within<T>(
  ms: number,
  what: string,
  value: T | Promise<T>,
): Promise<T> {
  if (!(value instanceof Promise)) return value;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} took longer than ${ms} ms`)),
      ms,
    );
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}

function clean(samples: readonly Sample[]): Sample[] {
  return samples.filter((s) => s.wait <= WAIT_LIMIT);
}

function result(r: Running): Result {
  const { group, name, unit } = r.case;
  let kept = clean(r.rounds);
  const noisy = kept.length < Math.min(FEWEST, r.rounds.length);
  if (noisy) {
    kept = r.rounds.toSorted((a, b) => a.wait - b.wait).slice(0, FEWEST);
  }
  const values = kept.map((s) => s.value);
  return {
    group,
    name,
    unit,
    median: quantile(values, 0.5),
    p10: quantile(values, 0.1),
    p90: quantile(values, 0.9),
    samples: values.length,
    dropped: r.rounds.length - values.length,
    noisy,
    ...(r.error === undefined ? undefined : { error: r.error }),
    ...(r.skipped === undefined ? undefined : { skipped: r.skipped }),
    rounds: r.rounds,
  };
}

/** Whether there are numbers. */
export function measured(r: Pick<Result, "error" | "skipped">): boolean {
  return r.error === undefined && r.skipped === undefined;
}

/**
 * How many times as good `r` is as `reference`: the median over the rounds in which neither waited, because
 * neighbours in time met the same machine; of their medians when there are too few such rounds.
 */
export function timesAsGood(r: Result, reference: Result): number {
  const ratios: number[] = [];
  r.rounds.forEach((s, i) => {
    const other = reference.rounds[i];
    if (other && s.wait <= WAIT_LIMIT && other.wait <= WAIT_LIMIT) {
      ratios.push(s.value / other.value);
    }
  });
  const more = ratios.length < 3 ? r.median / reference.median : quantile(ratios, 0.5);
  return lessIsBetter(r.unit) ? 1 / more : more;
}

/** Whether a smaller value is the better one. */
export function lessIsBetter(unit: string): boolean {
  return /^(ns|us|µs|ms|s|B|[KMG]iB)(\/|$)/.test(unit);
}

/** Linear between the two nearest values. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q, low = Math.floor(at);
  const a = sorted[low] ?? NaN, b = sorted[low + 1] ?? a;
  return a + (b - a) * (at - low);
}

/** One group as aligned lines. */
export function table(results: readonly Result[]): string {
  const rows = results.map((r) => {
    const failed = r.error !== undefined || r.skipped !== undefined;
    const compared = r.ratio !== undefined && Number.isFinite(r.ratio);
    return [
      `  ${r.name}`,
      r.error !== undefined ? "failed" : failed ? "skipped" : number(r.median),
      failed ? "" : r.unit,
      failed ? r.error ?? r.skipped! : `${number(r.p10)} - ${number(r.p90)}`,
      failed ? "" : `${r.noisy ? "noisy " : ""}${r.samples}/${r.samples + r.dropped}`,
      compared ? `${number(r.ratio!)}x ${r.against}` : "",
    ];
  });
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) =>
    row.map((cell, i) => i === 1 || i === 4 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i] ?? 0))
      .join("  ").trimEnd()
  );
  return [results[0]?.group ?? "", ...lines].join("\n");
}

/** Three digits that matter; thousands grouped. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size > 0 && size < 0.1) return value.toPrecision(2);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

const USAGE =
  `Usage: bench [--filter TEXT] [--quick] [--json] [--list] [--samples N] [--ms N] [--compare] [--save] [--chart FILE]

  --filter TEXT  only cases with TEXT in group/name; may be repeated
  --quick        few short samples: shows that all runs, numbers are rough
  --json         one JSON document on stdout instead of tables
  --list         names of the cases
  --samples N    undisturbed samples of each case, at least ${FEWEST} (${FULL.samples})
  --ms N         length of a sample (${FULL.ms})
  --compare      against the stored baseline of this CPU and runtime; exit code 1 when one is worse by a quarter
  --save         stores the medians as that baseline
  --chart FILE   writes the ratios as an SVG picture

Columns: median, p10 - p90, samples kept of those taken; 2.00x NAME = twice as good as NAME, round by round.`;

/** What is made of all results: a document for `--json`, text for people, and whether something is amiss. */
export type Finish = (
  results: readonly Result[],
  flags: { compare: boolean; save: boolean; chart: string | undefined },
) => { json: object; text: string; amiss: boolean };

/**
 * The command line over {@linkcode measure}, or over what measures in its place.
 *
 * @returns Exit code: 0, 1 when a case failed, 2 for wrong usage.
 */
export async function main(
  cases: readonly Case[],
  args: readonly string[] = process.argv.slice(2),
  print: (text: string) => void = console.log,
  defaults: Partial<Options> = {},
  finish?: Finish,
  measurer: typeof measure = measure,
): Promise<number> {
  let flags;
  try {
    flags = parse(args);
  } catch (e) {
    print(`${e instanceof Error ? e.message : e}\n\n${USAGE}`);
    return 2;
  }
  if (flags.help) {
    print(USAGE);
    return 0;
  }
  const { filter } = flags;
  const chosen = filter
    ? cases.filter((c) => filter.some((f) => path(c).toLowerCase().includes(f.toLowerCase())))
    : cases;
  if (chosen.length === 0) {
    print("No case matches; --list without --filter shows all");
    return 2;
  }
  if (flags.list) {
    print(chosen.map(path).join("\n"));
    return 0;
  }

  const options: Options = {
    ...(flags.quick ? QUICK : FULL),
    ...defaults,
    ...flags.numbers,
  };
  const results: Result[] = [];
  for await (const group of measurer(chosen, options)) {
    results.push(...group);
    if (!flags.json) print(`${table(group)}\n`);
  }
  const { compare = false, save = false, chart } = flags;
  const finished = finish?.(results, { compare, save, chart });
  if (flags.json) {
    const { samples, ms } = options;
    const plain = results.map(({ rounds: _, ...rest }) => rest);
    const head = {
      runtime: runtime(),
      cpu: cpuModel(),
      cpus: availableParallelism(),
      samples,
      ms,
    };
    print(
      JSON.stringify({ ...head, ...finished?.json, results: plain }, null, 2),
    );
  } else if (finished !== undefined) print(finished.text);
  return results.some((r) => r.error !== undefined) || finished?.amiss === true ? 1 : 0;
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      filter: { type: "string", multiple: true },
      quick: { type: "boolean" },
      json: { type: "boolean" },
      list: { type: "boolean" },
      compare: { type: "boolean" },
      save: { type: "boolean" },
      chart: { type: "string" },
      help: { type: "boolean", short: "h" },
      samples: { type: "string" },
      ms: { type: "string" },
    },
  });
  const numbers: { samples?: number; ms?: number } = {};
  if (values.samples !== undefined) {
    numbers.samples = atLeast("samples", values.samples, FEWEST);
  }
  if (values.ms !== undefined) numbers.ms = atLeast("ms", values.ms, 1);
  return { ...values, numbers };
}

function atLeast(name: string, text: string, least: number): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= least) return n;
  throw new Error(
    `--${name} is "${text}", wanted an integer of at least ${least}`,
  );
}

/** Model of the processor. */
export function cpuModel(): string {
  return cpus()[0]?.model ?? "unknown";
}

/** Name and version of what runs this. */
export function runtime(): string {
  const { deno, bun, node } = process.versions;
  return deno ? `deno ${deno}` : bun ? `bun ${bun}` : `node ${node}`;
}
