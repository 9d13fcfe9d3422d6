// Stands in for jsr:@std/async where JSR is out of reach: the same functions from npm, types beside it.
// Named one by one, because the package's own index loads channel.js, which asks for a folder it does not have.
/// <reference types="./mod.d.ts" />
export * from "npm:deno-std@1.4.0/async/abortable.js";
export * from "npm:deno-std@1.4.0/async/deadline.js";
export * from "npm:deno-std@1.4.0/async/debounce.js";
export * from "npm:deno-std@1.4.0/async/delay.js";
export * from "npm:deno-std@1.4.0/async/mux_async_iterator.js";
export * from "npm:deno-std@1.4.0/async/pool.js";
export * from "npm:deno-std@1.4.0/async/retry.js";
export * from "npm:deno-std@1.4.0/async/tee.js";
