/**
 * Schedules as data: where another choice than the expected one is taken. Short enough to paste.
 *
 * @module
 */

/** At point `step`, `choice` runs next. */
export interface Decision {
  /** Number of the point, from 0 on. */
  readonly step: number;
  /** Who runs next: a thread, or a fiber of thread 0. */
  readonly choice: number;
}

/** Decisions in order of their points. */
export type Schedule = readonly Decision[];

/**
 * As a string: `0.1-k.2`, numbers in base 36; `.` when nothing is decided.
 *
 * @example
 * ```ts
 * import { formatSchedule } from "@softc/softc/testing";
 *
 * console.log(formatSchedule([{ step: 36, choice: 1 }])); // 10.1
 * ```
 */
export function formatSchedule(s: Schedule): string {
  return s.length === 0 ? "." : s.map((d) => `${d.step.toString(36)}.${d.choice.toString(36)}`).join("-");
}

/**
 * Reads what {@linkcode formatSchedule} wrote.
 *
 * @example
 * ```ts
 * import { parseSchedule } from "@softc/softc/testing";
 *
 * console.log(parseSchedule("10.1")); // step 36, choice 1
 * ```
 * @throws {Error} when it is not a schedule
 */
export function parseSchedule(text: string): Schedule {
  if (text === ".") return [];
  return text.split("-").map((part) => {
    const m = /^([0-9a-z]+)\.([0-9a-z]+)$/.exec(part);
    if (m === null) throw new Error(`"${text}" is not a schedule (wanted STEP.CHOICE-STEP.CHOICE... or ".")`);
    return { step: parseInt(m[1]!, 36), choice: parseInt(m[2]!, 36) };
  });
}
