import { assertEquals } from "@std/assert";
import { imports, tokenize, uses } from "./source.ts";

const words = (text: string) => tokenize(text).filter((t) => t.kind === "word").map((t) => t.text);

Deno.test("tokenize() leaves out comments, strings and regular expressions", () => {
  assertEquals(words("a // Deno\n/* Deno\n */ b"), ["a", "b"]);
  assertEquals(words(`a("Deno", 'it\\'s Deno', /Deno["/]/g)`), ["a"]);
  assertEquals(words("x = y / Deno / z"), ["x", "y", "Deno", "z"]);
  assertEquals(words('return /[/"]Deno/.test(s)'), ["return", "test", "s"]);
});

Deno.test("tokenize() reads the code inside a template, nested too", () => {
  assertEquals(words("`Deno ${a + { b: `${Deno.c} x` }.b} Deno` + d"), ["a", "b", "Deno", "c", "b", "d"]);
  assertEquals(words("`\\${Deno} \\` Deno` + a"), ["a"]);
});

Deno.test("tokenize() keeps line numbers across comments and templates", () => {
  const tokens = tokenize("/*\n\n*/ a\n`\n${b}\n` c");
  assertEquals(tokens.filter((t) => t.kind === "word").map((t) => [t.text, t.line]), [
    ["a", 3],
    ["b", 5],
    ["c", 6],
  ]);
});

Deno.test("imports() finds static, type, re-exported, bare and dynamic imports", () => {
  const text = `
    import { a } from "./a.ts"; import type { B } from "./b.ts"; import "./c.ts";
    export * from "./d.ts"; export { e } from './e.ts';
    const f = await import("./f.ts"); // import "./g.ts"
    const h = 'import "./h.ts"'; const i = import(url); const j: import("./j.ts").J = from("./k.ts");
    type From = Array<"from">;`;
  assertEquals(imports(tokenize(text)).map((i) => i.specifier), [
    "./a.ts",
    "./b.ts",
    "./c.ts",
    "./d.ts",
    "./e.ts",
    "./f.ts",
    "./j.ts",
  ]);
});

Deno.test("uses() sees a global, not a property or a key of that name", () => {
  assertEquals(uses(tokenize("Deno.x(); typeof Deno; a.Deno; a?.Deno; ({ Deno: 1 });\nf(Deno)"), "Deno"), [
    1,
    1,
    2,
  ]);
});
