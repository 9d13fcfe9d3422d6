/**
 * The museum: the races R01 to R34, the parts that all of them stand on, and how one is run.
 *
 * @module
 */
import { explore, type ExploreOptions, type ExploreReport, formatReport, replay } from "../../testing/mod.ts";
import type { Litmus } from "./litmus.ts";

/** How one race went. */
export interface MuseumRow {
  readonly id: string;
  readonly title: string;
  readonly legacy: { readonly found: boolean; readonly schedule: string; readonly preemptions: number };
  readonly softc: {
    readonly violations: number;
    readonly schedules: number;
    /** The least of its scenarios. */
    readonly bound: number;
  };
  /** softc's scenarios, by id. */
  readonly reports: Readonly<Record<string, ExploreReport>>;
}

/** Limits of an exploration. What takes long is explored to fewer preemptions than `bound` all the same. */
export type Limits = Pick<ExploreOptions, "bound" | "max" | "show" | "random" | "pct" | "seed">;

/** The ids, in order. */
export function museum(): string[] {
  return Array.from({ length: 34 }, (_, i) => `R${String(i + 1).padStart(2, "0")}`);
}

/** Parts that every race stands on, explored by themselves; this many preemptions. */
export const PARTS: Readonly<Record<string, number>> = {
  ring: 3,
  backlog: 3,
  mail: 3,
  sleep: 3,
  sleep2: 3,
  bells: 3,
  depot: 3,
  refs: 3,
  holds: 2,
  neighbour: 3,
  grace: 2,
  graces: 2,
};

/** What an id names: a race's side (`R08` is the legacy one, `R08/softc`, `R08/more.ring`) or a part. */
export function locate(id: string): { readonly url: string; readonly scenario?: string } {
  const [name, side = "legacy"] = id.split("/");
  if (Object.hasOwn(PARTS, name!)) return { url: new URL(`./parts/${name}.ts`, import.meta.url).href };
  if (!museum().includes(name!)) throw new Error(`There is no race or part "${name}"`);
  return { url: new URL(`./races/${name}.ts`, import.meta.url).href, scenario: side };
}

/** A report of the museum in words: its replay line is the museum's own. */
export function describe(id: string, r: ExploreReport): string {
  return formatReport(r, (schedule) => `deno task explore --replay ${id} ${schedule}`);
}

/** Replays one schedule. Races of a legacy side are not looked for: it is plain where the original is. */
export function replayOne(id: string, schedule: string): ReturnType<typeof replay> {
  const { url, scenario } = locate(id);
  return replay(url, schedule, { ...(scenario && { scenario }), races: scenario !== "legacy" });
}

/** Explores one part. */
export function explorePart(name: string, o: Limits = {}): Promise<ExploreReport> {
  return explore(locate(name).url, { ...o, bound: Math.min(o.bound ?? 3, PARTS[name]!) });
}

/** Runs one race: the stored schedule on the legacy side, every schedule up to the bound on softc's. */
export async function runLitmus(id: string, o: Limits = {}): Promise<MuseumRow> {
  const { url } = locate(id);
  const litmus = (await import(url)).default as Litmus;
  const shown = await replayOne(id, litmus.stored);
  const reports: Record<string, ExploreReport> = {};
  for (const scenario of ["softc", ...Object.keys(litmus.more ?? {}).map((k) => `more.${k}`)]) {
    const bound = Math.min(o.bound ?? 3, litmus.large?.includes(scenario) === true ? 2 : 3);
    reports[`${id}/${scenario}`] = await explore(url, { ...o, bound, scenario });
  }
  const all = Object.values(reports);
  return {
    id,
    title: litmus.title,
    legacy: {
      found: shown.violation !== undefined && shown.violation.kind !== "diverged",
      schedule: litmus.stored,
      preemptions: shown.violation?.preemptions ?? 0,
    },
    softc: {
      violations: all.reduce((n, r) => n + r.violations, 0),
      schedules: all.reduce((n, r) => n + r.schedules, 0),
      bound: Math.min(...all.map((r) => r.bound)),
    },
    reports,
  };
}
