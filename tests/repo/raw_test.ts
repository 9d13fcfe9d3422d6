import { assertEquals } from "@std/assert";
import { uses } from "./source.ts";
import { shipped, type Source, source } from "./tree.ts";

/**
 * Files that read and write plain shared words without the door, each with its reason. Protocol words never:
 * `Atomics` has no exception. By convention the arena's view is named `a` everywhere.
 */
const RAW: Record<string, string> = {
  "core/memory/ring.ts":
    "entries of a ring: once per packet, where the door's compare doubles a plain access",
  "core/memory/mbuf.ts": "header words of a packet its CPU owns: once per packet, as above",
  "core/net/output.ts": "lengths and the hint before an atomic check: once per packet, once per turn",
  "core/net/input.ts": "the interface that a packet came in on, lengths, the hint: as above",
  "core/net/flow.ts": "length and offset of a packet its CPU owns: once per packet",
  "core/net/pktgen.ts": "packet bytes as words: 64 bytes are 16 of them",
  "core/net/tap.ts": "length of a copy its CPU owns: once per packet",
  "core/memory/sanitizer.ts": "it is the watch behind the door: through the door it would ask itself",
};

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
