/** Applies a lab: every step, or none. @module */
import { SoftcError } from "../../mod.ts";
import type { System } from "../system.ts";
import { planLab, type Step } from "./plan.ts";
import type { Lab } from "./schema.ts";

/** Options of an apply. */
export interface ApplyOptions {
  /** Told of each step before it is done. */
  onStep?(text: string): void;
  /** Aborting it fails the next step with `SOFTC_LAB_APPLY`: what was done is undone. */
  readonly signal?: AbortSignal;
}

/**
 * Makes the system what the lab says; a no-op when it is. When a step fails, those done are undone in reverse.
 *
 * @throws {SoftcError} `SOFTC_LAB_APPLY`, `SOFTC_LAB_BAD`, `SOFTC_LAB_BUSY`
 */
export async function applyLab(
  system: System,
  lab: Lab,
  o: ApplyOptions = {},
): Promise<Step[]> {
  if (system.applying !== undefined) {
    throw new SoftcError("SOFTC_LAB_BUSY", "Cannot apply the lab", {
      state: "applying another",
      wanted: "idle",
    });
  }
  system.applying = { done: 0, total: 0 };
  try {
    const steps = planLab(system, lab);
    const done: Step[] = [];
    for (const step of steps) {
      try {
        o.signal?.throwIfAborted();
        o.onStep?.(step.text);
        system.applying = { step: step.text, done: done.length, total: steps.length };
        await step.run();
        done.push(step);
      } catch (cause) {
        throw new SoftcError(
          "SOFTC_LAB_APPLY",
          `Cannot apply the lab: "${step.text}" failed: ${(cause as Error).message}`,
          { cause, state: await undo(done), wanted: "as before" },
        );
      }
    }
    return steps;
  } finally {
    system.applying = undefined;
  }
}

/** Takes steps back; says how it went. One that cannot be taken back does not keep the others. */
async function undo(done: Step[]): Promise<string> {
  const failed: string[] = [];
  for (const step of done.reverse()) {
    await step.undo().catch((e: Error) => failed.push(`"${step.text}" stays: ${e.message}`));
  }
  return failed.length === 0 ? "as before" : failed.join("; ");
}
