import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";

/** Runs the demo as its task does, with its least permissions; killed when it does not end. */
async function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-read", "examples/demo/main.ts", ...args],
    cwd: new URL("..", import.meta.url),
    signal: AbortSignal.timeout(45_000),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** What it shows, in this order. */
const STEPS = [
  "boot",
  "modules",
  "lab",
  "replay",
  "ping",
  "traffic",
  "virtio",
  "usb",
  "vmove",
  "unload",
  "host",
  "shutdown",
];

/** Packets that ended in a drop, whatever the reason. */
const lost = (dropped: Record<string, number>): number => Object.values(dropped).reduce((x, y) => x + y, 0);

Deno.test("the demo's --json is one line that says what became of every packet", async () => {
  const { code, stdout, stderr } = await demo("--json", "--seconds", "2");
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertMatch(stdout, /^[^\n]+\n$/);
  const r = JSON.parse(stdout);
  assertEquals({ unaccounted: r.unaccounted, leaks: r.leaks, cpus: r.cpus }, {
    unaccounted: 0,
    leaks: 0,
    cpus: 2,
  });
  assertGreater(r.sent, 0);
  assertEquals(r.sent, r.delivered + lost(r.dropped));
  assertEquals(r.perCpu.length, 2);
  const handled = r.perCpu.reduce((x: number, y: number) => x + y, 0);
  for (const n of r.perCpu) assertGreater(n, handled / 10);
  assertGreater(r.gracePeriods, 0);
  assertGreater(r.vmove.count, 0);
  assertGreater(r.vmove.p50Us, 0);
  assert(r.vmove.maxUs >= r.vmove.p50Us);
  assertEquals(r.replayed.arrived, r.replayed.sent);
  assertEquals(r.replayed.sent % 448, 0); // frames of the capture
  const { before, during, after, ttl } = r.ping;
  assertEquals([before.received, after.received, ttl], [before.sent, after.sent, 63]); // one router on the way
  assertGreater(during.received, 0);
  assertGreater(r.virtio.toDevice, 0);
  assertGreater(r.virtio.toDriver, 0);
  assertEquals(r.usb.after, { ...r.usb.before, up: true });
  assertEquals(r.usb.before, { name: "dongle", vnet: "right" });
  for (const n of r.usb.frames) assertGreater(n, 0);
  assertGreater(r.host.packets, 0);
  assertEquals(r.host.workers, [1, 2, 1]); // CPU 1; the driver's beside it; gone with its module
});

Deno.test("the demo runs on one CPU, and ends with what a person wants to know", async () => {
  const { code, stdout, stderr } = await demo("--cpus", "1", "--seconds", "1");
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  assertEquals(stdout.includes("\x1b"), false); // not a terminal: neither colour nor moving lines
  const lines = stdout.trimEnd().split("\n").map((l) => l.trim());
  for (const step of STEPS) {
    assert(lines.some((l) => l.startsWith(`${step} `)), step);
  }
  assertMatch(stdout, /\n {2}unaccounted +0 /);
  assertEquals(lines.at(-1), "No packet is unaccounted for.");
});

for (
  const args of [
    ["--seconds", "0"],
    ["--seconds", "soon"],
    ["--cpus", "17"],
    ["--cpus", "1.5"],
    ["--cpus"],
    ["--fast"],
    ["left"],
  ]
) {
  Deno.test(`the demo refuses "${args.join(" ")}" in one line, with exit code 2`, async () => {
    const { code, stdout, stderr } = await demo(...args);
    assertEquals({ code, stdout }, { code: 2, stdout: "" });
    assertMatch(stderr, /^demo: [^\n]+; try --help\n$/);
  });
}

Deno.test("the demo's --help has every option and an example", async () => {
  const { code, stdout } = await demo("--help");
  assertEquals(code, 0);
  for (const word of ["--seconds", "--cpus", "--json", "Exit code", "Example: "]) {
    assert(stdout.includes(word), word);
  }
});
