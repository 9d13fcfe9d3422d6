/**
 * What all commands share: `--json`, an example in `--help`, output, and exit codes.
 *
 * @module
 */
import type { Command } from "commander";
import { isSoftcError } from "../../mod.ts";
import { type Problem, problemOf } from "../http/problem.ts";
import { Client, ProblemError } from "./client.ts";

/** Exit codes. */
export const EXIT = { ok: 0, failed: 1, usage: 2, environment: 3 } as const;

/** Where a command writes. Texts end their own lines. */
export interface Io {
  /** Results; JSON with `--json`. */
  out(text: string): void;
  /** Everything else: progress, faults, what was refused. */
  err(text: string): void;
}

/** What a command's action gets. */
export interface Context {
  readonly io: Io;
  readonly json: boolean;
  readonly session: string | undefined;
  /** The running system. */
  client(): Client;
  /** Prints data: as one line of JSON, or as people read it. */
  print(data: unknown, human: () => string): void;
}

/** An action: returns an exit code, or nothing for 0. */
export type Action = (
  ctx: Context,
  args: readonly string[],
  opts: Readonly<Record<string, unknown>>,
) => Promise<number | void> | number | void;

/** Adds commands to a parent. */
export class Commands {
  /** Exit code of the command that ran. */
  code: number = EXIT.ok;

  constructor(readonly io: Io) {}

  /** Adds a command; `usage` is its name and arguments. */
  add(
    parent: Command,
    usage: string,
    description: string,
    example: string,
    options: readonly (readonly [flags: string, description: string, fallback?: string])[],
    action: Action,
    o: { readonly isDefault?: boolean } = {},
  ): void {
    const c = parent.command(usage, o).description(description);
    for (const [flags, text, fallback] of options) c.option(flags, text, fallback);
    c.option("--json", "print JSON, one document on one line");
    c.option("--session <file>", "session file of the system to talk to");
    c.addHelpText("after", `\nExample:\n  $ softc ${example}`);
    c.action(async (...given: unknown[]) => {
      const opts = c.opts();
      const args = given.slice(0, -2).filter((x) => x !== undefined).map(String);
      this.code = await this.#run(action, args, opts);
    });
  }

  async #run(action: Action, args: string[], opts: Record<string, unknown>): Promise<number> {
    const json = opts.json === true;
    const session = opts.session as string | undefined;
    const ctx: Context = {
      io: this.io,
      json,
      session,
      client: () => new Client(session, (text) => this.io.err(text + "\n")),
      print: (data, human) => {
        const text = json ? JSON.stringify(data) : human();
        this.io.out(text === "" || text.endsWith("\n") ? text : text + "\n");
      },
    };
    try {
      return await action(ctx, args, opts) ?? EXIT.ok;
    } catch (e) {
      const own = e instanceof ProblemError || isSoftcError(e);
      // A mistake of softc's own: its stack is for whoever mends it.
      if (!own) throw e;
      const problem = e instanceof ProblemError ? e.problem : problemOf(e);
      this.io.err(json ? JSON.stringify(problem) + "\n" : problemText(problem));
      return exitOf(problem);
    }
  }
}

/** A failure as people read it. */
function problemText(p: Problem): string {
  const row = (name: string, text: string | undefined): string =>
    text === undefined ? "" : `  ${name.padEnd(6)} ${text}\n`;
  return `error: ${p.detail}\n` + row("code", [p.code, p.errno].filter((x) => x !== undefined).join(" ")) +
    row("rule", p.rule) + row("fix", p.fix);
}

const ENVIRONMENT = new Set([
  "SOFTC_API_CONNECT",
  "SOFTC_API_TOKEN",
  "SOFTC_API_LISTEN",
  "SOFTC_API_HOST",
  "SOFTC_LAB_FILE",
  "SOFTC_PCAP_FILE",
  "SOFTC_BOOT_CPU",
  "SOFTC_BOOT_DOWN",
]);
const USAGE = new Set(["SOFTC_API_INPUT", "SOFTC_LAB_BAD", "SOFTC_BOOT_ARGUMENT"]);

function exitOf(p: Problem): number {
  return ENVIRONMENT.has(p.code) ? EXIT.environment : USAGE.has(p.code) ? EXIT.usage : EXIT.failed;
}

/** Rows as columns; the first row is the heading. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const width = rows[0]!.map((_, i) => Math.max(...rows.map((r) => String(r[i] ?? "").length)));
  return rows.map((r) =>
    r.map((cell, i) =>
      typeof cell === "number" ? String(cell).padStart(width[i]!) : String(cell).padEnd(width[i]!)
    )
      .join("  ").trimEnd()
  ).join("\n") + "\n";
}

/** A count with separators. */
export function count(n: number): string {
  return n.toLocaleString("en-US");
}
