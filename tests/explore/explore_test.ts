import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import {
  explore,
  exploreDriver,
  type ExploreOptions,
  formatReport,
  formatSchedule,
  parseSchedule,
  replay,
} from "../../testing/mod.ts";

const PROGRAMS = new URL("./programs.ts", import.meta.url).href;
const run = (scenario: string, o: ExploreOptions = {}) => explore(PROGRAMS, { scenario, bound: 8, ...o });

// The interleavings of threads with a and b accesses to one word are (a+b)! / (a! b!).
for (
  const [program, count] of [
    ["one", 1],
    ["1+1", 2],
    ["2+2", 6],
    ["3+3", 20],
    ["1+1+1", 6],
    ["2+2+2", 90],
  ] as const
) {
  Deno.test(`the program ${program} has exactly ${count} schedules`, async () => {
    const r = await run(program);
    assertEquals([r.schedules, r.bound, r.violation], [count, 8, undefined]);
  });
}

// AABB BBAA | ABBA BAAB | ABAB BABA: two more per preemption.
for (const [bound, count] of [[0, 2], [1, 4], [2, 6], [3, 6]] as const) {
  Deno.test(`the program 2+2 has ${count} schedules with at most ${bound} preemptions`, async () => {
    const r = await run("2+2", { bound });
    assertEquals([r.schedules, r.bound], [count, bound]);
  });
}

Deno.test("threads that share no word are run in each order once, and the check is called vacuous", async () => {
  const r = await run("apart");
  assertEquals([r.schedules, r.sharedWords], [2, 0]);
  assertStringIncludes(r.warnings.join(), "vacuous");
});

Deno.test("nobody is preempted before an access that cannot conflict", async () => {
  // B's own two accesses are no points: A's two against B's one, 3! / (2! 1!).
  const r = await run("mixed");
  assertEquals([r.schedules, r.sharedWords], [3, 1]);
});

Deno.test("a lost update is found with one preemption, and replays from its string", async () => {
  const r = await run("lost");
  assertEquals([r.violation?.kind, r.violation?.preemptions], ["check", 1]);
  assertStringIncludes(r.violation!.trace, "programs.ts:");
  const again = await replay(PROGRAMS, r.violation!.schedule, { scenario: "lost" });
  assertEquals([again.violation?.kind, again.violation?.message], ["check", r.violation!.message]);
  assertEquals((await replay(PROGRAMS, ".", { scenario: "lost" })).violation, undefined);
});

Deno.test("what needs three preemptions is not found with two", async () => {
  assertEquals((await run("deep", { bound: 2 })).violation, undefined);
  const r = await run("deep", { bound: 3 });
  assertEquals([r.violation?.kind, r.violation?.preemptions], ["threw", 3]);
});

Deno.test("a deadlock is a finding that names who waits", async () => {
  const r = await run("deadlock");
  assertEquals(r.violation?.kind, "deadlock");
  assertStringIncludes(r.violation!.message, "A, B");
});

Deno.test("a sleeper that nobody is left to notify is a lost wake-up", async () => {
  const { violation } = await run("asleep");
  assertEquals([violation?.kind, violation?.rule], ["lost wake-up", "asleep"]);
  assertStringIncludes(violation!.message, "sleeper sleeps");
});

Deno.test("a touch of freed words is a finding that names the rule and who freed them", async () => {
  const { violation } = await run("freed");
  assertEquals([violation?.kind, violation?.rule], ["use after free", "1b"]);
  assertStringIncludes(violation!.message, "freed by epoch callback on CPU 0");
});

Deno.test("packets that the books lost are a finding, whatever the scenario checks", async () => {
  const { violation } = await run("leak");
  assertEquals([violation?.kind, violation?.message], ["ledger", "1 packets are unaccounted for"]);
});

Deno.test("random numbers are the same in every schedule, so that each replays", async () => {
  const r = await run("dice", { all: true, random: 50 });
  assertEquals([r.violations, r.bound], [0, 8]);
});

Deno.test("a report says its bound, and of a violation the rule, both columns, and one line that shows it again", async () => {
  assertEquals(
    formatReport(await run("3+3")),
    "3+3: we found none; exhaustive to 8 preemptions, 2 threads, 20 schedules",
  );
  const text = formatReport(await run("lost"));
  assertMatch(text, /^lost: check, rule lost: 2 increments gave 1$/m);
  assertMatch(text, /^ step +A +B/m);
  assertMatch(text, /programs\.ts:\d+/);
  assertMatch(text, /^replay: softc explore file:\S+programs\.ts --scenario lost --replay \S+$/m);
  assertStringIncludes(formatReport(await run("vacuous")), 'warning: "the moon is blue" never happened');
});

Deno.test("a loop without an end is a finding", async () => {
  assertEquals((await run("livelock")).violation?.kind, "livelock");
});

Deno.test("a wait sees what was stored before it, and what was published with it", async () => {
  const r = await run("message");
  assertEquals([r.violation, r.bound], [undefined, 8]);
});

Deno.test("a data race is found though its outcome is harmless", async () => {
  const r = await run("race");
  assertEquals(r.violation?.kind, "race");
  assertStringIncludes(r.violation!.message, "consumer");
  assertEquals((await run("race", { races: false })).violation, undefined);
});

Deno.test("what must happen and never does is a warning", async () => {
  assertStringIncludes((await run("vacuous")).warnings.join(), '"the moon is blue" never happened');
});

Deno.test("operations of thread 0 interleave at their awaits with each other and with another thread", async () => {
  const r = await run("operations", { bound: 0 });
  assertEquals([r.violation, r.bound], [undefined, 0]);
  assert(r.schedules > 4, `${r.schedules}`);
});

Deno.test("random and PCT schedules find a lost update, and write it down so that it replays", async () => {
  for (const o of [{ random: 200 }, { pct: 200 }]) {
    const r = await run("lost", { bound: 0, seed: 7, ...o });
    assertEquals(r.violation?.kind, "check");
    const again = await replay(PROGRAMS, r.violation!.schedule, { scenario: "lost" });
    assertEquals(again.violation?.kind, "check");
  }
});

Deno.test("the same seed gives the same schedules", async () => {
  const first = await run("lost", { bound: 0, random: 200, seed: 3 });
  const second = await run("lost", { bound: 0, random: 200, seed: 3 });
  assertEquals([second.runs, second.violation?.schedule], [first.runs, first.violation?.schedule]);
});

Deno.test("a bound that was not reached is a warning", async () => {
  const r = await run("10+10", { max: 50 });
  assert(r.bound < 8);
  assertStringIncludes(r.warnings.join(), "before the bound");
});

Deno.test("passing interleavings are shown on demand", async () => {
  const r = await run("2+2", { show: 2 });
  assertEquals(r.shown.length, 2);
  assertStringIncludes(r.shown[0]!, "rmw heap +0");
});

// What conformance's quick run and `softc explore` stand on.
for (
  const driver of ["drivers/null.ts", "drivers/loopback.ts", "drivers/epair.ts", "examples/echo/echo.ts"]
) {
  Deno.test(`${driver} on two threads: detach and move, to 1 preemption`, async () => {
    for (const r of await exploreDriver(new URL(`../../${driver}`, import.meta.url), { bound: 1 })) {
      assertEquals([r.violation, r.bound, r.warnings], [undefined, 1, []], formatReport(r));
    }
  });
}

for (
  const [driver, says] of [
    ["double_free.ts", "freed by dev.txDone"],
    ["lost_packets.ts", "packets are left"],
    ["rearmed.ts", "Cannot arm a timer"],
  ] as const
) {
  Deno.test(`examples/broken/${driver} is found by the explorer too`, async () => {
    const [r] = await exploreDriver(new URL(`../../examples/broken/${driver}`, import.meta.url), {
      bound: 1,
    });
    assertStringIncludes(r!.violation!.message, says);
  });
}

Deno.test("exploreDriver() refuses a cloner that the module has not, and names those that it has", async () => {
  const step6 = new URL("../../examples/guide/step6.ts", import.meta.url);
  const e = await assertRejects(() => exploreDriver(step6, { cloner: "wid", bound: 0 }), Error);
  assertStringIncludes(e.message, 'Cannot find the cloner "wid"');
  assertStringIncludes(e.message, 'wanted "lossy, wide"');
});

Deno.test("formatSchedule() and parseSchedule() are inverse", () => {
  const s = [{ step: 0, choice: 1 }, { step: 36, choice: 10 }];
  assertEquals(formatSchedule(s), "0.1-10.a");
  assertEquals(parseSchedule(formatSchedule(s)), s);
  assertEquals(parseSchedule("."), []);
});
