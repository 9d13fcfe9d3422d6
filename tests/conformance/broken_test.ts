/** Every driver of the gallery is caught, by its own rule. */
import { assert, assertEquals } from "@std/assert";
import { CONFORMANCE_RULES, ConformanceError, tryRule } from "../../testing/mod.ts";
import { assertNoLeaks } from "../helpers/leaks.ts";

const GALLERY = new URL("../../examples/broken/", import.meta.url);

for (const { name } of [...Deno.readDirSync(GALLERY)].filter((f) => f.name.endsWith(".ts"))) {
  const url = new URL(name, GALLERY);
  const id = /Broken on purpose, (D\d\d):/.exec(Deno.readTextFileSync(url))?.[1];
  Deno.test(`${name} is caught by ${id}`, async () => {
    const rule = CONFORMANCE_RULES.find((r) => r.id === id);
    assert(rule !== undefined, `no rule ${id}`);
    let caught: unknown;
    await assertNoLeaks(async () => {
      await tryRule(rule, url).catch((e) => caught = e);
    });
    assert(caught instanceof ConformanceError, `not caught: ${caught}`);
    assertEquals(caught.rule, id, caught.message);
  });
}

Deno.test("the gallery's page names every driver with its rule", () => {
  const page = Deno.readTextFileSync(new URL("README.md", GALLERY));
  for (const { name } of Deno.readDirSync(GALLERY)) {
    if (!name.endsWith(".ts")) continue;
    const id = /Broken on purpose, (D\d\d):/.exec(Deno.readTextFileSync(new URL(name, GALLERY)))![1];
    assert(new RegExp(`\\[${name}\\].*\\| ${id} `).test(page), name);
  }
});

Deno.test("rules have stable ids: D01, D02 and so on, each once", () => {
  assertEquals(
    CONFORMANCE_RULES.map((r) => r.id),
    CONFORMANCE_RULES.map((_, i) => `D${String(i + 1).padStart(2, "0")}`),
  );
});
