/**
 * Prints the files that deno.json exports, one a line, for tools that want them by name.
 *
 * @module
 */
const config: { exports: Record<string, string> } = JSON.parse(
  Deno.readTextFileSync(new URL("../deno.json", import.meta.url)),
);
console.log(Object.values(config.exports).join("\n"));
