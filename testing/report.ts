/**
 * What an exploration says, as people read it: never more than was checked.
 *
 * @module
 */
import { thrownAt } from "./position.ts";
import type { ExploreReport } from "./explore.ts";

function plural(n: number, what: string): string {
  return `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`;
}

/**
 * How far it went: `exhaustive to 2 preemptions, 2 threads, 1,742 schedules`.
 *
 * @example
 * ```ts
 * import { coverage } from "@softc/softc/testing";
 *
 * console.log(coverage({ bound: 2, threads: 2, schedules: 1742, runs: 1742 }));
 * ```
 */
export function coverage(r: Pick<ExploreReport, "bound" | "threads" | "schedules" | "runs">): string {
  const depth = r.bound < 0 ? "not exhaustive" : `exhaustive to ${plural(r.bound, "preemption")}`;
  return `${depth}, ${plural(r.threads, "thread")}, ${
    plural(r.bound < 0 ? r.runs : r.schedules, "schedule")
  }`;
}

/**
 * A report in words: what was found and how far the search went, why that may say less than it seems, the
 * interleavings that were asked for, and of a violation its trace and the one line that shows it again.
 *
 * @example
 * ```ts
 * import { driverScenarios, explore, formatReport } from "@softc/softc/testing";
 *
 * const { url, input } = driverScenarios(import.meta.resolve("@softc/softc/drivers/null"));
 * console.log(formatReport(await explore(url, { scenario: "detach", input, bound: 0 })));
 * ```
 * @param again the command line that shows a schedule again; the report's own unless told
 */
export function formatReport(
  r: ExploreReport,
  again: (schedule: string) => string = (schedule) => `${r.command} --replay ${schedule}`,
): string {
  const v = r.violation;
  const lines = v === undefined ? [`${r.name}: we found none; ${coverage(r)}`] : [
    `${r.name}: ${v.kind}, rule ${v.rule}: ${v.message}`,
    ...(v.stack === undefined ? [] : [`thrown in ${thrownAt(v.stack)}`]),
    v.trace,
    `shown by schedule ${v.schedule} (${plural(v.preemptions, "preemption")}), after ${
      plural(r.runs, "schedule")
    }`,
    `replay: ${again(v.schedule)}`,
  ];
  lines.push(...r.warnings.map((w) => `warning: ${w}`));
  r.shown.forEach((trace, i) => lines.push(`passing interleaving ${i + 1}:`, trace));
  return lines.join("\n");
}
