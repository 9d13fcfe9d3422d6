/** A chart of numbers over the last two minutes. @module */
/// <reference lib="dom" />
import uPlot from "uplot";
import { el } from "./dom.ts";
import { colourOf, short } from "./model.ts";

/** Points kept: one a second. */
const POINTS = 120;

/** Lines by name; a name that comes or goes makes the chart anew. */
export class Chart {
  readonly #parent: HTMLElement;
  readonly #label: string;
  readonly #drawing = el("div");
  readonly #legend = el("ul", { class: "legend" });
  readonly #times: number[] = [];
  readonly #lines = new Map<string, (number | null)[]>();
  #plot: uPlot | undefined;

  constructor(parent: HTMLElement) {
    this.#parent = parent;
    this.#label = parent.getAttribute("aria-label")!;
    parent.append(this.#drawing, this.#legend);
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(parent);
  }

  /** Adds one moment. */
  add(at: number, values: ReadonlyMap<string, number>): void {
    let changed = this.#plot === undefined;
    for (const name of values.keys()) {
      if (this.#lines.has(name)) continue;
      this.#lines.set(name, this.#times.map(() => null));
      changed = true;
    }
    this.#times.push(at / 1000);
    for (const [name, line] of this.#lines) line.push(values.get(name) ?? null);
    if (this.#times.length > POINTS) {
      this.#times.shift();
      for (const line of this.#lines.values()) line.shift();
    }
    for (const [name, line] of this.#lines) {
      if (line.every((n) => n === null)) changed = this.#lines.delete(name);
    }
    if (changed) this.draw();
    else this.#plot?.setData(this.#data());
    this.#tell(values);
  }

  /** Draws it anew: colours are taken from the page's style. */
  draw(): void {
    if (this.#lines.size === 0) return;
    this.#plot?.destroy();
    const axis = {
      stroke: this.#colour("var(--dim)"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: this.#colour("var(--grid)"), width: 1 },
      ticks: { show: false },
    };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        padding: [8, 4, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        series: [
          {},
          ...[...this.#lines.keys()].map((label, i) => ({
            label,
            // A line is told by its dashes too, not by its colour alone.
            stroke: this.#colour(colourOf(label)),
            dash: DASHES[i % DASHES.length]!,
            width: 1.75,
            points: { show: false },
          })),
        ],
        axes: [
          {
            ...axis,
            size: 22,
            splits: (_: uPlot, __: number, min: number, max: number) =>
              [0.25, 0.5, 0.75].map((x) => min + (max - min) * x),
            values: () => [-90, -60, -30].map((s) => `${s} s`),
          },
          {
            ...axis,
            size: 48,
            splits: (_: uPlot, __: number, ___: number, max: number) => powers(max),
            // uPlot leaves out what it finds too dense.
            values: (_: uPlot, ticks: (number | null)[]) =>
              ticks.map((n) => n === null ? "" : short(n).replace(/\.0+ /, " ")),
            filter: (_: uPlot, ticks: number[]) => ticks,
          },
        ],
        scales: {
          x: { range: (_: uPlot, __: number, max: number): [number, number] => [max - POINTS, max] },
          // Millions beside hundreds, and zero: logarithmic, but linear around zero.
          y: {
            distr: 4,
            asinh: 1,
            range: (_: uPlot, __: number, max: number): [number, number] => [0, Math.max(10, max * 2)],
          },
        },
      },
      this.#data(),
      this.#drawing,
    );
  }

  /** The numbers of now, for eyes and for ears; the largest first. */
  #tell(values: ReadonlyMap<string, number>): void {
    const now = [...values].filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
    this.#legend.replaceChildren(...now.map(([name, n]) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = colourOf(name);
      return el("li", {}, swatch, `${name} `, el("b", {}, short(n)));
    }));
    const text = now.map(([name, n]) => `${name} ${short(n)}`).join(", ");
    this.#parent.setAttribute("aria-label", `${this.#label} now: ${text || "none"}`);
  }

  /** A colour of the style as a canvas takes it: variables and schemes resolved. */
  #colour(css: string): string {
    this.#parent.style.color = css;
    const { color } = getComputedStyle(this.#parent);
    this.#parent.style.color = "";
    return color;
  }

  #data(): uPlot.AlignedData {
    return [this.#times, ...this.#lines.values()];
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#parent.clientWidth), height: 160 };
  }
}

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** 0, and the powers of ten up to `max`: at most five of them. */
function powers(max: number): number[] {
  const most = Math.floor(Math.log10(max));
  const step = Math.ceil(most / 4);
  return [0, ...Array.from({ length: Math.floor(most / step) }, (_, i) => 10 ** (step * (i + 1)))];
}
