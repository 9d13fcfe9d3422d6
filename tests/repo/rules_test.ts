import { assertEquals } from "@std/assert";
import { CODES } from "../../core/error.ts";
import { read } from "./tree.ts";

Deno.test("every rule that an error names has its sentence in ARCHITECTURE.md", () => {
  const told = new Set([...read("ARCHITECTURE.md").matchAll(/^\| (\d[ab]?|X\d) +\|/gm)].map(([, id]) => id));
  const named = Object.values(CODES).flatMap((row) => "rule" in row ? [row.rule] : []);
  assertEquals([...new Set<string>(named)].filter((rule) => !told.has(rule)), []);
});
