import { assertEquals } from "@std/assert";
import { isWord, uses } from "./source.ts";
import { files, shipped, type Source, source } from "./tree.ts";

/** What published code may not name: it runs on Deno, Node 20 and Bun, from source and from both npm builds. */
const FORBIDDEN: Record<string, string> = {
  Deno: "Node and Bun have none: use node: modules",
  globalThis: "the npm build may put a Proxy in its place: use the bare name",
  Bun: "use node: modules",
};

/** Seams that ask for a runtime by name, each with its reason: `{ "drivers/sys/mod.ts": { Deno: "its FFI" } }`. */
const SEAMS: Record<string, Record<string, string>> = {
  "drivers/sys/mod.ts": { Deno: "its foreign function interface; it says so elsewhere" },
};

/** What Deno's type checker knows and Node 20 has not: `X.name` for a class, `name` for a global. */
const NOT_IN_NODE_20 = new Map<string, readonly string[]>([
  ["Promise", ["withResolvers", "try"]],
  ["Array", ["fromAsync"]],
  ["Object", ["groupBy"]],
  ["Map", ["groupBy"]],
  ["Atomics", ["pause"]],
  ["Uint8Array", ["fromBase64", "fromHex"]],
  ["RegExp", ["escape"]],
  ["Iterator", ["from"]],
]);
const METHODS_NOT_IN_NODE_20 = new Set([
  "toBase64",
  "toHex",
  "isSubsetOf",
  "isSupersetOf",
  "isDisjointFrom",
  "symmetricDifference",
]);
const GLOBALS_NOT_IN_NODE_20 = ["DisposableStack", "AsyncDisposableStack", "Float16Array"];
const ITERATOR_HELPERS = new Set(
  "map filter take drop flatMap reduce toArray forEach some every find".split(" "),
);

/** Everything in the file that a published file may not contain. */
function objections({ path, tokens, imports }: Source): string[] {
  const found: string[] = [];
  const object = (line: number, what: string): void => void found.push(`${path}:${line} ${what}`);
  const text = (i: number): string | undefined => tokens[i]?.text;

  for (const [word, why] of Object.entries(FORBIDDEN)) {
    if (SEAMS[path]?.[word] !== undefined) continue;
    for (const line of uses(tokens, word)) object(line, `${word}: ${why}`);
  }
  for (const { specifier, line } of imports) {
    if (specifier.includes("@std")) object(line, `${specifier}: neither npm build can resolve it`);
  }
  for (const name of GLOBALS_NOT_IN_NODE_20) {
    for (const line of uses(tokens, name)) object(line, `${name}: not in Node 20`);
  }
  tokens.forEach(({ kind, line }, i) => {
    if (kind !== "word") return;
    const member = text(i + 1) === "." ? text(i + 2)! : "";
    if (NOT_IN_NODE_20.get(text(i)!)?.includes(member)) object(line, `${text(i)}.${member}: not in Node 20`);
    if (text(i - 1) === "." && METHODS_NOT_IN_NODE_20.has(text(i)!)) {
      object(line, `${text(i)}(): not in Node 20`);
    }
    if (
      text(i - 1) === "." && ["values", "keys", "entries"].includes(text(i)!) && text(i + 1) === "(" &&
      text(i + 2) === ")" && text(i + 3) === "." && ITERATOR_HELPERS.has(text(i + 4)!)
    ) object(line, `${text(i)}().${text(i + 4)}: iterator helpers are not in Node 20`);
    const declares = tokens[i + 1]?.kind === "word" && tokens[i + 1]!.line === line && text(i - 1) !== ".";
    if (isWord(tokens[i], "using") && declares && ["=", ":", "of"].includes(text(i + 2)!)) {
      object(line, "using: deno pack leaves it, a syntax error in Node; 270 ns and more besides");
    }
  });
  return found;
}

Deno.test("published files run on Deno, Node 20 and Bun", () => {
  assertEquals(shipped().flatMap(objections), []);
});

Deno.test("every seam still needs to be one", () => {
  const idle = Object.entries(SEAMS).flatMap(([path, words]) =>
    Object.keys(words).filter((word) => uses(source(path).tokens, word).length === 0).map((w) =>
      `${path} ${w}`
    )
  );
  assertEquals(idle, []);
});

Deno.test("what may not ship is found where it is planted, and in code only", () => {
  const planted = `// Deno.cwd() globalThis using x = y
    const s = "Deno.cwd()", using = 1, o = { Deno: 2 }; o.Deno; for (const x of using) ; a.values().next();
    Deno.cwd();
    typeof globalThis.x;
    await using y = z();
    for (using u of v) ;
    import "jsr:@std/async";
    Promise.withResolvers();
    m.values().map(f);
    new DisposableStack();`;
  const lines = objections(source("core/x.ts", planted)).map((o) => Number(/:(\d+)/.exec(o)![1]));
  assertEquals(lines.sort((a, b) => a - b), [3, 4, 5, 6, 7, 8, 9, 10]);
});

Deno.test("unit tests of core, kernel and vnet use nothing of Deno but Deno.test: npm runs them on Node", () => {
  const other = files().filter((f) => /^(core|kernel|vnet)\/.*_test\.ts$/.test(f)).flatMap((path) =>
    source(path).tokens.flatMap((token, i, all) =>
      isWord(token, "Deno") && !(all[i + 1]?.text === "." && isWord(all[i + 2], "test"))
        ? [`${path}:${token.line}`]
        : []
    )
  );
  assertEquals(other, []);
});
