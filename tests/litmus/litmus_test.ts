import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { RAW } from "../repo/raw.ts";
import { original } from "./copy.ts";
import { describe, explorePart, museum, PARTS, runLitmus } from "./museum.ts";
import { mutants } from "./mutants.ts";
import { throughDoor } from "./raw.ts";

// The quick part: to one preemption. `deno task explore` goes to each race's bound.
for (const id of museum()) {
  Deno.test(`${id}: the legacy protocol shows its race from the stored schedule, softc's does not to 1 preemption`, async () => {
    const row = await runLitmus(id, { bound: 1 });
    assert(row.legacy.found, "the stored schedule shows nothing");
    for (const [name, r] of Object.entries(row.reports)) {
      assertEquals([r.violation, r.bound], [undefined, 1], describe(name, r));
    }
  });
}

for (const part of Object.keys(PARTS)) {
  Deno.test(`the ${part} keeps its promise to 1 preemption`, async () => {
    const r = await explorePart(part, { bound: 1 });
    assertEquals([r.violation, r.bound], [undefined, 1], describe(part, r));
  });
}

/** Runs the museum's command line. */
async function command(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const main = new URL("./main.ts", import.meta.url).pathname;
  const r = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "-q", main, ...args] }).output();
  const text = new TextDecoder();
  return { code: r.code, out: text.decode(r.stdout), err: text.decode(r.stderr) };
}

Deno.test("--json prints one line of the shape that programs read", async () => {
  const { code, out } = await command("--json", "--only", "R07", "--bound", "1");
  assertEquals([code, out.trim().split("\n").length], [0, 1]);
  const { litmus, mutants } = JSON.parse(out);
  assertEquals(mutants, []);
  const { id, legacy, softc } = litmus[0];
  assertEquals([id, Object.keys(legacy), Object.keys(softc)], [
    "R07",
    ["found", "schedule", "preemptions"],
    ["violations", "schedules", "bound"],
  ]);
  assertEquals([legacy.found, legacy.schedule, softc.violations, softc.bound], [true, "0.1-5.0", 0, 1]);
});

Deno.test("--replay exits with 1 when the schedule shows the violation, and with 0 when it does not", async () => {
  const shown = await command("--replay", "R07", "0.1-5.0");
  assertEquals(shown.code, 1);
  assertMatch(shown.out, /use after free, rule /);
  // Two columns, with the lines of the two protocols.
  assertMatch(shown.out, /races\/R07\.ts:\d+/);
  const passes = await command("--replay", "R07", ".");
  assertEquals(passes.code, 0);
  assertStringIncludes(passes.out, "no violation");
});

Deno.test("--only and --show print coverage and passing interleavings", async () => {
  const { code, out } = await command("--only", "ring", "--bound", "1", "--show", "1");
  assertEquals(code, 0);
  assertMatch(out, /ring: we found none; exhaustive to 1 preemption, 2 threads, \d+ schedules/);
  assertStringIncludes(out, "passing interleaving 1:");
});

Deno.test("what is not asked for properly is refused with the options", async () => {
  for (const args of [["--nonsense"], ["--only", "R99"], ["--bound", "x"], ["--replay", "R01"]]) {
    const { code, err } = await command(...args);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(err, "options: --json");
  }
});

Deno.test("every mutant fits the tree: its text is there exactly once", () => {
  const all = mutants();
  assert(all.length >= 60, `${all.length}`);
  assertEquals(new Set(all.map((m) => m.name)).size, all.length);
  assertEquals(all.filter((m) => original(m.file).split(m.find).length !== 2).map((m) => m.name), []);
});

Deno.test("a raw access becomes one through the door, in its index, its value and its condition too", () => {
  const led = throughDoor(
    "if (a[h] !== owner) x = this.#a[a[i]! + 1]!; net.arena.a[j] = a[k]!; b.a[1]; xa[2];",
  );
  assertEquals(
    led.text,
    "if (get(a, h) !== owner) x = get(this.#a, get(a, i) + 1); set(net.arena.a, j, get(a, k)); get(b.a, 1); xa[2];",
  );
  assertEquals(led.sites, 6);
  for (const file of Object.keys(RAW)) {
    if (!file.endsWith("sanitizer.ts")) assert(throughDoor(original(file)).sites > 0);
  }
});
