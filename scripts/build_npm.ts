/**
 * Builds the npm package into `npm/` with dnt: `deno task npm VERSION`. Needs JSR.
 *
 * Every export of deno.json becomes an entry point, so the two cannot drift; the worker is one of them because
 * no import reaches it. The unit tests that can are emitted too and run under Node.
 *
 * @module
 */
import { build, emptyDir, type EntryPoint } from "@deno/dnt";
import { ASSETS, BIN, NODE_TESTS, PAGES } from "./npm_contents.ts";

interface Config {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
}

Deno.chdir(new URL("..", import.meta.url));
const config: Config = JSON.parse(Deno.readTextFileSync("deno.json"));

// The command is an export because `deno pack` knows no bin; here it is one.
const entryPoints: EntryPoint[] = Object.entries(config.exports).filter(([, path]) => path !== BIN.path)
  .map(([name, path]) => ({ name, path }));
entryPoints.push({ kind: "bin", ...BIN });

await emptyDir("./npm");
await build({
  entryPoints,
  outDir: "./npm",
  scriptModule: false, // a worker's top-level await cannot be a script
  polyfills: { importMeta: false }, // import.meta.url stays as it is, or workers and drivers lose their URLs
  shims: { deno: { test: "dev" } }, // Deno.test in tests only; shipped files use no Deno.*
  testPattern: `{${NODE_TESTS.join(",")}}`,
  compilerOptions: {
    target: "ES2022",
    lib: ["ESNext", "DOM", "DOM.Iterable"], // DOM has Worker, ESNext has Disposable
    noUncheckedIndexedAccess: true,
    useUnknownInCatchVariables: true,
  },
  package: {
    name: config.name,
    version: Deno.args[0] ?? config.version,
    description: "A kernel-style network driver framework: drivers as small TypeScript plugins, " +
      "unplugged, unloaded and moved between vnets while packets are in flight.",
    keywords: ["network", "driver", "kernel", "ifnet", "vnet", "epoch", "virtio", "usb", "deno"],
    license: config.license,
    engines: { node: ">=20" },
    devDependencies: { "@types/node": "^20" },
  },
  postBuild(): void {
    for (const file of PAGES) Deno.copyFileSync(file, `npm/${file}`);
    copyFolder("docs", "npm/docs");
    for (const folder of ASSETS) copyFolder(folder, `npm/esm/${folder}`);
  },
});

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) {
    if (entry.name === "api") continue; // generated
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) copyFolder(source, target);
    else Deno.copyFileSync(source, target);
  }
}
