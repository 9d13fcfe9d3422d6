/**
 * A schedule as a picture: a column per thread, a line per access, with source positions.
 *
 * @module
 */
import { ACCESS } from "../core/doors/arena.ts";
import { ENTRY, POINT, X } from "./block.ts";
import type { Runner } from "./runner.ts";
import { describeWord } from "./words.ts";

const NAMES = new Map<number, string>([
  ...Object.entries(ACCESS).map(([name, kind]): [number, string] => [kind, name]),
  ...Object.entries(POINT).map(([name, kind]): [number, string] => [kind, name]),
]);
const WIDTH = 44;
/** Lines of a trace that are kept; the middle of a longer one is left out. */
const LINES = 160;

/** Words this far apart are one thing. */
const NEAR = 16;

/** A line of a trace. */
interface Line {
  readonly step: number;
  readonly choice: number;
  readonly kind: number;
  readonly word: number;
  readonly place: string;
  /** Words near `word` that one function went over. */
  words: number;
  readonly handed: string;
}

/** The trace of the runner's last run: accesses to shared words, and every point at which the turn may change. */
export function formatTrace(
  runner: Runner,
  where: ReadonlyMap<number, string>,
  isShared: (word: number, words: number) => boolean,
): string {
  const { x, scenario, arena } = runner;
  const names = scenario.threads.map((t) => t.name);
  const lines: Line[] = [];
  for (let s = 0; s < x[X.steps]!; s++) {
    const e = X.trace + s * ENTRY;
    const [choice, kind, word, words, , next] = x.subarray(e, e + ENTRY) as unknown as [number, ...number[]];
    const stays = next === choice && kind !== POINT.start;
    const access = kind! < ACCESS.wait || kind === POINT.freed;
    if ((kind! & POINT.quiet) !== 0 || access && stays && !isShared(word!, words!)) continue;
    const at = place(where.get(s));
    const last = lines.at(-1);
    // A function that goes over plain words is one line.
    const goesOn = stays && last?.handed === "" && last.choice === choice && last.kind === kind &&
      (kind === ACCESS.get || kind === ACCESS.set) && functionOf(last.place) === functionOf(at) &&
      Math.abs(word! - last.word) < NEAR;
    if (goesOn) last.words++;
    else {
      const to = names[next!] ?? `${names[0]} (${next! - names.length})`;
      lines.push({
        step: s,
        choice,
        kind: kind!,
        word: word!,
        place: at,
        words: Math.max(1, words!),
        handed: stays ? "" : `  --> ${to}`,
      });
    }
  }
  const text = lines.map((l) => {
    const what = NAMES.get(l.kind) ?? String(l.kind);
    const many = l.words > 1 ? ` (${l.words} words)` : "";
    const fiber = l.choice < names.length ? "" : `(${l.choice - names.length}) `;
    const cell = l.word < 0 ? fiber + what : `${fiber}${what} ${describeWord(arena, l.word)}${many}`;
    const column = l.kind === POINT.start
      ? ""
      : row(names.length, l.choice < names.length ? l.choice : 0, cell);
    return `${l.step.toString(36).padStart(5)}  ${column}${l.place}${l.handed}`;
  });
  if (text.length > LINES) text.splice(LINES / 2, text.length - LINES, `   ... ${text.length - LINES} more`);
  return [" step  " + names.map((name) => name.padEnd(WIDTH)).join(""), ...text].join("\n");
}

/** A place without its line. */
function functionOf(place: string): string {
  return place.replace(/:\d+/, "");
}

/** A text in its thread's column. */
function row(columns: number, column: number, text: string): string {
  return " ".repeat(WIDTH * column) + text.slice(0, WIDTH - 2).padEnd(WIDTH) +
    " ".repeat(WIDTH * (columns - 1 - column));
}

/** A frame as file, line and function. */
function place(where: string | undefined): string {
  if (where === undefined || where === "") return "";
  const m = /([\w$.#<> ]*?) ?\(?(?:[a-z]+:\/\/)?[^()]*?([\w-]+\/[\w.-]+\.[jt]s:\d+)(?::\d+)?\)?$/.exec(where);
  return m === null ? where : `${m[2]} ${m[1]}`.trimEnd();
}
