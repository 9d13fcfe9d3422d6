/**
 * The files of the repository, as a clone has them.
 *
 * @module
 */
import { type Import, imports, type Token, tokenize } from "./source.ts";

/** The repository's folder. */
export const ROOT = new URL("../../", import.meta.url);
/** What git ignores, by name anywhere or by path. */
const IGNORED = new Set([".git", "node_modules", "coverage", "npm", "docs/api"]);

/** Paths of all files, relative to the root, in order. */
export function files(under = ""): string[] {
  const found: string[] = [];
  for (const entry of Deno.readDirSync(new URL(under, ROOT))) {
    const path = under + entry.name;
    if (IGNORED.has(path) || entry.name === "node_modules" || entry.name.endsWith(".tgz")) continue;
    if (entry.isDirectory) found.push(...files(path + "/"));
    else if (entry.isFile) found.push(path);
  }
  return found.sort();
}

/** Text of a file. */
export function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** A source file and what it imports, specifiers resolved to paths of the repository where they are relative. */
export interface Source {
  readonly path: string;
  readonly tokens: readonly Token[];
  readonly imports: readonly (Import & { readonly to: string })[];
}

/** Reads one source file. */
export function source(path: string, text: string = read(path)): Source {
  const tokens = tokenize(text);
  const resolved = imports(tokens).map((i) => ({ ...i, to: resolve(path, i.specifier) }));
  return { path, tokens, imports: resolved };
}

function resolve(from: string, specifier: string): string {
  if (!/^\.{1,2}\//.test(specifier)) return specifier;
  const base = new URL("file:///" + from);
  return new URL(specifier, base).pathname.slice(1);
}

/** Folders and files whose code is published. */
const SHIPPED = /^(?:core|vnet|drivers|kernel|testing|control)\/|^mod\.ts$/;

/** Whether the file is published code: not a test. */
export function isShipped(path: string): boolean {
  return SHIPPED.test(path) && /\.tsx?$/.test(path) && !path.endsWith("_test.ts");
}

/** All published source files. */
export function shipped(): Source[] {
  return files().filter(isShipped).map((path) => source(path));
}

/** The exports of deno.json: name to path. */
export function entries(): Record<string, string> {
  const config: { exports: Record<string, string> } = JSON.parse(read("deno.json"));
  return Object.fromEntries(Object.entries(config.exports).map(([name, path]) => [name, path.slice(2)]));
}
