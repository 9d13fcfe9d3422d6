/**
 * A litmus test: one race, as the legacy protocol that shows it and as softc's protocol that must not.
 *
 * @module
 */
import type { Scenario } from "../../testing/scenario.ts";

/** One race. */
export interface Litmus {
  /** `R01` to `R34`. */
  readonly id: string;
  /** One line. */
  readonly title: string;
  /** The original's own steps over our primitives: shows the forbidden outcome. */
  readonly legacy: Scenario;
  /** A schedule of {@linkcode Litmus.legacy} that shows it, every time. */
  readonly stored: string;
  /** softc's production code: must not. */
  readonly softc: Scenario;
  /** Further scenarios of softc's side, by name. */
  readonly more?: Readonly<Record<string, Scenario>>;
  /** Scenarios of softc's side that take more than 50,000 schedules to 3 preemptions: `softc`, `more.ring`. */
  readonly large?: readonly string[];
}

/** Makes a litmus test: traces of its legacy side show the race's own lines. */
export function defineLitmus(l: Litmus): Litmus {
  return { ...l, legacy: { ...l.legacy, helpers: "litmus/legacy" } };
}
