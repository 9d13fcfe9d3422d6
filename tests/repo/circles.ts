/**
 * Circles of imports: files that need each other to be evaluated. Types are no such need.
 *
 * @module
 */
import { isWord, type Token } from "./source.ts";
import type { Source } from "./tree.ts";

/** Whether the `import` or `export ... from` that ends in the string at `at` is there for types alone. */
function typesOnly(tokens: readonly Token[], at: number): boolean {
  let first = at;
  while (first > 0 && !isWord(tokens[first], "import") && !isWord(tokens[first], "export")) first--;
  if (isWord(tokens[first + 1], "type")) return true;
  if (tokens[first + 1]?.text !== "{") return false;
  const names = tokens.slice(first + 1, at - 2);
  return names.every((t, i) =>
    (t.text !== "{" && t.text !== ",") || i === names.length - 1 || isWord(names[i + 1], "type")
  );
}

/** The files from which this one needs values when it is evaluated. */
function needs({ tokens, imports }: Source): string[] {
  let at = -1;
  return imports.flatMap(({ to, specifier, line }) => {
    at = tokens.findIndex((t, i) => i > at && t.kind === "string" && t.text === specifier && t.line === line);
    const dynamic = tokens[at - 1]!.text === "(";
    return dynamic || typesOnly(tokens, at) ? [] : [to];
  });
}

/** Every set of files that reach each other by imports of values, its paths in order. */
export function circles(sources: readonly Source[]): string[] {
  const graph = new Map(sources.map((s) => [s.path, needs(s)]));
  const reached = new Map([...graph.keys()].map((path) => [path, reach(graph, path)]));
  const found = new Set<string>();
  for (const [path, all] of reached) {
    if (!all.has(path)) continue;
    found.add([...all].filter((other) => reached.get(other)?.has(path)).sort().join(" "));
  }
  return [...found].sort();
}

function reach(graph: ReadonlyMap<string, readonly string[]>, from: string): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    for (const to of graph.get(path) ?? []) {
      if (seen.has(to)) continue;
      seen.add(to);
      visit(to);
    }
  };
  visit(from);
  return seen;
}
