/**
 * Options by name: one that there is not is refused, the nearest that there is named first, never ignored. Off the hot path.
 *
 * @module
 */
import { SoftcError } from "./error.ts";

/** The names of the options `T`: one too many or one too few does not compile. */
export type Names<T> = Readonly<Record<keyof T, true>>;

/** Refuses what is given under a name that `names` lacks; `what` follows "Cannot". @throws {SoftcError} `SOFTC_OPTION_UNKNOWN` */
export function checkNames(what: string, given: unknown, names: Readonly<Record<string, true>>): void {
  if (typeof given !== "object" || given === null) return;
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name)) continue;
    const known = Object.keys(names);
    const far = (k: string): number => distance(name.toLowerCase(), k.toLowerCase());
    const near = [...known].sort((x, y) => far(x) - far(y))[0]!;
    const others = known.filter((k) => k !== near);
    throw new SoftcError("SOFTC_OPTION_UNKNOWN", `Cannot ${what} with "${name}"`, {
      wanted: others.length === 0 ? near : `${near}, or ${others.join(", ")}`,
    });
  }
}

/** Letters to add, drop or change to make `there` of `given` (Levenshtein). */
function distance(given: string, there: string): number {
  let row = Array.from({ length: there.length + 1 }, (_, j) => j);
  for (let i = 1; i <= given.length; i++) {
    const next = [i];
    for (let j = 1; j <= there.length; j++) {
      const same = given.charAt(i - 1) === there.charAt(j - 1);
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
    }
    row = next;
  }
  return row[there.length]!;
}
