// Runs the demo as `deno task demo` does, with its least permissions, and checks its one line of JSON.
import { spawnSync } from "node:child_process";

const run = spawnSync("npx", ["-y", process.argv[2], "task", "demo", "--json", "--seconds", "4"], {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
});
const fail = (why) => {
  console.log(`demo: ${why}\nstdout: ${run.stdout}`);
  process.exit(1);
};
if (run.status !== 0) fail(`exit code ${run.status}`);
const lines = run.stdout.split("\n");
if (lines.length !== 2 || lines[1] !== "") fail("stdout is not exactly one line");

const r = JSON.parse(lines[0]);
const keys = [
  "sent",
  "delivered",
  "dropped",
  "unaccounted",
  "leaks",
  "gracePeriods",
  "vmove",
  "cpus",
  "perCpu",
];
const missing = keys.filter((k) => !(k in r));
if (missing.length > 0) fail(`no ${missing.join(", ")}`);
if (r.unaccounted !== 0 || r.leaks !== 0) fail(`unaccounted ${r.unaccounted}, leaks ${r.leaks}`);
if (!(r.sent > 0)) fail("nothing was sent");
const perCpu = Object.values(r.perCpu);
if (perCpu.length !== r.cpus || r.cpus !== 2) fail(`${r.cpus} CPUs, perCpu of ${perCpu.length}`);
if (perCpu.some((n) => n < r.sent / 10)) fail("a CPU handled less than 10 % of what was sent");
console.log(lines[0]);
