import { assertEquals } from "@std/assert";
import { ROOT } from "../repo/tree.ts";

/** Runs a command with a deadline. */
async function run(
  cwd: string | URL,
  command: string,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  const signal = AbortSignal.timeout(60_000);
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd, signal }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** Node from 20 on; undefined when there is none. */
function hasNode(): boolean {
  try {
    const { stdout } = new Deno.Command("node", { args: ["--version"] }).outputSync();
    new Deno.Command("npm", { args: ["--version"] }).outputSync();
    return Number(/^v(\d+)/.exec(new TextDecoder().decode(stdout))?.[1]) >= 20;
  } catch {
    return false;
  }
}

const ignore = !hasNode();
if (ignore) console.log("skipped: control on Node needs node 20 or later and npm");

Deno.test({
  name: "the API, the page, a lab and the command line run on Node, from the packed package",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "softc-control-" });
    try {
      const tarball = `${folder}/softc.tgz`;
      const packed = await run(ROOT, Deno.execPath(), "pack", "--allow-dirty", "--output", tarball);
      assertEquals(packed.code, 0, packed.err);
      await Deno.writeTextFile(`${folder}/package.json`, `{ "private": true, "type": "module" }`);
      const flags = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
      const installed = await run(folder, "npm", "install", ...flags, tarball);
      if (installed.code !== 0) {
        console.log(`skipped: npm cannot get the packages that control needs:\n${installed.err}`);
        return;
      }
      await Deno.copyFile(new URL("../control/app/main.mjs", import.meta.url), `${folder}/main.mjs`);
      const { code, out, err } = await run(folder, "node", "main.mjs");
      assertEquals(code, 0, err);
      assertEquals(JSON.parse(out), {
        health: 200,
        without: 401,
        interfaces: 2,
        live: "event: snapshot",
        page: true,
        client: true,
        unaccounted: 0,
        explain: 0,
        left: 0,
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
