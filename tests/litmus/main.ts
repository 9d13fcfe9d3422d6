/**
 * The museum's door: every race, the legacy protocol with its stored schedule, softc's explored to its bound.
 *
 *     deno task explore                            a table
 *     deno task explore --json                     one line
 *     deno task explore --only R08                 one race
 *     deno task explore --bound N --max N          other limits
 *     deno task explore --replay ID SCHEDULE       one schedule; 1 when it shows the violation.
 *                                                  ID is R08 (the legacy side), R08/softc, R08/more.ring
 *     deno task explore --find R08                 the shortest schedule of a legacy side, to be stored
 *     deno task explore --mutants                  the mutants, too
 *
 * @module
 */
import { explore, replay } from "../../testing/mod.ts";
import { litmusFile, museum, type MuseumRow, partFile, parts, runLitmus } from "./museum.ts";
import { type MutantRow, runMutants } from "./mutants.ts";

interface Arguments {
  readonly json: boolean;
  readonly mutants: boolean;
  readonly only: string | undefined;
  readonly find: string | undefined;
  readonly replay: readonly [string, string] | undefined;
  readonly show: number;
  readonly bound: number | undefined;
  readonly max: number;
}

function parse(args: readonly string[]): Arguments {
  const value = (name: string, i = 1): string | undefined => {
    const at = args.indexOf(`--${name}`);
    return at < 0 ? undefined : args[at + i];
  };
  const known = ["json", "mutants", "only", "find", "replay", "show", "bound", "max"];
  for (const a of args) {
    if (a.startsWith("--") && !known.includes(a.slice(2))) {
      console.error(`Unknown option ${a} (wanted ${known.map((k) => `--${k}`).join(", ")})`);
      Deno.exit(2);
    }
  }
  const id = value("replay");
  const schedule = value("replay", 2);
  if (args.includes("--replay") && (id === undefined || schedule === undefined)) {
    console.error("--replay wants ID SCHEDULE");
    Deno.exit(2);
  }
  const bound = value("bound");
  return {
    json: args.includes("--json"),
    mutants: args.includes("--mutants"),
    only: value("only"),
    find: value("find"),
    replay: id === undefined || schedule === undefined ? undefined : [id, schedule],
    show: Number(value("show") ?? 0),
    bound: bound === undefined ? undefined : Number(bound),
    max: Number(value("max") ?? 200_000),
  };
}

async function replayOne([id, schedule]: readonly [string, string]): Promise<number> {
  const [race, pick = "legacy"] = id.split("/");
  const r = await replay(litmusFile(race!), schedule, { scenario: pick, races: pick !== "legacy" });
  console.log(r.trace);
  if (r.violation === undefined) {
    console.log(`${id}: no violation (${r.outcome})`);
    return 0;
  }
  console.log(`${id}: ${r.violation.kind}: ${r.violation.message}`);
  return 1;
}

function row(r: MuseumRow): string {
  if (r.reason !== undefined) return `${r.id}  -        -                                        ${r.reason}`;
  const old = r.legacy!.found ? `shown by ${r.legacy!.schedule}` : "NOT SHOWN";
  const s = r.softc!;
  const ours = s.violations > 0
    ? `VIOLATED: ${s.violation}`
    : `none found, exhaustive to ${s.bound} preemptions, ${s.schedules} schedules`;
  return `${r.id}  ${old.padEnd(30)}  ${ours.padEnd(62)}  ${r.title}${
    s.warnings.length > 0 ? `\n     warning: ${s.warnings.join("; ")}` : ""
  }`;
}

const o = parse(Deno.args);
if (o.replay !== undefined) Deno.exit(await replayOne(o.replay));
if (o.find !== undefined) {
  const r = await explore(litmusFile(o.find), { scenario: "legacy", bound: o.bound ?? 3, races: false });
  console.log(r.violation?.trace ?? "nothing found");
  console.log(`${r.violation?.kind}: ${r.violation?.message}\n${r.violation?.schedule}`);
  Deno.exit(0);
}
const began = performance.now();
const rows: MuseumRow[] = [];
if (!o.json) console.log("race legacy protocol                 softc");
for (const id of museum().filter((m) => o.only === undefined || m === o.only)) {
  const r = await runLitmus(id, {
    max: o.max,
    show: o.show,
    ...(o.bound === undefined ? {} : { bound: o.bound }),
  });
  rows.push(r);
  if (!o.json) console.log(row(r));
}
let broken = 0;
if (o.only === undefined) {
  for (const part of parts()) {
    const r = await explore(partFile(part), { bound: o.bound ?? (part === "bells" ? 3 : 2), max: o.max });
    if (r.violation !== undefined) broken++;
    const says = r.violation === undefined
      ? `none found, exhaustive to ${r.bound} preemptions, ${r.schedules} schedules`
      : `VIOLATED: ${r.violation.kind}: ${r.violation.message}\n${r.violation.trace}`;
    if (!o.json) console.log(`part ${part.padEnd(30)}  ${says}`);
  }
}
let mutants: MutantRow[] = [];
if (o.mutants) {
  mutants = await runMutants((m) => {
    if (!o.json) {
      console.log(
        `${m.caught ? "caught " : m.equivalent === undefined ? "MISSED " : "same   "} ${m.name}  ${m.by}`,
      );
    }
  });
}
const bad =
  rows.filter((r) => r.reason === undefined && (!r.legacy!.found || r.softc!.violations > 0)).length +
  mutants.filter((m) => !m.caught && m.equivalent === undefined).length;
if (o.json) {
  console.log(JSON.stringify({
    litmus: rows.map(({ id, reason, legacy, softc }) => ({
      id,
      reason,
      legacy,
      softc: softc && { violations: softc.violations, schedules: softc.schedules, bound: softc.bound },
    })),
    mutants: mutants.map(({ name, caught, by, equivalent }) => ({ name, caught, by, equivalent })),
  }));
} else {
  const expressed = rows.filter((r) => r.reason === undefined);
  console.log(
    `${expressed.length} of ${rows.length} races expressed, ${
      expressed.reduce((n, r) => n + r.softc!.schedules, 0)
    } schedules, ${mutants.length} mutants, ${((performance.now() - began) / 1000).toFixed(0)} s: ${
      bad === 0 ? "PASS" : `FAIL (${bad})`
    }`,
  );
}
Deno.exit(bad === 0 ? 0 : 1);
