/** What `modules.load` accepts, as an absolute URL: a URL, a path, or a package name of the application. @module */
import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { SoftcError } from "../core/error.ts";

/** Resolves a module of drivers. Paths and package names are the application's: from its working directory. */
export function resolveModule(spec: string): string {
  if (/^[a-z][a-z0-9+.-]*:/i.test(spec) && !/^[a-z]:[\\/]/i.test(spec)) return spec;
  const base = pathToFileURL(process.cwd() + "/");
  if (/^\.{0,2}\//.test(spec)) return new URL(spec, base).href;
  try {
    return pathToFileURL(createRequire(new URL("package.json", base)).resolve(spec)).href;
  } catch (cause) {
    throw new SoftcError("SOFTC_MODULE_LOAD", `Cannot find the package "${spec}"`, {
      state: `looked from ${base.pathname}`,
      fix: 'install it there, or pass a URL: import.meta.resolve("package")',
      cause,
    });
  }
}
