/** The unit tests that the npm build runs under Node, run there: compiled file by file as dnt does, which needs JSR. */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { BIN, NODE_TESTS } from "../../scripts/npm_contents.ts";
import { entries, ROOT } from "../repo/tree.ts";
import { offline, QUIET, run } from "./pack.ts";

Deno.test({
  name: "the unit tests of the npm build pass on Node",
  ignore: offline("compiling the unit tests for Node"),
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "softc-unit-" });
    const write = (path: string, text: string): void => Deno.writeTextFileSync(`${folder}/${path}`, text);
    try {
      write("package.json", `{ "private": true, "type": "module" }`);
      await run(folder, "npm", "install", ...QUIET, "typescript@5.9", "@types/node@20", "deno-std@1.4.0");
      // dnt takes the library from JSR into the build.
      Deno.mkdirSync(`${folder}/node_modules/@std/assert`, { recursive: true });
      write("node_modules/@std/assert/package.json", `{ "type": "module", "exports": "./mod.js" }`);
      write("node_modules/@std/assert/mod.js", `export * from "deno-std/assert/mod.js";\n`);
      const root = fileURLToPath(ROOT);
      const files = [
        "tests/npm/deno_test_on_node.ts",
        ...NODE_TESTS,
        "kernel/worker.ts",
        ...Object.values(entries()).filter((path) => path.startsWith("drivers/")),
      ];
      const compilerOptions = {
        module: "esnext",
        moduleResolution: "bundler",
        target: "es2022",
        types: [],
        noCheck: true,
        rewriteRelativeImportExtensions: true,
        rootDir: root,
        outDir: ".",
      };
      write("tsconfig.json", JSON.stringify({ compilerOptions, files: files.map((f) => root + f) }));
      await run(folder, "npx", "--no-install", "tsc");
      const js = (f: string): string => `import "./${f.replace(/\.ts$/, ".js")}";\n`;
      write("all.js", js(files[0]!) + NODE_TESTS.map(js).join(""));
      const out = await run(folder, "node", "--test-reporter=tap", "all.js");
      const count = (what: string): number => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(out)?.[1]);
      assert(count("tests") >= 60, out);
      assertEquals([count("fail"), count("skipped")], [0, 0], out);
      console.log(`${count("pass")} unit tests on Node`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "the sources of the npm build pass tsc without Deno's types, as dnt checks them",
  ignore: offline("checking the sources with tsc"),
  async fn() {
    const folder = Deno.makeTempDirSync({ prefix: "softc-tsc-" });
    const write = (path: string, o: object): void =>
      Deno.writeTextFileSync(`${folder}/${path}`, JSON.stringify(o));
    try {
      write("package.json", { private: true, type: "module" });
      const packages = Object.values(imports()).flatMap((x) => /^npm:(.*)$/.exec(x)?.[1] ?? []);
      await run(folder, "npm", "install", ...QUIET, "typescript@5.9", "@types/node@20", ...packages);
      const root = fileURLToPath(ROOT);
      for (const path of ["mod.ts", "core", "vnet", "drivers", "kernel", "testing", "control"]) {
        Deno.mkdirSync(`${folder}/src`, { recursive: true });
        await run(root, "cp", "-r", path, `${folder}/src/${path}`);
      }
      const compilerOptions = {
        module: "esnext",
        moduleResolution: "bundler",
        target: "es2022",
        lib: ["esnext", "dom", "dom.iterable"],
        types: ["node"],
        strict: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: true,
        allowImportingTsExtensions: true,
        noEmit: true,
      };
      const files = [...Object.values(entries()), BIN.path].map((path) => `src/${path}`);
      write("tsconfig.json", { compilerOptions, files });
      await run(folder, "npx", "--no-install", "tsc");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

function imports(): Record<string, string> {
  return JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT))).imports;
}
