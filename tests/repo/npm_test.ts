/** What the npm build is made of is there, and is all that is needed: dnt itself needs JSR and cannot be run here. */
import { assert, assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";
import { ASSETS, BIN, NODE_TESTS, PAGES } from "../../scripts/npm_contents.ts";
import { isWord } from "./source.ts";
import { entries, files, shipped as sources, source } from "./tree.ts";

const all = new Set(files());
/** But for the page's client, which is built into an asset. */
const shipped = (): string[] => sources().map((s) => s.path).filter((f) => !f.startsWith("control/client/"));

/** Modules that a file reaches by static or literal imports. */
function closure(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const { specifier } of source(path).imports) {
    if (specifier.startsWith(".")) closure(join(dirname(path), specifier), seen);
  }
  return seen;
}

Deno.test("the command, the pages and the assets of the npm build are there", () => {
  for (const path of [BIN.path.slice(2), ...PAGES, ...NODE_TESTS]) assert(all.has(path), path);
  for (const folder of ASSETS) assert([...all].some((f) => f.startsWith(`${folder}/`)), folder);
});

Deno.test("every shipped module is reached from an entry of the npm build", () => {
  const roots = [...Object.values(entries()), normalize(BIN.path)];
  const reached = new Set(roots.flatMap((root) => [...closure(root)]));
  assertEquals(shipped().filter((f) => !reached.has(f)), []);
});

Deno.test("every file that a shipped module reads beside itself is an asset of the npm build", () => {
  const strays = shipped().flatMap((path) =>
    [...Deno.readTextFileSync(path).matchAll(/new URL\(\s*[`"](\.{1,2}\/[^`"$]*)/g)].map((m) =>
      normalize(join(dirname(path), m[1]!))
    ).filter((at) => !/\.tsx?$/.test(at) && !ASSETS.some((a) => `${at}/`.startsWith(`${a}/`)))
      .map((at) => `${path} reads ${at}`)
  );
  // Above its own folder a module looks for the package it is of, wherever that is.
  assertEquals(strays.filter((s) => !s.endsWith("reads ./") && !s.endsWith("reads drivers/")), []);
});

Deno.test("the tests of the npm build use nothing of Deno but Deno.test, and load no TypeScript by URL", () => {
  const other = NODE_TESTS.flatMap((test) => [...closure(test)]).filter((f) => f.startsWith("tests/"))
    .flatMap((
      path,
    ) =>
      source(path).tokens.flatMap(({ line, text, kind }, i, tokens) => {
        const deno = isWord(tokens[i], "Deno") &&
          !(tokens[i + 1]?.text === "." && isWord(tokens[i + 2], "test"));
        const loads = path.endsWith("_test.ts") && kind === "word" && text === "plugin";
        return deno || loads ? [`${path}:${line}`] : [];
      })
    );
  assertEquals([...new Set(other)], []);
});
