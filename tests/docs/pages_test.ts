import { assertEquals } from "@std/assert";
import { stale } from "../../scripts/pages.ts";

Deno.test("generated pages are what the code says: deno task pages writes them", () => {
  assertEquals(stale(), []);
});
