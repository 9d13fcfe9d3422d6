import { assert, assertEquals } from "@std/assert";
import { schemaText, sourceHash } from "../../control/client/build.ts";

const read = (path: string): string =>
  Deno.readTextFileSync(new URL(`../../control/${path}`, import.meta.url));

Deno.test("the shipped client and style are built from the sources (deno task build:ui)", () => {
  for (const file of ["client.js", "style.css"]) {
    assertEquals(/ from ([0-9a-f]{64})/.exec(read(`page/assets/${file}`))?.[1], sourceHash(), file);
  }
});

Deno.test("the client is for browsers: it loads nothing", () => {
  const client = read("page/assets/client.js");
  assert(!/\bnode:|\bfrom\s*"|\bimport\s*\(/.test(client));
  assert(!/https?:\/\/(?!www\.w3\.org)/.test(client));
});

Deno.test("the published JSON Schema of labs is the one that validates (deno task build:ui)", () => {
  assertEquals(read("lab/lab.schema.json"), schemaText());
});
