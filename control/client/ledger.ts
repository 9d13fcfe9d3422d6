/** The ledger as rows of a table. @module */
/// <reference lib="dom" />
import { el } from "./dom.ts";

interface Ledger {
  readonly born: Record<string, number>;
  readonly ended: Record<string, number>;
  readonly dropped: Record<string, number>;
  readonly live: { owner: string; lives: number }[];
  readonly sent: number;
  readonly delivered: number;
  readonly unaccounted: number;
}

/** Rows, and the sum that must come out. */
export function ledgerRows(
  l: Ledger,
  meaning: Readonly<Record<string, string>>,
): { rows: HTMLElement[]; sum: string; unaccounted: number } {
  const row = (what: string, how: string, n: number, text = ""): HTMLElement =>
    el(
      "tr",
      { class: what.replace(" ", "-") },
      ...[what, how, n.toLocaleString("en-US"), text].map((t) => el("td", {}, t)),
    );
  const some = (o: Record<string, number>): [string, number][] => Object.entries(o).filter(([, n]) => n > 0);
  const dropped = some(l.dropped);
  const lost = dropped.reduce((n, [, x]) => n + x, 0);
  const live = l.live.reduce((n, x) => n + x.lives, 0);
  return {
    rows: [
      ...some(l.born).map(([how, n]) => row("born", how, n)),
      ...some(l.ended).map(([how, n]) => row("ended", how, n)),
      ...dropped.map(([why, n]) => row("dropped", why, n, meaning[why])),
      ...l.live.map((x) => row("under way", x.owner, x.lives)),
    ],
    sum: `sent ${l.sent.toLocaleString("en-US")} = delivered ${
      l.delivered.toLocaleString("en-US")
    } + dropped ${lost.toLocaleString("en-US")} + under way ${
      live.toLocaleString("en-US")
    }; unaccounted ${l.unaccounted}`,
    unaccounted: l.unaccounted,
  };
}
