import { assertEquals } from "@std/assert";
import { RAW } from "./raw.ts";
import { uses } from "./source.ts";
import { shipped, type Source, source } from "./tree.ts";

const isDoor = (s: Source): boolean => s.path.startsWith("core/doors/");

const atomics = (s: Source): string[] => uses(s.tokens, "Atomics").map((line) => `${s.path}:${line} Atomics`);

const raw = (s: Source): string[] =>
  s.tokens.flatMap(({ text, line }, i) => {
    const view = text === "a" || text === "#a";
    return view && s.tokens[i + 1]?.text === "[" ? [`${s.path}:${line} ${text}[...]`] : [];
  });

Deno.test("Atomics appear behind the door only", () => {
  assertEquals(shipped().filter((s) => !isDoor(s)).flatMap(atomics), []);
});

Deno.test("plain shared words are read and written through the door, but for the named exceptions", () => {
  const past = shipped().filter((s) => !isDoor(s) && !(s.path in RAW));
  assertEquals(past.flatMap(raw), []);
});

Deno.test("every named exception still needs to be one", () => {
  const used = new Set(shipped().filter((s) => raw(s).length > 0).map((s) => s.path));
  assertEquals(Object.keys(RAW).filter((path) => !used.has(path)), []);
});

Deno.test("raw access is found where it is planted", () => {
  const planted = source(
    "core/net/x.ts",
    "Atomics.load(a, 1); a[2] = this.#a[3]!; load(a, b[4]); // Atomics a[5]",
  );
  assertEquals(atomics(planted).length, 1);
  assertEquals(raw(planted).length, 2);
});
