/** Where in the source something happens. @module */

/** The innermost frame of a stack that is neither the door nor the explorer; one outside core where `outside` says so. */
export function frameOf(stack: string, outside = false): string {
  const own = outside
    ? /\/(core|vnet|kernel|testing)\/[^ ]*\.[jt]s/
    : /\/(core\/doors|core\/memory\/sanitizer|testing)\b[^ ]*\.[jt]s/;
  const frames = stack.split("\n").filter((l) => /^\s*at |@/.test(l)).map(plain);
  return frames.find((l) => !own.test(l)) ?? frames.at(outside ? 0 : -1) ?? "";
}

/** A frame without what its module was loaded with: a query is no part of a place. */
function plain(frame: string): string {
  return frame.trim().replace(/^at /, "").replace(/\?[^\s()]*?(?=:\d+(:\d+)?\)?$)/, "");
}

/** Where an access is made. */
export function position(): string {
  return frameOf(new Error().stack ?? "");
}
