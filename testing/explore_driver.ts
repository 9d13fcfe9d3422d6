/**
 * The explorer for drivers: one call explores a driver's own code against a detach and a move.
 *
 * @module
 */
import { siblingUrl } from "../kernel/spawn.ts";
import { explore, type ExploreOptions, type ExploreReport } from "./explore.ts";

/** What is done to a driver's interface while another CPU sends through it. */
export const DRIVER_SCENARIOS = ["detach", "move"] as const;

/** How a driver is explored. */
export interface DriverExploreOptions extends Omit<ExploreOptions, "scenario"> {
  /** Options of the driver. */
  readonly options?: unknown;
  /** The driver of a module that has several, by its cloner. */
  readonly cloner?: string;
}

/** The module with the scenarios of a driver: its URL, for {@linkcode explore} and {@linkcode replay}. */
export function driverScenarios(
  url: URL | string,
  o: Pick<DriverExploreOptions, "options" | "cloner"> = {},
): string {
  const module = new URL(siblingUrl(import.meta.url, "driver_scenario"));
  module.searchParams.set("driver", String(url));
  if (o.options !== undefined) module.searchParams.set("options", JSON.stringify(o.options));
  if (o.cloner !== undefined) module.searchParams.set("cloner", o.cloner);
  return module.href;
}

/**
 * Explores a driver: its hooks on two real threads, every schedule up to the bound, while its interface is detached
 * and while it moves. One report for each of {@linkcode DRIVER_SCENARIOS}.
 *
 * @example
 * ```ts ignore
 * import { exploreDriver, formatReport } from "@softc/softc/testing";
 *
 * for (const report of await exploreDriver(new URL("./mynic.ts", import.meta.url), { bound: 1 })) {
 *   if (report.violation !== undefined) throw new Error(formatReport(report));
 * }
 * ```
 */
export async function exploreDriver(
  url: URL | string,
  o: DriverExploreOptions = {},
): Promise<ExploreReport[]> {
  const module = driverScenarios(url, o);
  const reports: ExploreReport[] = [];
  for (const scenario of DRIVER_SCENARIOS) {
    const r = await explore(module, { ...o, scenario });
    reports.push({ ...r, command: `softc explore ${url} --scenario ${scenario}` });
  }
  return reports;
}
