import { assertEquals } from "@std/assert";
import { apiDiff } from "../../scripts/api.ts";

Deno.test("the public API is what docs/api.txt says: deno task api writes it, on purpose", async () => {
  assertEquals(await apiDiff(), []);
});
