/**
 * Which modules may be loaded on request: built-in drivers, and what the operator named at start.
 *
 * @module
 */
import process from "node:process";
import { pathToFileURL } from "node:url";
import { SoftcError } from "../mod.ts";

const BUILTIN = /^softc:[a-z][a-z0-9/-]*$/;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;

/** A list of allowed places: folders (ending in `/`), single files or URLs, package names. */
export class ModuleAllowList {
  readonly #entries: readonly string[];

  constructor(entries: readonly string[] = []) {
    this.#entries = entries.map(normal);
  }

  /** The form in which specifiers are compared. */
  normal(spec: string): string {
    return BUILTIN.test(spec) ? spec : normal(spec);
  }

  /**
   * The specifier in its normal form, when it is allowed.
   *
   * @throws {SoftcError} `SOFTC_API_MODULE`
   */
  admit(spec: string): string {
    if (BUILTIN.test(spec)) return spec;
    const url = this.normal(spec);
    // An encoded separator could step out of an allowed folder after the compare.
    const hidden = SCHEME.test(url) && /%2f|%5c|\\/i.test(url);
    const allowed = !hidden && this.#entries.some((e) => url === e || (e.endsWith("/") && url.startsWith(e)));
    if (allowed) return url;
    throw new SoftcError("SOFTC_API_MODULE", `Cannot load the module "${spec}"`, {
      state: "not on the allow-list",
      wanted: ["softc:NAME", ...this.#entries].join(" or "),
    });
  }
}

/** A path becomes a URL, a URL loses its dots; a package name stays as it is and is compared whole. */
function normal(spec: string): string {
  if (SCHEME.test(spec)) {
    try {
      return new URL(spec).href;
    } catch {
      return spec;
    }
  }
  return /^\.{0,2}\//.test(spec) ? new URL(spec, pathToFileURL(process.cwd() + "/")).href : spec;
}
