/**
 * The raw loops under the race detector: a copy of the tree in which every raw access to a shared word is led through
 * the door, and the races on it. In the tree itself the door sees none of them (tests/repo/raw.ts lists them).
 *
 * @module
 */
import { RAW } from "../repo/raw.ts";
import { original, TreeCopy, withDoors } from "./copy.ts";
import { museum, PARTS } from "./museum.ts";

/** The sanitizer is the watch behind the door itself. */
const FILES = Object.keys(RAW).filter((f) => f !== "core/memory/sanitizer.ts");

/** `a[i]` becomes `get(a, i)`, `a[i] = v;` becomes `set(a, i, v);`, for the arena's view, whatever it is reached by. */
export function throughDoor(text: string): { readonly text: string; readonly sites: number } {
  const view = /(?<![\w$.#])(?:this\.#a|(?:[\w.]+\.)?a)\[/g;
  const found = view.exec(text);
  if (found === null) return { text, sites: 0 };
  const from = found.index + found[0].length;
  const to = closing(text, from, "[", "]");
  const name = found[0].slice(0, -1);
  const index = throughDoor(text.slice(from, to));
  let rest = text.slice(to + 1).replace(/^!/, "");
  const write = /^ = /.test(rest);
  if (/^ ?(?:[-+*|&^]|<<|>>>?)?=(?!=)/.test(rest) && !write || /^(?:\+\+|--)/.test(rest)) {
    throw new Error(`An access that is neither a read nor a write: ${text.slice(found.index, to + 10)}`);
  }
  let made = `get(${name}, ${index.text})`;
  let sites = index.sites + 1;
  if (write) {
    const end = rest.indexOf(";");
    const value = throughDoor(rest.slice(3, end));
    made = `set(${name}, ${index.text}, ${value.text})`;
    sites += value.sites;
    rest = rest.slice(end);
  }
  const after = throughDoor(rest);
  return { text: text.slice(0, found.index) + made + after.text, sites: sites + after.sites };
}

/** Where the bracket that is open at `from` closes. */
function closing(text: string, from: number, open: string, close: string): number {
  for (let i = from, depth = 1; i < text.length; i++) {
    if (text[i] === open) depth++;
    else if (text[i] === close && --depth === 0) return i;
  }
  throw new Error("A bracket does not close");
}

/** Leads the raw accesses of a copy through the door. */
export function leadThroughDoor(
  copy: TreeCopy,
): { readonly files: readonly string[]; readonly sites: number } {
  let sites = 0;
  for (const file of FILES) {
    const led = throughDoor(original(file));
    sites += led.sites;
    copy.write(file, withDoors(file, led.text));
  }
  return { files: FILES, sites };
}

/** Explores every race and part with its raw loops seen, to one preemption; true when none shows anything. */
export async function runRaw(say: (text: string) => void): Promise<boolean> {
  const copy = new TreeCopy();
  try {
    const { sites } = leadThroughDoor(copy);
    const { by, schedules } = await copy.ask([...museum(), ...Object.keys(PARTS)], ["--bound", "1"]);
    const what =
      `raw loops seen: ${sites} accesses in ${FILES.length} files, every race and part to 1 preemption`;
    say(
      by === "" ? `${what}, ${schedules.toLocaleString("en-US")} schedules: we found none` : `${what}: ${by}`,
    );
    return by === "";
  } finally {
    copy.remove();
  }
}
