/**
 * The museum: the races R01 to R34, and how one is run.
 *
 * @module
 */
import { explore, replay } from "../../testing/mod.ts";
import type { Inexpressible, Litmus } from "./litmus.ts";
import { INEXPRESSIBLE } from "./inexpressible.ts";

/** How one race went. */
export interface MuseumRow {
  readonly id: string;
  readonly title: string;
  /** Why it is not expressed. */
  readonly reason?: string;
  readonly legacy?: { readonly found: boolean; readonly schedule: string; readonly preemptions: number };
  readonly softc?: {
    readonly violations: number;
    readonly schedules: number;
    readonly bound: number;
    readonly violation: string;
    readonly warnings: readonly string[];
  };
}

/** The ids, in order. */
export function museum(): string[] {
  return Array.from({ length: 34 }, (_, i) => `R${String(i + 1).padStart(2, "0")}`);
}

/** URL of a race's file. */
export function litmusFile(id: string): string {
  return new URL(`./races/${id}.ts`, import.meta.url).href;
}

/** Parts that every race stands on, explored by themselves. */
export function parts(): string[] {
  return ["ring", "mail", "sleep", "sleep2", "bells", "depot", "refs", "grace", "graces"];
}

/** URL of a part's file. */
export function partFile(name: string): string {
  return new URL(`./parts/${name}.ts`, import.meta.url).href;
}

/** Runs one race: the stored schedule on the legacy side, every schedule up to the bound on softc's. */
export async function runLitmus(
  id: string,
  o: { bound?: number; max?: number; show?: number } = {},
): Promise<MuseumRow> {
  const missing: Inexpressible | undefined = INEXPRESSIBLE.find((r) => r.id === id);
  if (missing !== undefined) return { id, title: "", reason: missing.reason };
  const url = litmusFile(id);
  const litmus = (await import(url)).default as Litmus;
  const shown = await replay(url, litmus.stored, { scenario: "legacy", races: false });
  const softc = { violations: 0, schedules: 0, bound: Infinity, violation: "", warnings: [] as string[] };
  for (const pick of ["softc", ...Object.keys(litmus.more ?? {}).map((k) => `more.${k}`)]) {
    const r = await explore(url, {
      scenario: pick,
      bound: o.bound ?? litmus.bound ?? 2,
      max: o.max ?? 200_000,
      show: o.show ?? 0,
    });
    softc.violations += r.violations;
    softc.schedules += r.schedules;
    softc.bound = Math.min(softc.bound, r.bound);
    softc.warnings.push(...r.warnings.map((w) => `${pick}: ${w}`));
    for (const trace of r.shown) console.log(trace);
    if (r.violation !== undefined) {
      softc.violation = `${r.violation.kind}: ${r.violation.message}\n${r.violation.trace}\n` +
        `replay: deno task explore --replay ${id}/${pick} ${r.violation.schedule}`;
    }
  }
  return {
    id,
    title: litmus.title,
    legacy: {
      found: shown.violation !== undefined,
      schedule: litmus.stored,
      preemptions: shown.violation?.preemptions ?? 0,
    },
    softc,
  };
}
