// Stands in for jsr:@std/assert where JSR is out of reach: the same functions from npm, types beside it.
// Without the "links" entry in the root deno.json the real package is used.
/// <reference types="./mod.d.ts" />
export * from "npm:deno-std@1.4.0/assert/mod.js";
