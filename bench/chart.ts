/** The ratios as an SVG picture, for README and docs. @module */
import { number } from "./harness.ts";
import type { Ratio } from "./targets.ts";

const ROW = 26;
const LEFT = 470;
const WIDTH = 300;

const escape = (s: string): string => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Bars on a logarithmic scale; the line is the peer, to its right softc is the better one. */
export function chart(ratios: readonly Ratio[], title: string): string {
  const rows = ratios.filter((r) =>
    r.value !== null && r.unit === "x" && !r.name.startsWith("cost per packet")
  );
  const times = rows.map((r) => r.sense === ">=" ? r.value! : 1 / r.value!);
  const reach = Math.max(2, ...times.map((t) => Math.max(t, 1 / t)));
  const x = (t: number): number => LEFT + WIDTH / 2 * (1 + Math.log(t) / Math.log(reach));
  const height = 60 + ROW * rows.length;
  const bars = rows.flatMap((r, i) => {
    const y = 44 + i * ROW, one = x(1), end = x(times[i]!);
    return [
      `<text x="${LEFT - 10}" y="${y + 13}" text-anchor="end">${
        escape(`${r.name} / ${r.against.replace(/^batch 32, /, "")}`)
      }</text>`,
      `<rect x="${Math.min(one, end).toFixed(1)}" y="${y}" width="${
        Math.max(1, Math.abs(end - one)).toFixed(1)
      }" height="18" rx="2" fill="${times[i]! >= 1 ? "#2a7d4f" : "#b07a2a"}"/>`,
      `<text x="${LEFT + WIDTH + 10}" y="${y + 13}">${number(times[i]!)}x${r.noisy ? " (noisy)" : ""}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + 110} ${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>text { font: 12px system-ui, sans-serif; fill: #444 } @media (prefers-color-scheme: dark) { text { fill: #ccc } }</style>`,
    `<text x="10" y="20" style="font-weight: bold">${escape(title)}</text>`,
    ...bars,
    `<line x1="${x(1)}" x2="${x(1)}" y1="38" y2="${height - 14}" stroke="#888"/>`,
    `</svg>`,
    "",
  ].join("\n");
}
