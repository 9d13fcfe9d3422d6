/** Finds a scenario in the module that exports it. @module */
import type { Scenario } from "./scenario.ts";

/**
 * The scenario of an imported module: its default export, or the one named `pick` in there (`a.b` goes down twice).
 *
 * @throws {Error} when there is none
 */
export function pickScenario(exported: unknown, pick: string | undefined): Scenario {
  const found = (exported as { default?: unknown }).default;
  let one: unknown = found;
  for (const key of pick?.split(".") ?? []) one = (one as Record<string, unknown> | undefined)?.[key];
  if (!Array.isArray((one as Scenario | undefined)?.threads)) {
    throw new Error(`The module exports no scenario${pick === undefined ? "" : ` "${pick}"`} as its default`);
  }
  return one as Scenario;
}
