/** Wires between the interfaces of pairs, drawn over the cards. @module */
/// <reference lib="dom" />
import { svg } from "./dom.ts";
import type { Link } from "./model.ts";

/** Draws the wires of `links` between the rows that are in `stage`. */
export function drawWires(drawing: Element, stage: HTMLElement, links: readonly Link[]): void {
  const base = stage.getBoundingClientRect();
  const box = (vnet: string, name: string): DOMRect | undefined =>
    stage.querySelector(`[data-if="${CSS.escape(`${vnet}:${name}`)}"]`)?.getBoundingClientRect();
  drawing.setAttribute("width", String(base.width));
  drawing.setAttribute("height", String(base.height));
  const parts = links.flatMap((l) => {
    const [a, b] = l.ends.map((e, n) => box(e.vnet, l.name + "ab"[n]));
    return a === undefined || b === undefined ? [] : wire(l, base, a, b);
  });
  // Names over all lines.
  drawing.replaceChildren(
    ...parts.filter((p) => p.tagName !== "text"),
    ...parts.filter((p) => p.tagName === "text"),
  );
}

function wire(l: Link, base: DOMRect, a: DOMRect, b: DOMRect): SVGElement[] {
  // From the side of the one that looks at the other; both right sides within a vnet or one above the other.
  const [near, far] = a.left <= b.left ? [a, b] : [b, a];
  const facing = near.right < far.left;
  const x1 = near.right - base.left, y1 = near.top - base.top + near.height / 2;
  const x2 = (facing ? far.left : far.right) - base.left, y2 = far.top - base.top + far.height / 2;
  const bend = facing ? Math.max(20, (x2 - x1) / 2) : 26;
  const d = `M${x1} ${y1} C${x1 + bend} ${y1} ${facing ? x2 - bend : x2 + bend} ${y2} ${x2} ${y2}`;
  const told = netemText(l);
  return [
    svg("path", { class: told === "" ? "wire" : "wire emulated", d }, svg("title", {}, `${l.name} ${told}`)),
    svg("circle", { cx: String(x1), cy: String(y1), r: "3" }),
    svg("circle", { cx: String(x2), cy: String(y2), r: "3" }),
    // Side by side there is room for words between the cards.
    ...facing ? words(l.name, told.split(", "), (x1 + x2) / 2, (y1 + y2) / 2) : [],
  ];
}

function words(name: string, told: readonly string[], x: number, y: number): SVGElement[] {
  const text = (t: string, down: number, more: { class?: string } = {}): SVGElement =>
    svg("text", { x: String(x), y: String(y + down), "text-anchor": "middle", ...more }, t);
  return [
    text(name, -5),
    ...told.filter((t) => t !== "").map((t, n) => text(t, 11 + n * 12, { class: "netem" })),
  ];
}

function netemText({ netem }: Link): string {
  if (netem === undefined) return "";
  const { delay, loss, rate } = netem;
  return [
    delay === undefined ? "" : `${delay} ms`,
    loss === undefined ? "" : `${Number((loss * 100).toFixed(3))} % lost`,
    rate === undefined ? "" : `${rate} p/s`,
  ].filter((t) => t !== "").join(", ");
}
