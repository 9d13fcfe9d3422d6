/** Stored medians, keyed by CPU and runtime: what `--compare` looks at. @module */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { cpuModel, lessIsBetter, measured, number, type Result, runtime } from "./harness.ts";

const FILE = new URL("./baseline.json", import.meta.url);
/** Worse by more than this is amiss. */
const TOLERANCE = 1.25;

type Medians = Record<string, number>;
type Stored = Record<string, Medians>;

/** What a baseline is kept under. */
export function key(): string {
  return `${cpuModel()} x${availableParallelism()}, ${runtime()}`;
}

function stored(): Stored {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) as Stored : {};
}

/** Stores the medians of this run; cases that did not run, or whose threads waited for a CPU, keep theirs. */
export function save(results: readonly Result[]): void {
  const all = stored();
  const own = all[key()] ??= {};
  for (const r of results) {
    if (measured(r) && !r.noisy) {
      own[`${r.group}/${r.name}`] = Number(r.median.toPrecision(4));
    }
  }
  writeFileSync(FILE, JSON.stringify(all, null, 2) + "\n");
}

/** One case beside its baseline. */
export interface Change {
  readonly name: string;
  readonly before: number;
  readonly now: number;
  /** Above 1 is better. */
  readonly better: number;
  readonly worse: boolean;
}

/** Every case that has a baseline; undefined when none is stored for this CPU and runtime. */
export function compare(results: readonly Result[]): Change[] | undefined {
  const own = stored()[key()];
  if (own === undefined) return undefined;
  const changes: Change[] = [];
  for (const r of results) {
    const before = own[`${r.group}/${r.name}`];
    if (before === undefined || !measured(r)) continue;
    const better = lessIsBetter(r.unit) ? before / r.median : r.median / before;
    changes.push({
      name: `${r.group}/${r.name}`,
      before,
      now: r.median,
      better,
      worse: better < 1 / TOLERANCE && !r.noisy,
    });
  }
  return changes;
}

/** The comparison as lines. */
export function compareText(changes: readonly Change[] | undefined): string {
  if (changes === undefined) {
    return `no baseline is stored for ${key()}: --save stores one`;
  }
  const rows = changes.map((c) =>
    `  ${c.name}: ${number(c.before)} -> ${number(c.now)}, ${number(c.better)}x${c.worse ? "  WORSE" : ""}`
  );
  return [`against the baseline of ${key()}`, ...rows].join("\n");
}
