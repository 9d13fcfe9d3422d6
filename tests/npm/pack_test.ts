import { assert, assertEquals } from "@std/assert";
import { entries } from "../repo/tree.ts";
import { nodeless, offline, packed, QUIET, run, version } from "./pack.ts";

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
  assertEquals(result.unplugged, ["gone", "gone"], "the device and its interface's handle");
}

/** Runs the application's programs with a runtime. */
async function exercise(app: string, command: string, ...args: string[]): Promise<void> {
  check(await run(app, command, ...args, "main.mjs"));
  const out = await run(app, command, ...args, "quickstart.mjs");
  assertEquals(out, "3 replies\n0 packets unaccounted for\n");
  checkExplored(await run(app, command, ...args, "explore.mjs"));
}

/** Checks the line that the explorer's application printed. */
function checkExplored(stdout: string): void {
  const sound = { bound: 1, warnings: [] };
  const found = "2 increments gave 1";
  assertEquals(JSON.parse(stdout), { found, again: found, plugin: [sound, sound] });
}

Deno.test({
  name:
    "the packed package runs on Node and Deno: two CPUs, another package's driver, moves, unplug, unload, the explorer",
  ignore: nodeless("the packed package on Node"),
  async fn(t) {
    await packed(async ({ app, names }) => {
      await t.step("every entry is built and typed, and nothing else is in it", () => {
        for (const path of Object.values(entries())) {
          for (const built of [path.replace(/\.tsx?$/, ".js"), path.replace(/\.tsx?$/, ".d.ts")]) {
            assert(names.includes(`package/${built}`), `${built} is not in the tarball`);
          }
        }
        const raw = names.filter((name) => /_test\.|\.tsx?$/.test(name) && !name.endsWith(".d.ts"))
          .filter((name) => !name.startsWith("package/templates/"));
        assertEquals(raw, [], "tests or TypeScript sources in the tarball: reached by no export");
      });
      await t.step("the template of a driver is in it, whole", () => {
        const template = [...Deno.readDirSync(new URL("../../templates/driver/", import.meta.url))];
        for (const { name } of template) assert(names.includes(`package/templates/driver/${name}`), name);
      });
      await t.step("the command runs by its path, on Node and on Deno", async () => {
        const said = "SOFTC_OPTION_UNKNOWN: error code";
        const explain = ["node_modules/@softc/softc/control/cli/bin.js", "explain", "SOFTC_OPTION_UNKNOWN"];
        for (const [command, ...args] of [["node"], [Deno.execPath(), "run", "-A", "--no-lock"]] as const) {
          assert((await run(app, command!, ...args, ...explain)).startsWith(said), command);
        }
      });
      await t.step(`on Node ${version("node")}`, () => exercise(app, "node"));
      await t.step(
        "on Deno, from node_modules",
        () => exercise(app, Deno.execPath(), "run", "-A", "--no-lock"),
      );
    });
  },
});

Deno.test({
  name: "the packed package runs on Node 22 and Bun, and passes tsc, publint and attw",
  ignore: offline("Node 22, Bun, tsc, publint and attw"),
  async fn(t) {
    await packed(async ({ app, tarball }) => {
      const npx = (...args: string[]): Promise<string> => run(app, "npx", "-y", ...args);
      await t.step("on Node 22", () => exercise(app, "npx", "-y", "node@22"));
      await t.step("on Bun", () => exercise(app, "npx", "-y", "bun@1.4.5"));
      await t.step("tsc --noEmit, nodenext, strict, libraries checked", async () => {
        await run(app, "npm", "install", ...QUIET, "typescript@5.9", "@types/node@20");
        // The entries of workers and the command export nothing: they are imported for what they do.
        const all = Object.keys(entries()).map((name, i) =>
          `import ${/(worker|cli)$/.test(name) ? "" : `* as e${i} from `}"@softc/softc${name.slice(1)}";`
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
