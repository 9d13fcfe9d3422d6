/**
 * Markdown as `deno fmt` leaves it: tables with padded cells.
 *
 * @module
 */

/** The lines of a table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const widths = head.map((h, i) => Math.max(3, h.length, ...rows.map((r) => r[i]!.length)));
  const padded = (cells: readonly string[]): string => row(cells.map((c, i) => c.padEnd(widths[i]!)));
  return [padded(head), row(widths.map((w) => "-".repeat(w))), ...rows.map(padded)];
}

/** A fenced block. */
export function code(language: string, text: string): string[] {
  return ["```" + language, ...text.split("\n"), "```"];
}
