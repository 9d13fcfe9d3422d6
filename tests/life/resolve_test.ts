import { assert, assertEquals, assertThrows } from "@std/assert";
import { pathToFileURL } from "node:url";
import { SoftcError } from "../../core/error.ts";
import { resolveModule } from "../../kernel/resolve.ts";

/** Runs `fn` in a new folder that holds packages: name to the `exports` of its package.json. */
function withPackages(packages: Record<string, unknown>, fn: (root: string) => void): void {
  const root = Deno.realPathSync(Deno.makeTempDirSync());
  const before = Deno.cwd();
  try {
    Deno.writeTextFileSync(`${root}/package.json`, "{}");
    for (const [name, exports] of Object.entries(packages)) {
      const at = `${root}/node_modules/${name}`;
      Deno.mkdirSync(`${at}/esm`, { recursive: true });
      Deno.writeTextFileSync(`${at}/package.json`, JSON.stringify({ name, type: "module", exports }));
      for (const f of ["mod.js", "more.js"]) Deno.writeTextFileSync(`${at}/esm/${f}`, "export default {};\n");
    }
    Deno.chdir(root);
    fn(pathToFileURL(root).href);
  } finally {
    Deno.chdir(before);
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("resolveModule() finds a package of the application, one that offers import alone too", () => {
  const esm = {
    ".": { import: { types: "./esm/mod.d.ts", default: "./esm/mod.js" } },
    "./more": { import: "./esm/more.js" },
  };
  withPackages(
    { "nic-plain": "./esm/mod.js", "@acme/nic": esm, "nic-short": { import: "./esm/mod.js" } },
    (root) => {
      assertEquals(resolveModule("nic-plain"), `${root}/node_modules/nic-plain/esm/mod.js`);
      assertEquals(resolveModule("@acme/nic"), `${root}/node_modules/@acme/nic/esm/mod.js`);
      assertEquals(resolveModule("@acme/nic/more"), `${root}/node_modules/@acme/nic/esm/more.js`);
      assertEquals(resolveModule("nic-short"), `${root}/node_modules/nic-short/esm/mod.js`);
      for (const missing of ["nic-none", "@acme/nic/none", "@acme"]) {
        assertEquals(assertThrows(() => resolveModule(missing), SoftcError).code, "SOFTC_MODULE_LOAD");
      }
    },
  );
});

Deno.test("resolveModule() names the built-in drivers when asked for one that is none", () => {
  const e = assertThrows(() => resolveModule("softc:epiar"), SoftcError);
  assertEquals(e.code, "SOFTC_MODULE_LOAD");
  assert(e.message.includes('wanted "softc:loopback, softc:null, softc:epair'), e.message);
});

Deno.test("resolveModule() leaves URLs alone, and takes paths from the application's folder", () => {
  const here = pathToFileURL(Deno.cwd() + "/").href;
  assertEquals(resolveModule("https://example.com/nic.ts"), "https://example.com/nic.ts");
  assertEquals(resolveModule("./nic.ts"), `${here}nic.ts`);
  assertEquals(resolveModule("softc:loopback"), new URL("../../drivers/loopback.ts", import.meta.url).href);
});
