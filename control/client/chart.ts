/** A chart of rates over the last two minutes. @module */
/// <reference lib="dom" />
import uPlot from "uplot";

/** Points kept: one a second. */
const POINTS = 120;

/** Lines by name; a name that comes or goes makes the chart anew. */
export class Chart {
  readonly #parent: HTMLElement;
  readonly #times: number[] = [];
  readonly #lines = new Map<string, (number | null)[]>();
  #plot: uPlot | undefined;

  constructor(parent: HTMLElement) {
    this.#parent = parent;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(parent);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#make());
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
    if (changed) this.#make();
    else this.#plot?.setData(this.#data());
  }

  #make(): void {
    this.#plot?.destroy();
    const style = getComputedStyle(document.body);
    const axis = {
      stroke: style.color,
      grid: { stroke: "rgb(128 128 128 / .25)" },
      ticks: { stroke: "rgb(128 128 128 / .25)" },
    };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        series: [
          {},
          ...[...this.#lines.keys()].map((label, i) => ({
            label,
            // A line is told by its dashes too, not by its colour alone.
            stroke: `hsl(${(i * 137 + 210) % 360} 65% 50%)`,
            dash: i % 3 === 0 ? [] : i % 3 === 1 ? [6, 3] : [2, 3],
            width: 2,
          })),
        ],
        axes: [axis, { ...axis, size: 70, values: (_: uPlot, ticks: number[]) => ticks.map(short) }],
        scales: {
          x: { range: (_: uPlot, __: number, max: number): [number, number] => [max - POINTS, max] },
          y: { range: (_: uPlot, __: number, max: number): [number, number] => [0, Math.max(1, max * 1.05)] },
        },
      },
      this.#data(),
      this.#parent,
    );
  }

  #data(): uPlot.AlignedData {
    return [this.#times, ...this.#lines.values()];
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(200, this.#parent.clientWidth), height: 180 };
  }
}

/** 1234567 as "1.23 M". */
export function short(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  return n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : String(Number(n.toFixed(1)));
}
