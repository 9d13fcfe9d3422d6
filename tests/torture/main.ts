/**
 * Torture of this repository's drivers, and of the kernel under them: `deno task torture`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { torture, type TortureReport } from "../../testing/mod.ts";
import { SUBJECTS } from "./subjects.ts";

const HELP =
  `Everything that can happen to interfaces, vnets, modules and devices, at random, on all CPUs under traffic.

Usage: deno task torture [--seconds N] [--cpus N] [--seed S] [--round N] [--only TEXT] [--json]

  --seconds N  how long; 10 unless told
  --cpus N     CPUs of each kernel; 2 unless told
  --seed S     of all decisions; 1 unless told
  --round N    this round alone: what a failure names
  --only TEXT  modules whose file has this in its path
  --json       one line of JSON on stdout, and nothing else

Exit code: 0 when it passed, 1 when it failed, 2 for wrong arguments.`;

interface Args {
  readonly seconds: number;
  readonly cpus: number;
  readonly seed: number;
  readonly round: number | undefined;
  readonly only: string;
  readonly json: boolean;
}

function parse(args: readonly string[]): Args | undefined {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: text, cpus: text, seed: text, round: text, only: text, json: flag, help: flag },
  });
  if (values.help) return undefined;
  const whole = (name: "seconds" | "cpus" | "seed" | "round", otherwise: number, min: number): number => {
    const n = Number(values[name] ?? otherwise);
    if (!(Number.isSafeInteger(n) && n >= min)) throw new Error(`--${name} wants a whole number from ${min}`);
    return n;
  };
  return {
    seconds: whole("seconds", 10, 1),
    cpus: whole("cpus", 2, 1),
    seed: whole("seed", 1, 0),
    round: values.round === undefined ? undefined : whole("round", 0, 0),
    only: values.only ?? "",
    json: values.json,
  };
}

function print({ ops, nearMisses, ...r }: TortureReport): void {
  console.log("\noperation             done   refused");
  for (const [name, { done, refused }] of Object.entries(ops)) {
    console.log(`${name.padEnd(16)} ${String(done).padStart(9)} ${String(refused).padStart(9)}`);
  }
  console.log("\nnear misses");
  for (const [what, n] of Object.entries(nearMisses).sort(([a], [b]) => a < b ? -1 : 1)) {
    console.log(`${String(n).padStart(12)}  ${what}`);
  }
  for (const f of r.failures) console.log(`\n${f}`);
  const all = Object.values(ops).reduce((n, o) => n + o.done + o.refused, 0);
  console.log(
    `\n${r.pass ? "PASS" : "FAIL"} seed ${r.seed}, ${r.cpus} CPUs, ${r.rounds} rounds, ${r.seconds} s: ` +
      `${all} operations, ${r.packets} packets, ${r.unaccounted} unaccounted for, ${r.leaks} leaks`,
  );
}

let args: Args | undefined;
try {
  args = parse(process.argv.slice(2));
} catch (e) {
  console.error(`torture: ${(e as Error).message.split("\n")[0]}; try --help`);
  process.exit(2);
}
if (args === undefined) {
  console.log(HELP);
  process.exit(0);
}
const { json, round, only, ...o } = args;
const report = await torture({
  ...o,
  ...(round === undefined ? {} : { round }),
  subjects: SUBJECTS.filter((s) => String(s.url).includes(only)),
  onRound(r) {
    if (json) return;
    const n = Object.values(r.ops).reduce((sum, { done, refused }) => sum + done + refused, 0);
    const mib = Math.round(process.memoryUsage().rss / 2 ** 20);
    console.log(`round ${r.rounds}: ${r.seconds} s, ${n} operations, ${r.packets} packets, ${mib} MiB`);
  },
});
if (json) console.log(JSON.stringify(report));
else print(report);
process.exit(report.pass ? 0 : 1);
