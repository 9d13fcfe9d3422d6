/**
 * What `modules.load` accepts, as an absolute URL: a built-in driver, a URL, a path, or a package name of the
 * application.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { SoftcError } from "../core/error.ts";

/** Resolves a module of drivers. Paths and package names are the application's: from its working directory. */
export function resolveModule(spec: string): string {
  const own = builtin(spec);
  if (own !== undefined) return own;
  if (/^[a-z][a-z0-9+.-]*:/i.test(spec) && !/^[a-z]:[\\/]/i.test(spec)) return spec;
  const base = pathToFileURL(process.cwd() + "/");
  if (/^\.{0,2}\//.test(spec)) return new URL(spec, base).href;
  const require = createRequire(new URL("package.json", base));
  try {
    return pathToFileURL(require.resolve(spec)).href;
  } catch (cause) {
    const url = esmOnly(spec, require.resolve.paths(spec) ?? []);
    if (url !== undefined) return url;
    throw new SoftcError("SOFTC_MODULE_LOAD", `Cannot find the package "${spec}"`, {
      state: `looked from ${base.pathname}`,
      fix: 'install it there, or pass a URL: import.meta.resolve("package")',
      cause,
    });
  }
}

/** Built-in drivers by short name: their file under `drivers/`. */
const BUILTIN = {
  loopback: "loopback",
  null: "null",
  epair: "epair",
  pcap: "pcap/mod",
  virtio: "virtio/mod",
  usb: "usb/mod",
  tap: "tap/mod",
  link: "wrap/link",
} as const;

/** URL of a built-in driver, `softc:NAME`. */
function builtin(spec: string): string | undefined {
  const m = /^softc:([a-z][a-z0-9/-]*)$/.exec(spec);
  const path = BUILTIN[m?.[1] as keyof typeof BUILTIN];
  if (path === undefined) {
    if (!spec.startsWith("softc:")) return undefined;
    throw new SoftcError("SOFTC_MODULE_LOAD", `Cannot find the built-in driver "${spec}"`, {
      wanted: Object.keys(BUILTIN).map((name) => `softc:${name}`).join(", "),
      fix: "name a driver that comes with softc, or pass a driver's URL, path or package name",
    });
  }
  const extension = new URL(import.meta.url).pathname.endsWith(".ts") ? ".ts" : ".js";
  return new URL(`../drivers/${path}${extension}`, import.meta.url).href;
}

/**
 * A package that offers `import` alone (as dnt writes them), which `require.resolve` refuses; and Node 20's
 * `import.meta.resolve` takes no parent. Exact subpaths only: patterns are for the caller's `import.meta.resolve`.
 */
function esmOnly(spec: string, folders: readonly string[]): string | undefined {
  const [, name, rest] = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(spec) ?? [];
  if (name === undefined) return undefined;
  for (const folder of folders) {
    const root = `${folder}/${name}/`;
    if (!existsSync(`${root}package.json`)) continue;
    const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { exports?: Exports };
    const path = target(exports, "." + (rest ?? ""));
    return path === undefined ? undefined : new URL(path, pathToFileURL(root)).href;
  }
}

type Exports = string | null | undefined | { readonly [key: string]: Exports };

/** The file that a package's `exports` names for a subpath, by the conditions of an import. */
function target(exports: Exports, subpath: string): string | undefined {
  const subpaths = typeof exports === "object" && exports !== null &&
    Object.keys(exports).some((k) => k.startsWith("."));
  const at = subpaths
    ? (exports as { [key: string]: Exports })[subpath]
    : subpath === "."
    ? exports
    : undefined;
  return byCondition(at);
}

function byCondition(at: Exports): string | undefined {
  if (typeof at !== "object" || at === null) return at ?? undefined;
  for (const [condition, value] of Object.entries(at)) {
    const found = ["import", "node", "default"].includes(condition) ? byCondition(value) : undefined;
    if (found !== undefined) return found;
  }
}
