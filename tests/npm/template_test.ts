/** A driver made from the template, as its author has it on Node: installed from npm's tarball, compiled, tested. */
import { assert, assertEquals } from "@std/assert";
import { offline, packed, QUIET, run } from "./pack.ts";

const BIN = "node_modules/@softc/softc/control/cli/bin.js";
const EXAMPLE = new URL("../../examples/package/", import.meta.url);

Deno.test({
  name: "a new driver passes its tests on Node and on Deno, the example of a package on Node",
  ignore: offline("a new driver on Node"),
  async fn() {
    await packed(async ({ tarball, app }) => {
      // `deno pack` writes no bin: the command is run by its path, on Node and on Deno.
      const deno = [Deno.execPath(), "run", "-A", "--no-lock"];
      for (const [name, command, ...args] of [["mynic", "node"], ["other", ...deno]] as const) {
        const cli = [BIN, "new", "driver", name, "--softc", `file:${tarball}`];
        const made = await run(app, command!, ...args, ...cli);
        for (
          const next of [
            `with Deno:    cd ${name} && npm install && deno test -A`,
            `without Deno:       cd ${name} && npm install && npx -y deno@2.9.6 test -A`,
            `with Node and npm:  cd ${name} && npm install && npm test`,
          ]
        ) assert(made.includes(next), made);
      }
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
      const onDeno = await run(`${app}/mynic`, Deno.execPath(), "test", "-A", "--no-lock");
      assert(/\| [3-9]\d passed \| 0 failed/.test(onDeno), onDeno);
      const { ms, ...watched } = JSON.parse(
        await run(app, "node", "watch.mjs", "mynic/dist/mynic.js"),
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
