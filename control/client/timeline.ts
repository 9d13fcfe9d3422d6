/**
 * The epoch over the last two minutes: grace periods and pending callbacks by the second, and a bar for each
 * section, reference or wait that is open, from when it began.
 *
 * @module
 */
/// <reference lib="dom" />
import { svg } from "./dom.ts";
import { type Blame, type Sample, short } from "./model.ts";

/** Seconds that are shown. */
const SPAN = 120;
/** Bars that are shown: the longest ones. */
const BARS = 8;
const HEIGHT = { lane: 54, bar: 20, axis: 18, gap: 6 } as const;
/** Left of it stand the lanes' names. */
const LEFT = 118;

interface Moment {
  readonly at: number;
  readonly graces: number;
  readonly callbacks: number;
}

interface Bar {
  readonly text: string;
  readonly from: number;
  to: number;
  open: boolean;
}

/** The timeline. */
export class Timeline {
  readonly #parent: HTMLElement;
  #moments: Moment[] = [];
  readonly #bars = new Map<string, Bar>();

  constructor(parent: HTMLElement) {
    this.#parent = parent;
    new ResizeObserver(() => this.draw()).observe(parent);
  }

  /** Adds one moment; `graces` ended since the one before. */
  add(s: Sample, graces: number): void {
    this.#moments.push({ at: s.at, graces, callbacks: s.callbacks });
    this.#moments = this.#moments.filter((m) => m.at > s.at - SPAN * 1000);
    for (const bar of this.#bars.values()) bar.open = false;
    for (const b of s.blame) {
      const from = s.at - (b.age ?? 0);
      const bar = this.#find(b, from);
      bar.to = s.at;
      bar.open = true;
    }
    for (const [key, bar] of this.#bars) if (bar.to < s.at - SPAN * 1000) this.#bars.delete(key);
    this.draw();
  }

  /** Who began at the same time is the same: samples are a second apart, and ages are told to the millisecond. */
  #find(b: Blame, from: number): Bar {
    const text = `${b.what}: ${b.holder}`;
    const key = `${text} ${Math.round(from / 500)}`;
    const near = [key, `${text} ${Math.round(from / 500) - 1}`, `${text} ${Math.round(from / 500) + 1}`]
      .map((k) => this.#bars.get(k)).find((x) => x !== undefined);
    if (near !== undefined) return near;
    const bar: Bar = { text, from, to: from, open: true };
    this.#bars.set(key, bar);
    return bar;
  }

  /** Draws it. */
  draw(): void {
    const now = this.#moments.at(-1)?.at;
    if (now === undefined) return;
    const width = Math.max(320, this.#parent.clientWidth);
    const bars = [...this.#bars.values()].sort((a, b) => a.from - b.from).slice(0, BARS);
    const rows = Math.max(1, bars.length);
    const top = 2 * (HEIGHT.lane + HEIGHT.gap);
    const height = top + rows * HEIGHT.bar + HEIGHT.axis;
    const x = (at: number): number => LEFT + (width - LEFT - 6) * (1 - (now - at) / (SPAN * 1000));
    const lane = (y: number, name: string, colour: string, value: (m: Moment) => number): SVGElement[] => {
      const most = Math.max(1, ...this.#moments.map(value));
      return [
        svg("text", { class: "name", x: "0", y: String(y + 14) }, name),
        svg("text", { class: "value", x: "0", y: String(y + 32) }, `${short(value(this.#moments.at(-1)!))}`),
        svg("line", {
          class: "base",
          x1: String(LEFT),
          x2: String(width),
          y1: String(y + HEIGHT.lane),
          y2: String(y + HEIGHT.lane),
        }),
        ...this.#moments.filter((m) => value(m) > 0).map((m) => {
          const h = Math.max(2, HEIGHT.lane * value(m) / most);
          return svg(
            "rect",
            {
              class: colour,
              x: String(x(m.at) - 3),
              y: String(y + HEIGHT.lane - h),
              width: "3",
              height: String(h),
            },
            svg("title", {}, `${new Date(m.at).toLocaleTimeString()}: ${value(m)} ${name}`),
          );
        }),
      ];
    };
    const open = bars.map((b, i): SVGElement => {
      const y = top + i * HEIGHT.bar;
      const from = Math.max(LEFT, x(b.from));
      const to = Math.max(from + 3, x(b.to));
      const seconds = ((b.to - b.from) / 1000).toFixed(1);
      return svg(
        "g",
        { class: b.open ? "bar open" : "bar" },
        svg("rect", {
          x: String(from),
          y: String(y + 2),
          width: String(to - from),
          height: String(HEIGHT.bar - 5),
          rx: "3",
        }),
        // Beside the bar where it has room: right of it, else left.
        from > LEFT + (width - LEFT) / 2
          ? svg(
            "text",
            { x: String(from - 6), y: String(y + 14), "text-anchor": "end" },
            `${b.text}, ${seconds} s`,
          )
          : svg("text", { x: String(from + 6), y: String(y + 14) }, `${b.text}, ${seconds} s`),
      );
    });
    const marks = [0, 30, 60, 90, 120].map((s) =>
      svg(
        "text",
        {
          class: "mark",
          x: String(x(now - s * 1000)),
          y: String(height - 4),
          "text-anchor": s === 0 ? "end" : "middle",
        },
        s === 0 ? "now" : `-${s} s`,
      )
    );
    this.#parent.replaceChildren(
      svg(
        "svg",
        { width: String(width), height: String(height), viewBox: `0 0 ${width} ${height}` },
        ...lane(0, "grace periods/s", "grace", (m) => m.graces),
        ...lane(HEIGHT.lane + HEIGHT.gap, "callbacks pending", "call", (m) => m.callbacks),
        svg("text", { class: "name", x: "0", y: String(top + 14) }, "open now"),
        ...(bars.length > 0 ? open : [
          svg(
            "text",
            { class: "none", x: String(LEFT), y: String(top + 14) },
            "no section, reference or wait is open",
          ),
        ]),
        ...marks,
      ),
    );
    const live = bars.filter((b) => b.open);
    this.#parent.setAttribute(
      "aria-label",
      `Epoch over the last two minutes: ${this.#moments.reduce((n, m) => n + m.graces, 0)} grace periods, ${
        this.#moments.at(-1)!.callbacks
      } callbacks pending, ${live.length} open${
        live.length > 0 ? `: ${live.map((b) => b.text).join("; ")}` : ""
      }`,
    );
  }
}
