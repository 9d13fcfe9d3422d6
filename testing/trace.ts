/**
 * A schedule as a picture: a column per thread, a line per access, with source positions.
 *
 * @module
 */
import { ACCESS } from "../core/doors/arena.ts";
import { ENTRY, POINT, X } from "./block.ts";
import { describeWord } from "./race.ts";
import type { Runner } from "./runner.ts";

const NAMES = new Map<number, string>([
  ...Object.entries(ACCESS).map(([name, kind]): [number, string] => [kind, name]),
  ...Object.entries(POINT).map(([name, kind]): [number, string] => [kind, name]),
]);
const WIDTH = 44;
/** Lines of a trace that are kept; the middle of a longer one is left out. */
const LINES = 160;

/** The trace of the runner's last run: accesses to shared words, and every point at which the turn may change. */
export function formatTrace(
  runner: Runner,
  where: ReadonlyMap<number, string>,
  isShared: (word: number, words: number) => boolean,
): string {
  const { x, scenario, arena } = runner;
  const n = scenario.threads.length;
  const lines = [" step  " + scenario.threads.map((t) => t.name.padEnd(WIDTH)).join("")];
  for (let s = 0; s < x[X.steps]!; s++) {
    const e = X.trace + s * ENTRY;
    const choice = x[e]!;
    const kind = x[e + 1]!;
    const next = x[e + 5]!;
    const quiet = (kind & POINT.quiet) !== 0;
    const word = x[e + 2]!;
    if (
      quiet || (kind < ACCESS.wait || kind === POINT.freed) && next === choice && !isShared(word, x[e + 3]!)
    ) continue;
    const column = choice < n ? choice : 0;
    const what = `${NAMES.get(kind) ?? kind}${word < 0 ? "" : ` ${describeWord(arena, word)}`}`;
    const fiber = choice < n ? "" : `(${choice - n}) `;
    const text = `${fiber}${what}`.slice(0, WIDTH - 2).padEnd(WIDTH);
    const left = kind === POINT.start
      ? ""
      : " ".repeat(WIDTH * column) + text + " ".repeat(WIDTH * (n - 1 - column));
    const to = next < n ? scenario.threads[next]!.name : `${scenario.threads[0]!.name} (${next - n})`;
    const handed = next === choice && kind !== POINT.start ? "" : `  --> ${to}`;
    lines.push(`${s.toString(36).padStart(5)}  ${left.trimEnd()}${place(where.get(s))}${handed}`);
  }
  if (lines.length > LINES) {
    lines.splice(LINES / 2, lines.length - LINES, `   ... ${lines.length - LINES} more`);
  }
  return lines.join("\n");
}

function place(where: string | undefined): string {
  if (where === undefined) return "";
  const m = /([\w$.#<> ]*?) ?\(?(?:[a-z]+:\/\/)?[^()]*?([\w-]+\/[\w.-]+\.[jt]s:\d+)(?::\d+)?\)?$/.exec(where);
  return m === null ? `  ${where}` : `  ${m[2]} ${m[1]}`.trimEnd();
}
