/** Who holds something, since when, and what to do: the answer to "why is it not free yet?". @module */

/** One holder. */
export interface Blame {
  /** What is held: "grace period", "reference", "hook", "wait". */
  readonly what: string;
  /** Who holds it, by name. */
  readonly holder: string;
  /** Milliseconds since it was taken, where known. */
  readonly age?: number;
  /** What to do. */
  readonly fix: string;
}

/** Holders as a printed tree, one line each. */
export function blameTree(title: string, blame: readonly Blame[]): string {
  if (blame.length === 0) return `${title}: nothing holds it`;
  const lines = blame.map((b, i) => {
    const age = b.age === undefined ? "" : ` for ${Math.round(b.age)} ms`;
    return `${i === blame.length - 1 ? "└─" : "├─"} ${b.what}: ${b.holder}${age}; ${b.fix}`;
  });
  return [title, ...lines].join("\n");
}
