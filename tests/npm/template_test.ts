/** A driver made from the template, as its author has it on Node: installed from npm's tarball, compiled, tested. */
import { assert, assertEquals } from "@std/assert";
import { offline, packed, QUIET, run } from "./pack.ts";

const EXAMPLE = new URL("../../examples/package/", import.meta.url);

Deno.test({
  name: "a new driver, and the example of a package, pass their tests on Node",
  ignore: offline("a new driver on Node"),
  async fn() {
    await packed(async ({ tarball, app }) => {
      const cli = ["watch.mjs", "cli", "new", "driver", "mynic", "--softc", `file:${tarball}`];
      const made = await run(app, "node", ...cli);
      assert(made.includes("Next: cd mynic && npm install && npm test"), made);
      // The example of a package: as it is, but for where softc comes from.
      await Deno.mkdir(`${app}/example`);
      for (const { name } of Deno.readDirSync(EXAMPLE)) {
        const text = Deno.readTextFileSync(new URL(name, EXAMPLE));
        Deno.writeTextFileSync(`${app}/example/${name}`, text);
      }
      const json = JSON.parse(Deno.readTextFileSync(`${app}/example/package.json`));
      json.devDependencies["@softc/softc"] = `file:${tarball}`;
      Deno.writeTextFileSync(`${app}/example/package.json`, JSON.stringify(json));
      for (const folder of [`${app}/mynic`, `${app}/example`]) {
        await run(folder, "npm", "install", "--prefer-offline", ...QUIET);
        const out = await run(folder, "npm", "test");
        assert(/# pass [3-9]\d|pass [3-9]\d/.test(out) && /fail 0/.test(out), out);
        assert(!out.includes("not ok"), out);
      }
      const { ms, ...watched } = JSON.parse(
        await run(app, "node", "watch.mjs", "watch", "mynic/dist/mynic.js"),
      );
      console.log(`softc watch on Node: reloaded in ${ms} ms`);
      assertEquals(watched, {
        generations: [1, 2, 3, 4],
        before: { generation: 1, workers: 0, handles: 0, mbufs: 0 },
        lines: ["let n = 0;", "let n = 0;"],
        unaccounted: 0,
        leaks: [],
      });
    });
  },
});
