/**
 * Prints the published files whose doc comments have examples, one a line: `deno task test:doc` runs them.
 *
 * @module
 */
import { shipped } from "../tests/repo/tree.ts";

for (const { path } of shipped()) {
  if (Deno.readTextFileSync(new URL(`../${path}`, import.meta.url)).includes("* @example")) console.log(path);
}
