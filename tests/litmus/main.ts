/**
 * The museum's door: every race, the legacy protocol with its stored schedule, softc's explored to its bound.
 *
 *     deno task explore                            a table
 *     deno task explore --json                     one line
 *     deno task explore --only R08                 one race or part, in full
 *     deno task explore --only R08 --show 3        with interleavings that pass
 *     deno task explore --bound N --max N          smaller limits
 *     deno task explore --random N --pct N --seed N     random and PCT schedules after the exhaustive ones
 *     deno task explore --replay ID SCHEDULE       one schedule; 1 when it shows the violation.
 *                                                  ID is R08 (the legacy side), R08/softc, R08/more.ring or a part
 *     deno task explore --find R08                 the shortest schedule of a legacy side, to be stored
 *     deno task explore --mutants [NAME]           the mutants too; only those that NAME is part of
 *     deno task explore --raw                      only the races with the raw loops led through the door
 *     deno task explore --speed                    schedules a second
 *
 * @module
 */
import { parseArgs } from "node:util";
import { coverage, explore } from "../../testing/mod.ts";
import {
  describe,
  explorePart,
  type Limits,
  locate,
  museum,
  type MuseumRow,
  PARTS,
  replayOne,
  runLitmus,
} from "./museum.ts";
import { type MutantRow, runMutants } from "./mutate.ts";
import { runRaw } from "./raw.ts";
import { speed } from "./speed.ts";

const OPTIONS = {
  json: { type: "boolean" },
  mutants: { type: "boolean" },
  raw: { type: "boolean" },
  speed: { type: "boolean" },
  only: { type: "string" },
  find: { type: "string" },
  replay: { type: "string" },
  show: { type: "string" },
  bound: { type: "string" },
  max: { type: "string" },
  random: { type: "string" },
  pct: { type: "string" },
  seed: { type: "string" },
} as const;

function usage(message: string): never {
  console.error(`${message}; options: ${Object.keys(OPTIONS).map((k) => `--${k}`).join(", ")}`);
  Deno.exit(2);
}

function parse(): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args: Deno.args, options: OPTIONS, allowPositionals: true });
  } catch (e) {
    return usage((e as Error).message);
  }
}

const { values: o, positionals } = parse();
const limits: Limits = {};
for (const key of ["show", "bound", "max", "random", "pct", "seed"] as const) {
  if (o[key] === undefined) continue;
  if (!/^\d+$/.test(o[key])) usage(`--${key} wants a number`);
  Object.assign(limits, { [key]: Number(o[key]) });
}
if (o.only !== undefined && !museum().includes(o.only) && !Object.hasOwn(PARTS, o.only)) {
  usage(`There is no race or part "${o.only}"`);
}
const say = (text: string): void => {
  if (o.json !== true) console.log(text);
};

if (o.replay !== undefined) Deno.exit(await replaying(o.replay, positionals[0]));
if (o.find !== undefined) Deno.exit(await finding(o.find));
if (o.speed === true) Deno.exit(await speed(say) ? 0 : 1);
if (o.raw === true) Deno.exit(await runRaw(say) ? 0 : 1);
Deno.exit(await visit() ? 0 : 1);

/** Shows one schedule again. */
async function replaying(id: string, schedule: string | undefined): Promise<number> {
  if (schedule === undefined) usage("--replay wants ID SCHEDULE");
  const r = await replayOne(id, schedule);
  say(r.trace);
  const v = r.violation;
  if (o.json === true) {
    console.log(JSON.stringify({ id, schedule, violation: v && { kind: v.kind, message: v.message } }));
  } else {say(
      v === undefined
        ? `${id}: no violation (${r.outcome})`
        : `${id}: ${v.kind}, rule ${v.rule}: ${v.message}`,
    );}
  return v === undefined ? 0 : 1;
}

/** Finds a schedule to be stored. */
async function finding(id: string): Promise<number> {
  const { url, scenario } = locate(id);
  const r = await explore(url, {
    bound: 3,
    ...limits,
    ...(scenario && { scenario }),
    races: scenario !== "legacy",
  });
  say(describe(id, r));
  return r.violation === undefined ? 1 : 0;
}

/** Goes through the museum; true when all is as it should be. */
async function visit(): Promise<boolean> {
  const began = performance.now();
  let bad = 0;
  const rows: MuseumRow[] = [];
  const inFull = o.only !== undefined || o.show !== undefined;
  say("race legacy protocol               softc");
  for (const id of museum().filter((m) => o.only === undefined || m === o.only)) {
    const row = await runLitmus(id, limits);
    rows.push(row);
    if (!row.legacy.found || row.softc.violations > 0) bad++;
    say(line(row));
    const full = inFull || row.softc.violations > 0;
    for (const [name, r] of Object.entries(row.reports)) {
      if (full) say(describe(name, r));
      else for (const w of r.warnings) say(`     warning: ${name}: ${w}`);
    }
  }
  for (const name of Object.keys(PARTS).filter((p) => o.only === undefined || p === o.only)) {
    const r = await explorePart(name, limits);
    if (r.violation !== undefined) bad++;
    const full = inFull || r.violation !== undefined;
    say(full ? describe(name, r) : `part ${name.padEnd(28)} we found none; ${coverage(r)}`);
  }
  if (o.only === undefined && !await runRaw(say)) bad++;
  let mutants: MutantRow[] = [];
  if (o.mutants === true) {
    mutants = await runMutants(
      (m) =>
        say(`${m.caught ? "caught" : m.equivalent === undefined ? "MISSED" : "same  "} ${m.name}: ${m.by}`),
      positionals[0],
    );
    bad += mutants.filter((m) => !m.caught && m.equivalent === undefined).length;
  }
  const schedules = rows.reduce((n, r) => n + r.softc.schedules, 0).toLocaleString("en-US");
  const caught = mutants.filter((m) => m.caught).length;
  const same = mutants.filter((m) => m.equivalent !== undefined).length;
  say(
    `${rows.length} races, ${schedules} schedules` +
      (mutants.length === 0 ? "" : `; ${mutants.length} mutants: ${caught} caught, ${same} change nothing`) +
      `; ${((performance.now() - began) / 1000).toFixed(0)} s: ${bad === 0 ? "PASS" : `FAIL (${bad})`}`,
  );
  if (o.json === true) {
    console.log(
      JSON.stringify({ litmus: rows.map(({ id, legacy, softc }) => ({ id, legacy, softc })), mutants }),
    );
  }
  return bad === 0;
}

function line(r: MuseumRow): string {
  const old = r.legacy.found ? `shown by ${r.legacy.schedule}` : "NOT SHOWN";
  const s = r.softc;
  const ours = s.violations > 0
    ? `VIOLATED in ${s.violations} schedules`
    : `none found, exhaustive to ${s.bound} preemptions, ${s.schedules.toLocaleString("en-US")} schedules`;
  return `${r.id}  ${old.padEnd(28)}  ${ours.padEnd(60)}  ${r.title}`;
}
