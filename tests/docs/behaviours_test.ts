import { assertEquals } from "@std/assert";
import { allTagged, gaps, tagged } from "../../scripts/behaviours.ts";
import { SECTIONS } from "../behaviours/table.ts";

Deno.test("each behaviour has a test that carries its number, or a reason", () => {
  const { tests, stray } = allTagged();
  assertEquals(gaps(SECTIONS, tests), []);
  assertEquals(stray, [], "a number stands in a tag in front of the name: [B12]");
});

Deno.test("a gap between sentences and tests is found where it is planted", () => {
  const { tests, stray } = tagged(
    "tests/x_test.ts",
    `// Deno.test("[B3] in a comment", f);
     const text = "[B4] no test";
     Deno.test("[B1 B2] two at once", f);
     Deno.test(\`[B5] on \${cpus} CPUs\`, f);
     Deno.test({ name: "[B6] as a field", fn });
     await t.step("[B7] a step", f);
     Deno.test("[B72] too many", f);
     Deno.test("[B8, B9] wrong form", f);
     Deno.test("stray (behaviour 9)", f);`,
  );
  assertEquals(tests.map((t) => [t.numbers, t.name]), [
    [[1, 2], "two at once"],
    [[5], "on …"],
    [[6], "as a field"],
    [[7], "a step"],
    [[72], "too many"],
    [[NaN, 9], "wrong form"],
  ]);
  assertEquals(stray, ['tests/x_test.ts: "stray (behaviour 9)"']);
  const rows = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [i + 1, { says: "" }]));
  const found = gaps([{ title: "", rows: { ...rows, 2: { says: "", not: "because" } } }], tests);
  assertEquals(found.filter((w) => !w.endsWith("neither a test nor a reason")), [
    "B71 has no sentence",
    "B2 has a test and a reason not to have one",
    'tests/x_test.ts: "too many" carries a number that is none',
    'tests/x_test.ts: "wrong form" carries a number that is none',
  ]);
  assertEquals(found.filter((w) => w.endsWith("neither a test nor a reason")).length, 70 - 1 - 5);
});
