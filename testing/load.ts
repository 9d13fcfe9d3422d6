/** Finds a scenario in the module that exports it. @module */
import type { Scenario } from "./scenario.ts";

/** Where a scenario is: the coordinator and each thread load it for themselves. */
export interface ScenarioSource {
  readonly url: string;
  /** Its name in there; `a.b` goes down twice. */
  readonly pick: string | undefined;
  /** What a default export that is a function is called with. */
  readonly input: unknown;
}

/**
 * Loads a scenario: the default export of its module or what that returns, or the one named in there.
 *
 * @throws {Error} when there is none
 */
export async function loadScenario({ url, pick, input }: ScenarioSource): Promise<Scenario> {
  const found = (await import(url) as { default?: unknown }).default;
  let one: unknown = typeof found === "function" ? await found(input) : found;
  for (const key of pick?.split(".") ?? []) one = (one as Record<string, unknown> | undefined)?.[key];
  if (!Array.isArray((one as Scenario | undefined)?.threads)) {
    throw new Error(`The module exports no scenario${pick === undefined ? "" : ` "${pick}"`} as its default`);
  }
  return one as Scenario;
}
