import { assert, assertEquals } from "@std/assert";
import { entries } from "../repo/tree.ts";
import { packed, QUIET, run, version } from "./pack.ts";

const node = version("node");
const major = Number(/^v(\d+)/.exec(node ?? "")?.[1] ?? 0);
const missing = major < 20
  ? `node 20 or later (here: ${node ?? "none"})`
  : version("npm") === undefined
  ? "npm"
  : undefined;
if (missing !== undefined) console.log(`skipped: the packed package on Node needs ${missing}`);

/** Whether npm's registry answers: asked once, with a deadline. */
function registry(): boolean {
  if (missing !== undefined) return false;
  const args = ["view", "publint@0.3.25", "version", "--fetch-retries=0", "--fetch-timeout=10000"];
  return new Deno.Command("npm", { args, stdout: "null", stderr: "null" }).outputSync().success;
}
const offline = !registry();
if (offline) console.log("skipped: Node 22, Bun, tsc, publint and attw need npm's registry");

/** Checks the line that the application printed. */
function check(stdout: string): void {
  const lines = stdout.trim().split("\n");
  assertEquals(lines.length, 1, lines.join("\n"));
  const result = JSON.parse(lines[0]!);
  assertEquals(result.cpus, 2);
  assert(result.sent > 0);
  assertEquals(result.unaccounted, 0);
  assert(result.perCpu.every((packets: number) => packets > 0), lines[0]);
  assertEquals(result.moves, 3);
  for (const none of ["leaks", "wedged", "faults"]) assertEquals(result[none], [], lines[0]);
  assertEquals(result.left, 0, "interfaces left after the unload");
}

/** Checks the line that the explorer's application printed. */
function checkExplored(stdout: string): void {
  const sound = { bound: 1, warnings: [] };
  const found = "2 increments gave 1";
  assertEquals(JSON.parse(stdout), { found, again: found, plugin: [sound, sound] });
}

Deno.test({
  name:
    "the packed package runs on Node: two CPUs, a plugin from a file, traffic, moves, unload, the ledger closed",
  ignore: missing !== undefined,
  async fn(t) {
    await packed(async ({ app, names }) => {
      await t.step("every entry is built and typed, and nothing else is in it", () => {
        for (const path of Object.values(entries())) {
          for (const built of [path.replace(/\.tsx?$/, ".js"), path.replace(/\.tsx?$/, ".d.ts")]) {
            assert(names.includes(`package/${built}`), `${built} is not in the tarball`);
          }
        }
        const raw = names.filter((name) => /_test\.|\.tsx?$/.test(name) && !name.endsWith(".d.ts"));
        assertEquals(raw, [], "tests or TypeScript sources in the tarball: reached by no export");
      });
      await t.step(`on Node ${node}`, async () => check(await run(app, "node", "main.mjs")));
      await t.step(
        "on Deno, from node_modules",
        async () => check(await run(app, Deno.execPath(), "run", "-A", "--no-lock", "main.mjs")),
      );
      await t.step(
        `the explorer on Node ${node}`,
        async () => checkExplored(await run(app, "node", "explore.mjs")),
      );
      await t.step(
        "the explorer on Deno, from node_modules",
        async () => checkExplored(await run(app, Deno.execPath(), "run", "-A", "--no-lock", "explore.mjs")),
      );
    });
  },
});

Deno.test({
  name: "the packed package runs on Node 22 and Bun, and passes tsc, publint and attw",
  ignore: offline,
  async fn(t) {
    await packed(async ({ app, tarball }) => {
      const npx = (...args: string[]): Promise<string> => run(app, "npx", "-y", ...args);
      await t.step("on Node 22", async () => check(await npx("node@22", "main.mjs")));
      await t.step("on Bun", async () => check(await npx("bun@1.4.5", "main.mjs")));
      await t.step("the explorer on Node 22", async () => checkExplored(await npx("node@22", "explore.mjs")));
      await t.step("the explorer on Bun", async () => checkExplored(await npx("bun@1.4.5", "explore.mjs")));
      await t.step("tsc --noEmit, nodenext, strict, libraries checked", async () => {
        await run(app, "npm", "install", ...QUIET, "typescript@5.9", "@types/node@20");
        // The entries of workers export nothing: they are imported for what they do.
        const all = Object.keys(entries()).map((name, i) =>
          `import ${name.endsWith("worker") ? "" : `* as e${i} from `}"@softc/softc${name.slice(1)}";`
        );
        await Deno.writeTextFile(`${app}/entries.ts`, all.join("\n"));
        await npx("--no-install", "tsc", "--project", "tsconfig.json");
      });
      await t.step("publint", async () => void await npx("publint@0.3.25", "--strict", tarball));
      await t.step(
        "attw, ES modules only",
        async () => void await npx("@arethetypeswrong/cli@0.18.5", "--profile", "esm-only", tarball),
      );
    });
  },
});
