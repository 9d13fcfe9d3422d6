/**
 * Explores scenarios one after the other until one shows a violation, and says which: run on a changed copy of the
 * tree. Prints the number of schedules when none does.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { explore } from "../../testing/mod.ts";
import { locate, PARTS } from "./museum.ts";

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { bound: { type: "string" }, max: { type: "string" } },
  allowPositionals: true,
});
let schedules = 0;
for (const name of positionals) {
  const part = Object.hasOwn(PARTS, name);
  const { url, scenario } = locate(part || name.includes("/") ? name : `${name}/softc`);
  try {
    const r = await explore(url, {
      ...(scenario && { scenario }),
      bound: Number(values.bound ?? (name === "bells" ? 3 : 2)),
      max: Number(values.max ?? (part ? 20_000 : 4000)),
    });
    schedules += r.runs;
    if (r.violation !== undefined || r.warnings.some((w) => w.includes("never happened"))) {
      const { kind, preemptions } = r.violation ?? { kind: "vacuous", preemptions: r.bound };
      console.log(`${name} (${kind}, ${preemptions} preemptions)`);
      Deno.exit(1);
    }
  } catch (e) {
    // It did not even start: nothing is shown.
    if ((e as Error).name === "SyntaxError" || (e as Error).message.includes("did not start")) throw e;
    console.log(`${name} (${(e as Error).message.split("\n")[0]!.slice(0, 80)})`);
    Deno.exit(1);
  }
}
console.log(schedules);
