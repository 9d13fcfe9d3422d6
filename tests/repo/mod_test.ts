import { assertEquals } from "@std/assert";
import type { Token } from "./source.ts";
import { entries, files, source } from "./tree.ts";

/** Lines of a module that are anything but `export ... from "..."`. */
function notReExports(tokens: readonly Token[]): number[] {
  const lines: number[] = [];
  let statement: Token[] = [];
  for (const token of tokens) {
    if (token.text === ";") {
      const shape = statement.map((t) => t.kind === "string" ? "string" : t.text).join(" ");
      const reExport = /^export (type )?(\*( as [\w$]+)?|\{[^{}]*\}) from string$/.test(shape);
      if (!reExport && statement.length > 0) lines.push(statement[0]!.line);
      statement = [];
    } else statement.push(token);
  }
  return statement.length > 0 ? [...lines, statement[0]!.line] : lines;
}

Deno.test("mod.ts re-exports only", () => {
  assertEquals(files().includes("mod.ts") ? notReExports(source("mod.ts").tokens) : [], []);
});

Deno.test("anything else in a mod.ts is found", () => {
  const text = `/** @module */
    export * from "./a.ts"; export * as b from "./b.ts"; export { type C, d as e } from "./c.ts";
    export type { F } from "./f.ts";
    import "./g.ts";
    export const h = 1;
    export { i };
    console.log("x") ;`;
  assertEquals(notReExports(source("mod.ts", text).tokens), [4, 5, 6, 7]);
});

Deno.test("every export of deno.json names a file", () => {
  const all = new Set(files());
  assertEquals(Object.values(entries()).filter((path) => !all.has(path)), []);
});
