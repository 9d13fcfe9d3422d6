/** Where in the source an access is made. @module */

/** The innermost line of code that is neither the door nor the explorer. */
export function position(): string {
  const lines = (new Error().stack ?? "").split("\n").slice(1);
  const found = lines.find((l) => !/\/(core\/doors|core\/memory\/sanitizer|testing)\b[^ ]*\.[jt]s/.test(l)) ??
    lines.at(-1) ?? "";
  return found.trim().replace(/^at /, "");
}
