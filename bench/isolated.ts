/**
 * Every group in a process of its own.
 *
 * What one group's kernels taught the compiler (which drivers, which memory), and where it pinned its threads,
 * would slow the next one down: a program boots one kernel, and so does a group.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Case, Options, Result } from "./harness.ts";

/** What a process is asked to measure: JSON in its one argument. */
export interface Asked {
  readonly group: string;
  readonly names: readonly string[];
  /** All but the function, which JSON cannot carry. */
  readonly options: Omit<Options, "waited">;
}

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const COMMAND = [
  "run",
  "-A",
  "--no-check",
  "--config",
  path("./deno.json"),
  "--v8-flags=--expose-gc",
  path("./group.ts"),
];

/** Like `measure`, one process after the other. */
export async function* isolated(cases: readonly Case[], options: Options): AsyncGenerator<Result[]> {
  const { waited: _, ...plain } = options;
  for (const group of new Set(cases.map((c) => c.group))) {
    const names = cases.filter((c) => c.group === group).map((c) => c.name);
    yield await inProcess({ group, names, options: plain });
  }
}

async function inProcess(asked: Asked): Promise<Result[]> {
  const child = spawn(process.execPath, [...COMMAND, JSON.stringify(asked)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (code !== 0) throw new Error(`group "${asked.group}": its process ended with exit code ${code}`);
  return JSON.parse(out) as Result[];
}
