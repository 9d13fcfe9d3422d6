import { assert, assertEquals } from "@std/assert";
import { explore } from "../../testing/mod.ts";
import { INEXPRESSIBLE } from "./inexpressible.ts";
import { museum, partFile, parts, runLitmus } from "./museum.ts";

// The quick part: to one preemption. `deno task explore` goes to each race's bound.
for (const id of museum()) {
  const missing = INEXPRESSIBLE.find((r) => r.id === id);
  Deno.test({
    name: missing === undefined
      ? `${id}: the legacy protocol shows its race from the stored schedule, softc's does not to 1 preemption`
      : `${id} is not expressed: ${missing.reason}`,
    ignore: missing !== undefined,
    async fn() {
      const row = await runLitmus(id, { bound: 1, max: 3000 });
      assert(row.legacy!.found, "the stored schedule shows nothing");
      assertEquals(row.softc!.violations, 0, row.softc!.violation);
    },
  });
}

for (const part of parts()) {
  Deno.test(`the ${part} keeps its promise to 2 preemptions`, async () => {
    const r = await explore(partFile(part), { bound: 2 });
    assertEquals([r.violation?.trace, r.bound, r.warnings], [undefined, 2, []]);
  });
}
