/** Beyond the bounds of the museum: random and PCT schedules of every race, other ones every day. */
import { assertEquals } from "@std/assert";
import { describe, museum, runLitmus } from "../litmus/museum.ts";

const DAY = 24 * 60 * 60 * 1000;
// In the test's name: with it a failure can be had again.
const seed = Math.floor(Date.now() / DAY) * 1000;

for (const id of museum()) {
  Deno.test(`${id}: 500 random and 500 PCT schedules, seed ${seed}`, async () => {
    const { reports } = await runLitmus(id, { bound: 0, random: 500, pct: 500, seed });
    for (const [name, r] of Object.entries(reports)) assertEquals(r.violation, undefined, describe(name, r));
  });
}
