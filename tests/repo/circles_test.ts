import { assertEquals } from "@std/assert";
import { circles } from "./circles.ts";
import { shipped, source } from "./tree.ts";

/** Circles on purpose, each with its reason. */
const DELIBERATE = [
  // A cross-connect sends from within input; the outermost output runs what drivers handed up meanwhile.
  "core/net/input.ts core/net/output.ts",
];

Deno.test("shipped files import values in no circle but those named here", () => {
  assertEquals(circles(shipped()), DELIBERATE);
});

Deno.test("a circle of values is found, one of types is none", () => {
  const two = (there: string, back: string) => circles([source("a.ts", there), source("b.ts", back)]);
  const value = 'import { a } from "./a.ts";';
  for (
    const there of [
      'import { b } from "./b.ts";',
      'import { type B, b } from "./b.ts";',
      'import { b, type B } from "./b.ts";',
      'import "./b.ts";',
      'export * from "./b.ts";',
      'import type { X } from "./b.ts"; import { b } from "./b.ts";',
    ]
  ) assertEquals(two(there, value), ["a.ts b.ts"], there);
  for (
    const there of [
      'import type { B } from "./b.ts";',
      'import { type B, type C } from "./b.ts";',
      'export type { B } from "./b.ts";',
      'const b = await import("./b.ts");',
    ]
  ) assertEquals(two(there, value), [], there);
});

Deno.test("a circle through three files is found once", () => {
  const ring = [["a", "b"], ["b", "c"], ["c", "a"], ["d", "a"]].map(([from, to]) =>
    source(`${from}.ts`, `import { x } from "./${to}.ts";`)
  );
  assertEquals(circles(ring), ["a.ts b.ts c.ts"]);
});
