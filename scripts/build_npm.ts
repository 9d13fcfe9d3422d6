/**
 * Builds the npm package into `npm/` with dnt: `deno task npm VERSION`. Needs JSR.
 *
 * Every export of deno.json becomes an entry point, so the two cannot drift; the worker is one of them because
 * no import reaches it. Unit tests beside the code are emitted too and run under Node.
 *
 * @module
 */
import { build, emptyDir, type EntryPoint } from "@deno/dnt";

interface Config {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string>;
}

const exists = (path: string): boolean => {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
};

Deno.chdir(new URL("..", import.meta.url));
const config: Config = JSON.parse(Deno.readTextFileSync("deno.json"));

const entryPoints: EntryPoint[] = Object.entries(config.exports).map(([name, path]) => ({ name, path }));
entryPoints.push({ kind: "bin", name: "softc", path: "./control/cli/bin.ts" });

await emptyDir("./npm");
await build({
  entryPoints,
  outDir: "./npm",
  scriptModule: false, // a worker's top-level await cannot be a script
  polyfills: { importMeta: false }, // import.meta.url stays as it is, or workers and drivers lose their URLs
  shims: { deno: { test: "dev" } }, // Deno.test in tests only; shipped files use no Deno.*
  testPattern: "{core,kernel,vnet}/**/*_test.ts", // these use nothing of Deno but Deno.test (tests/repo)
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
    for (const file of ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"]) {
      if (exists(file)) Deno.copyFileSync(file, `npm/${file}`);
    }
    if (exists("docs")) copyFolder("docs", "npm/docs");
    // dnt copies no assets: the page's script and style lie beside the module that reads them.
    copyFolder("control/page/assets", "npm/esm/control/page/assets");
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
