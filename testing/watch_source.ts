/** The files of a driver under work: which they are, when one was saved, and which line an error means. @module */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A place in an author's file. */
export interface SourceLine {
  /** Path. */
  readonly file: string;
  /** From 1 on. */
  readonly line: number;
  /** From 1 on; 0 when the runtime does not say. */
  readonly column: number;
  /** The line and its neighbours, the line marked. */
  readonly frame: string;
}

/** A file and what it imports by relative paths. */
export class SourceFiles {
  readonly #entry: string;
  /** Path to what the file looked like when it was last taken. */
  #taken = new Map<string, string>();
  /** A change that one more look must confirm: an editor may be halfway. */
  #seen = "";

  constructor(entry: string) {
    this.#entry = entry;
    this.take();
  }

  /** Paths, the driver's own first. */
  get paths(): string[] {
    return [...this.#taken.keys()];
  }

  /** Takes the files as they are now. */
  take(): void {
    this.#taken = new Map();
    const visit = (path: string): void => {
      if (this.#taken.has(path)) return;
      this.#taken.set(path, mark(path));
      if (!existsSync(path)) return;
      for (
        const m of readFileSync(path, "utf8").matchAll(
          /(?:\bfrom|\bimport)\s*\(?\s*["'](\.{1,2}\/[^"']+)["']/g,
        )
      ) {
        visit(resolve(dirname(path), m[1]!));
      }
    };
    visit(this.#entry);
  }

  /** When a file was saved that differs from what was taken, in milliseconds since 1970; else undefined. */
  saved(): number | undefined {
    const changed = this.paths.filter((p) => mark(p) !== this.#taken.get(p) && existsSync(p));
    const now = changed.map(mark).join();
    const confirmed = now !== "" && now === this.#seen;
    this.#seen = now;
    return confirmed ? Math.max(...changed.map((p) => statSync(p).mtimeMs)) : undefined;
  }

  /** The line of these files that an error, or what caused it, names first. */
  locate(e: unknown): SourceLine | undefined {
    let syntax = false;
    const causes: Error[] = [];
    for (let x = e; x instanceof Error && causes.length < 8; x = x.cause) causes.unshift(x);
    for (const { name, message, stack } of causes) {
      syntax ||= name === "SyntaxError" || message.includes("SyntaxError");
      const found = this.#find(`${message}\n${stack}`);
      if (found !== undefined) return found;
    }
    return syntax && !("deno" in process.versions) && !("bun" in process.versions)
      ? this.#check()
      : undefined;
  }

  #find(text: string): SourceLine | undefined {
    // deno-lint-ignore no-control-regex
    const plain = text.replace(/\x1b\[[0-9;]*m/g, "");
    for (const m of plain.matchAll(/(file:\/\/[^\s?:()]+|\/[^\s?:()]+)(?:\?[^\s:()]*)?:(\d+)(?::(\d+))?/g)) {
      const path = m[1]!.startsWith("file:") ? fileURLToPath(m[1]!) : m[1]!;
      if (this.#taken.has(path)) return lineOf(path, Number(m[2]), Number(m[3] ?? 0));
    }
    return undefined;
  }

  /** Node's errors of syntax name no line; `node --check` does. */
  #check(): SourceLine | undefined {
    for (const path of this.paths) {
      const { stderr } = spawnSync(process.execPath, ["--check", path], { encoding: "utf8", timeout: 5000 });
      const found = this.#find(stderr ?? "");
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function mark(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return "";
  }
}

function lineOf(file: string, line: number, column: number): SourceLine {
  const all = readFileSync(file, "utf8").split("\n");
  const rows: string[] = [];
  for (let n = Math.max(1, line - 1); n <= Math.min(all.length, line + 1); n++) {
    rows.push(`${n === line ? ">" : " "} ${String(n).padStart(4)} | ${all[n - 1]}`);
    if (n === line && column > 0) rows.push(`       | ${" ".repeat(column - 1)}^`);
  }
  return { file, line, column, frame: rows.join("\n") };
}
