/** A driver made from the template, as its author has it on Node: installed from npm's tarball, compiled, tested. */
import { assert } from "@std/assert";
import { newDriver } from "../../control/new_driver.ts";
import { packed, QUIET, run, version } from "./pack.ts";

const missing = version("node") === undefined || version("npm") === undefined;
if (missing) console.log("skipped: a new driver on Node needs node and npm");

const EXAMPLE = new URL("../../examples/package/", import.meta.url);

Deno.test({
  name: "a new driver, and the example of a package, pass their tests on Node",
  ignore: missing,
  async fn() {
    await packed(async ({ tarball, app }) => {
      newDriver("mynic", { folder: `${app}/mynic`, npm: `file:${tarball}` });
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
        try {
          await run(folder, "npm", "install", "--prefer-offline", ...QUIET);
        } catch (e) {
          if (!/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN/.test((e as Error).message)) throw e;
          console.log("skipped: npm's registry does not answer");
          return;
        }
        const out = await run(folder, "npm", "test");
        assert(/# pass [3-9]\d|pass [3-9]\d/.test(out) && /fail 0/.test(out), out);
        assert(!out.includes("not ok"), out);
      }
    });
  },
});
