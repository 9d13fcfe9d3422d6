import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCli } from "../../control/mod.ts";

const ROOT = new URL("../../", import.meta.url);
const file = (path: string): string => new URL(path, ROOT).href;

async function softc(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: string[][] = [[], []];
  const code = await runCli(args, { out: (t) => void out!.push(t), err: (t) => void err!.push(t) });
  return { code, out: out!.join(""), err: err!.join("") };
}

Deno.test("softc explore: a sound driver, with its bound", async () => {
  const { code, out } = await softc("explore", file("drivers/null.ts"), "--bound", "1");
  assertEquals(code, 0);
  assertMatch(out, /^null: detach: we found none; exhaustive to 1 preemption, 2 threads, \d+ schedules$/m);
  assertMatch(out, /^null: move: we found none; /m);
});

Deno.test("softc explore: a broken driver exits with 1, and its replay line shows the violation again", async () => {
  const { code, out } = await softc("explore", file("examples/broken/double_free.ts"), "--bound", "1");
  assertEquals(code, 1);
  assertMatch(out, /^double-free: detach: threw, rule 1b: /m);
  assertMatch(out, /^thrown in .*double_free\.ts:\d+/m);
  const again = /^replay: softc (.*--scenario detach .*)$/m.exec(out)![1]!;
  const replayed = await softc(...again.split(" "));
  assertEquals(replayed.code, 1);
  assertMatch(replayed.out, /^threw, rule .*it was freed by dev\.txDone/m);
});

Deno.test("softc explore: the replay line has the driver's cloner and options, and a hook that awaits the outside is told", async () => {
  const args = ["--cloner", "outside", "--options", '{"peer":9}'];
  const { code, out } = await softc("explore", file("examples/guide/outside.ts"), "--bound", "0", ...args);
  assertEquals(code, 1);
  assertStringIncludes(out, "a hook or task awaits I/O or a timer of the runtime, which does not run here");
  assertMatch(out, /^replay: .* --scenario detach --cloner outside --options '\{"peer":9\}' --replay \.$/m);
});

Deno.test("softc explore: scenarios of a module, one by name, in JSON", async () => {
  const programs = file("tests/explore/programs.ts");
  const { code, out } = await softc("explore", programs, "--scenario", "2+2", "--bound", "4", "--json");
  assertEquals(code, 0);
  const { name, schedules, bound } = JSON.parse(out);
  assertEquals([name, schedules, bound], ["2+2", 6, 4]);
});

Deno.test("softc explore: bad input is refused with a code", async () => {
  const driver = file("drivers/null.ts");
  for (
    const [args, says] of [
      [[file("no/such/file.ts")], "SOFTC_MODULE_LOAD"],
      [[driver, "--bound", "x"], "SOFTC_API_INPUT"],
      [[driver, "--options", "{"], "SOFTC_API_INPUT"],
      [[driver, "--cloner", "nil"], "SOFTC_DRIVER_UNKNOWN"],
      [[file("examples/guide/step4.ts"), "--options", '{"buffer":1}'], "SOFTC_DRIVER_OPTIONS"],
      [[driver, "--replay", "."], "SOFTC_API_INPUT"],
    ] as const
  ) {
    const { code, err } = await softc("explore", ...args);
    assertEquals(code === 1 || code === 2, true, String(code));
    assertStringIncludes(err, says);
  }
});
