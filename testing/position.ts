/** Where in the source something happens. @module */

/** The explorer and what accesses pass through: no place of anybody's access. */
const DOOR = /\/(core\/doors|core\/memory\/sanitizer|testing)\b[^ ]*\.[jt]s/;
/** All of softc that runs in a scenario. */
const SOFTC = /\/(core|vnet|kernel|testing)\/[^ ]*\.[jt]s/;

/** The frames of a stack without what a module was loaded with: a query is no part of a place. */
function frames(stack: string): string[] {
  return stack.split("\n").filter((l) => /^\s*at |@/.test(l)).map((l) =>
    l.trim().replace(/^at /, "").replace(/\?[^\s()]*?(?=:\d+(:\d+)?\)?$)/, "")
  );
}

/** Where an error was thrown: the innermost frame outside softc, if there is one. */
export function thrownAt(stack: string): string {
  const all = frames(stack);
  return all.find((f) => !SOFTC.test(f)) ?? all[0] ?? "";
}

/** Where an access is made: the innermost frame that is neither the explorer's nor in a file of helpers. */
export function position(helpers?: string): string {
  const all = frames(new Error().stack ?? "");
  return all.find((f) => !DOOR.test(f) && (helpers === undefined || !f.includes(helpers))) ?? all.at(-1) ??
    "";
}
