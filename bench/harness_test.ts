import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type Case,
  FULL,
  main,
  measure,
  nsPerOp,
  opsPerSecond,
  type Options,
  type Result,
  Skip,
  table,
} from "./harness.ts";
import { ratios, ratioTable, TARGETS } from "./targets.ts";

const OPTIONS: Options = {
  samples: 7,
  ms: 1,
  warmup: 3,
  deadline: 5_000,
  waited: () => 0,
};

/** A case whose samples are given; the warm-up takes three that do not count. */
function given(
  name: string,
  values: (n: number) => number,
  rest: Partial<Case> = {},
): Case {
  let n = -3;
  return {
    group: "g",
    name,
    unit: "ops/s",
    setup: () => ({ sample: () => values(n++) }),
    ...rest,
  };
}

async function results(
  cases: Case[],
  options: Partial<Options> = {},
): Promise<Result[]> {
  const all: Result[] = [];
  for await (const group of measure(cases, { ...OPTIONS, ...options })) {
    all.push(...group);
  }
  return all;
}

async function run(
  cases: Case[],
  ...args: string[]
): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const { deadline, waited, warmup } = OPTIONS;
  const code = await main(cases, args, (line) => void lines.push(line), {
    deadline,
    waited,
    warmup,
  });
  return { code, text: lines.join("\n") };
}

Deno.test("measure() reports median and p10 to p90 of what counted after the warm-up", async () => {
  const [r] = await results([given("a", (n) => n < 0 ? 1e9 : n)], {
    samples: 11,
  });
  const { rounds, ...rest } = r!;
  assertEquals(rounds.length, 11);
  assertEquals(rest, {
    group: "g",
    name: "a",
    unit: "ops/s",
    median: 5,
    p10: 1,
    p90: 9,
    samples: 11,
    dropped: 0,
    noisy: false,
  });
});

Deno.test("measure() samples the cases of a group in turn, each round starting with another", async () => {
  const order: string[] = [];
  const log = (name: string) => given(name, (n) => (n < 0 ? 0 : order.push(name), 1));
  await results([log("a"), log("b"), { ...log("c"), group: "other" }]);
  assertEquals(order.join(""), "abbaabbaabbaab" + "ccccccc");
});

Deno.test("measure() sets up a whole group before its first sample and tears all down after its last", async () => {
  const log: string[] = [];
  const logged = (name: string): Case => ({
    group: "g",
    name,
    unit: "ns",
    setup: () => {
      log.push(`${name} up`);
      return Promise.resolve({
        sample: () => log.push("sample"),
        teardown: () => void log.push(`${name} down`),
      });
    },
  });
  await results([logged("a"), logged("b")]);
  assertEquals(log.filter((l) => l !== "sample"), [
    "a up",
    "b up",
    "a down",
    "b down",
  ]);
  assertEquals(log.slice(-2), ["a down", "b down"]);
});

Deno.test("measure() compares round by round, more than 1 being better in every unit", async () => {
  // The machine slows down by the round: the medians of a and b alone say little.
  const more = await results([
    given("ref", (n) => 100 / (n + 4)),
    given("a", (n) => 200 / (n + 4), { against: "ref" }),
  ]);
  assertAlmostEquals(more[1]?.ratio ?? 0, 2);
  assertEquals(more[1]?.against, "ref");
  assertEquals(more[0]?.ratio, undefined);
  const unit = "ns";
  const less = await results([
    given("ref", () => 10, { unit }),
    given("a", () => 20, { unit, against: "ref" }),
  ]);
  assertAlmostEquals(less[1]?.ratio ?? 0, 0.5);
});

Deno.test("measure() drops samples whose thread waited for a CPU, and takes more", async () => {
  let wait = 0, n = -3;
  const disturbed: Case = {
    group: "g",
    name: "a",
    unit: "ops/s",
    setup: () => ({
      sample: () => {
        const bad = n >= 0 && n % 2 === 1;
        if (bad) wait += 1e9; // a second
        n++;
        return bad ? 1 : 1000;
      },
    }),
  };
  const [r] = await results([disturbed], { waited: () => wait });
  assertEquals([r?.median, r?.p10, r?.samples, r?.dropped, r?.noisy], [
    1000,
    1000,
    7,
    6,
    false,
  ]);
});

Deno.test("measure() takes the least disturbed samples back when too few are left, and says so", async () => {
  let wait = 0;
  const disturbed = given("a", (n) => {
    wait += 1e9 + n * 1e9;
    return n;
  });
  const [r] = await results([disturbed], { waited: () => wait });
  assertEquals([r?.samples, r?.dropped, r?.noisy], [7, 21, true]);
});

Deno.test("measure() looks at all threads only where workers take part", async () => {
  const asked: boolean[] = [];
  const waited = (all: boolean) => (asked.push(all), 0);
  await results([given("a", () => 1)], { waited });
  assert(asked.every((all) => !all));
  asked.length = 0;
  await results([given("a", () => 1, { workers: true })], { waited });
  assert(asked.every((all) => all));
});

Deno.test("measure() keeps every sample where nobody knows about waiting", async () => {
  const [r] = await results([given("a", () => 1)], { waited: () => undefined });
  assertEquals([r?.samples, r?.dropped], [7, 0]);
});

Deno.test("measure() goes on when a case fails, and tears it down", async () => {
  let down = 0;
  const teardown = () => void down++;
  const fail = (what: string) => {
    throw new Error(what);
  };
  let n = 0;
  const all = await results([
    { group: "g", name: "setup", unit: "ns", setup: () => fail("no setup") },
    {
      group: "g",
      name: "sample",
      unit: "ns",
      setup: () => ({ sample: () => n++ < 5 ? 1 : fail("no more"), teardown }),
    },
    {
      group: "g",
      name: "NaN",
      unit: "ns",
      setup: () => ({ sample: () => NaN, teardown }),
    },
    {
      group: "g",
      name: "late",
      unit: "ns",
      setup: () => ({ sample: () => new Promise(() => {}), teardown }),
    },
    {
      group: "g",
      name: "good",
      unit: "ns",
      against: "sample",
      setup: () => ({ sample: () => 1, teardown }),
    },
  ], { deadline: 20 });
  assertEquals(all.map((r) => r.error), [
    "no setup",
    "no more",
    "the sample is NaN, not a finite number",
    "sample took longer than 20 ms",
    undefined,
  ]);
  assertEquals([all[4]?.samples, all[4]?.ratio, down], [7, undefined, 4]);
});

Deno.test("measure() refuses two cases of one name", async () => {
  await assertRejects(
    () => results([given("a", () => 1), given("a", () => 1)]),
    Error,
    'named "g/a"',
  );
});

Deno.test("table() aligns its columns", () => {
  const base = {
    group: "ring",
    p10: 0.0123,
    p90: 12_345.6,
    samples: 9,
    dropped: 3,
    noisy: false,
    rounds: [],
  };
  assertEquals(
    table([
      { ...base, name: "one by one", unit: "Mpps", median: 4.5678 },
      {
        ...base,
        name: "32",
        unit: "ops/s",
        median: 98_765.4,
        ratio: 12.34,
        against: "one by one",
      },
      { ...base, name: "64", unit: "ns", median: 101.4, noisy: true },
      { ...base, name: "bad", unit: "ns", median: NaN, error: "no ring" },
    ]),
    [
      "ring",
      "  one by one    4.57  Mpps   0.012 - 12,346        9/12",
      "  32          98,765  ops/s  0.012 - 12,346        9/12  12.3x one by one",
      "  64             101  ns     0.012 - 12,346  noisy 9/12",
      "  bad         failed         no ring",
    ].join("\n"),
  );
});

Deno.test("main() prints a table for each group, or one JSON document", async () => {
  const cases = [
    given("a", () => 1),
    given("b", () => 2, { against: "a" }),
    given("c", () => 3, { group: "h" }),
  ];
  const { code, text } = await run(cases, "--quick");
  assertEquals(code, 0);
  for (const line of ["g\n  a", "2.00x a", "h\n  c"]) {
    assertStringIncludes(text, line);
  }
  const json = await run(cases, "--json", "--samples", "8", "--ms", "1");
  const document = JSON.parse(json.text);
  assertEquals([json.code, document.samples, document.ms], [0, 8, 1]);
  assertEquals(document.runtime, `deno ${Deno.version.deno}`);
  assertEquals(
    document.results.map((r: Result) => [r.name, r.median, r.ratio]),
    [
      ["a", 1, undefined],
      ["b", 2, 2],
      ["c", 3, undefined],
    ],
  );
});

Deno.test("main() lists and filters by group and name", async () => {
  const cases = [
    given("a", () => 1),
    given("bc", () => 1),
    given("c", () => 1, { group: "h" }),
  ];
  assertEquals(await run(cases, "--list"), { code: 0, text: "g/a\ng/bc\nh/c" });
  assertEquals(await run(cases, "--list", "--filter", "C"), {
    code: 0,
    text: "g/bc\nh/c",
  });
  assertEquals(
    (await run(cases, "--list", "--filter", "g/a", "--filter=h/")).text,
    "g/a\nh/c",
  );
});

Deno.test("main() answers wrong usage with 2 and a failed case with 1", async () => {
  const cases = [given("a", () => NaN)];
  assertEquals((await run(cases, "--filter", "nothing")).code, 2);
  const samples = await run(cases, "--samples", "3");
  assertEquals(samples.code, 2);
  assertStringIncludes(
    samples.text,
    '--samples is "3", wanted an integer of at least 7\n\nUsage:',
  );
  assertEquals((await run(cases, "--fast")).code, 2);
  assertEquals((await run(cases, "-h")).code, 0);
  assertEquals((await run(cases, "--quick")).code, 1);
});

Deno.test("opsPerSecond() and nsPerOp() count operations for the time asked", () => {
  let calls = 0;
  const start = performance.now();
  const rate = opsPerSecond(5, 10, () => void calls++);
  const took = performance.now() - start;
  assert(took >= 5);
  // It counted the operations of these calls, over no more than the time that passed here.
  assert(rate >= calls * 10 / took * 1e3);
  assert(nsPerOp(1, 1, () => {}) > 0);
});

/** Linux only, and Deno shows /proc only to a program that may do everything. */
function schedstat(): boolean {
  try {
    return Deno.readTextFileSync("/proc/thread-self/schedstat").length > 0;
  } catch {
    console.log(
      "skipped: how long threads waited: /proc/thread-self/schedstat cannot be read",
    );
    return false;
  }
}

Deno.test("the harness asks Linux how long threads have waited for a CPU", {
  ignore: !schedstat(),
}, () => {
  const own = FULL.waited(false), all = FULL.waited(true);
  assert(own !== undefined && all !== undefined);
  assert(own >= 0 && all >= own);
});

Deno.test("a case whose tool is missing is skipped with its reason, and nothing is compared with it", async () => {
  const skip = given("peer", () => 1, {
    setup: () => {
      throw new Skip("needs a tool");
    },
  });
  const all = await results([skip, given("own", () => 2, { against: "peer" })]);
  assertEquals(all.map((r) => [r.skipped, r.error, r.ratio]), [
    ["needs a tool", undefined, undefined],
    [undefined, undefined, undefined],
  ]);
  assertStringIncludes(table(all), "skipped");
  assertStringIncludes(table(all), "needs a tool");
  assertEquals((await run([skip])).code, 0);
});

Deno.test("a sample may say itself how long it waited for a CPU", async () => {
  const values = (n: number) => ({ value: n, wait: n % 2 === 0 ? 0 : 0.5 });
  const [r] = await results([{
    ...given("a", () => 0),
    setup: () => {
      let n = -3;
      return { sample: () => values(n++) };
    },
  }]);
  assertEquals(r!.samples, 7);
  assertEquals([r!.median, r!.dropped > 0], [6, true]);
});

Deno.test("ratios(): a multiple of the peer's speed or cost, whether it holds, null when unknown", () => {
  const target = TARGETS.find((t) => t.sense === "<=" && t.against !== undefined)!;
  const base = {
    group: target.group,
    p10: 1,
    p90: 1,
    samples: 7,
    dropped: 0,
    noisy: false,
  };
  const made = (name: string, value: number) => ({
    ...base,
    name,
    unit: "ns",
    median: value,
    rounds: Array.from({ length: 7 }, () => ({ value, wait: 0 })),
  });
  const cost = (own: number) => ratios([made(target.case, own), made(target.against!, 10)])[0]!;
  assertAlmostEquals(cost(10 * target.hold!).value!, target.hold!, 1e-9);
  assertEquals([cost(9.9 * target.hold!).ok, cost(10.1 * target.hold!).ok], [
    true,
    false,
  ]);
  assertEquals(cost(9.9 * target.aim).reached, true);
  const skipped = { ...made(target.against!, NaN), skipped: "needs a tool" };
  const [alone] = ratios([made(target.case, 1), skipped]);
  assertEquals([alone!.value, alone!.ok, alone!.why], [
    null,
    null,
    "needs a tool",
  ]);
  assertStringIncludes(ratioTable([alone!]), "needs a tool");
});
