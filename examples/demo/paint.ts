/**
 * How the demo prints: colours where they are wanted, one line that moves where there is a terminal.
 *
 * @module
 */
import process from "node:process";

type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
const SGR: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Prints lines, and below them one line of progress. */
export class Screen {
  readonly #terminal: boolean;
  readonly #silent: boolean;
  #progress = "";

  /** `silent` prints nothing at all. */
  constructor(silent: boolean) {
    this.#silent = silent;
    this.#terminal = process.stdout.isTTY === true;
  }

  /** Colours a text: on a terminal, and never with NO_COLOR (https://no-color.org). */
  paint(style: Style, text: string): string {
    return this.#terminal && !Deno.noColor ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text;
  }

  /** Prints a line. */
  line(text = ""): void {
    if (this.#silent) return;
    this.#clear();
    process.stdout.write(`${text}\n`);
  }

  /** A step: its name, and what it did. */
  step(name: string, text: string): void {
    this.line(`  ${this.paint("cyan", name.padEnd(10))} ${text}`);
  }

  /** Shows what goes on now: on a terminal only, and gone with the next line. */
  progress(name: string, text: string): void {
    if (this.#silent || !this.#terminal) return;
    this.#clear();
    const width = (process.stdout.columns ?? 80) - 14;
    this.#progress = `  ${this.paint("yellow", name.padEnd(10))} ${text.slice(0, width)}`;
    process.stdout.write(this.#progress);
  }

  #clear(): void {
    if (this.#progress !== "") process.stdout.write("\r\x1b[K");
    this.#progress = "";
  }
}

/** 1234567 as "1,234,567". */
export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/** Nanoseconds with a unit. */
export function duration(ns: number): string {
  return ns < 1e6
    ? `${(ns / 1e3).toFixed(0)} µs`
    : ns < 1e9
    ? `${(ns / 1e6).toFixed(1)} ms`
    : `${(ns / 1e9).toFixed(1)} s`;
}

/** Packets per second in millions. */
export function rate(packets: number, seconds: number): string {
  return `${(packets / Math.max(seconds, 1e-9) / 1e6).toFixed(1)} Mpps`;
}
