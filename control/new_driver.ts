/**
 * Writes a new driver with its test from the template that ships with the package: `softc new driver NAME`.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SoftcError } from "../mod.ts";

/** Where a new driver goes, and where it finds softc. */
export interface NewDriverOptions {
  /** Folder to make; `./NAME` unless told. */
  readonly folder?: string;
  /** What npm installs as `@softc/softc`: a range, or `file:` and a path from the new folder; this version unless told. */
  readonly npm?: string;
}

const TEMPLATE = new URL("../templates/driver/", import.meta.url);

/** Writes the files; their paths. @throws {SoftcError} `SOFTC_API_INPUT` when the name cannot be, or a file is there */
export function newDriver(name: string, o: NewDriverOptions = {}): string[] {
  const refuse = (what: string, state: string, wanted: string): never => {
    throw new SoftcError("SOFTC_API_INPUT", `Cannot ${what}`, { state, wanted });
  };
  if (!/^[a-z][a-z0-9-]{0,11}$/.test(name)) {
    refuse(`name a driver "${name}"`, name, "a lower-case word of at most 12 letters, digits and dashes");
  }
  const folder = resolve(o.folder ?? name);
  const template = fileURLToPath(TEMPLATE);
  const { checkout, version } = origin();
  const range = `^${version}`;
  // From a checkout Deno imports the sources, else the package.
  const from = (entry: string, path: string): string =>
    checkout === undefined
      ? `npm:@softc/softc@${range}/${entry}`
      : relative(folder, join(checkout, path)).replaceAll("\\", "/").replace(/^(?!\.)/, "./");
  const values: Readonly<Record<string, string>> = {
    SOFTC_DRIVER: from("driver", "core/device/mod.ts"),
    SOFTC_TESTING: from("testing", "testing/mod.ts"),
    SOFTC_RANGE: range,
    SOFTC_NPM: o.npm ?? range,
  };
  const fill = (text: string): string =>
    text.replace(/\b(SOFTC_(?:DRIVER|TESTING|RANGE|NPM))\b/g, (w) => values[w]!).replace(/NAME/g, name);
  const files = readdirSync(template).map((file) => ({
    // npm gives a nested package.json and .gitignore a meaning: they are kept under another name.
    path: join(folder, fill(file.replace(/^_/, ""))),
    text: installed(file, fill(readFileSync(join(template, file), "utf8"))),
  }));
  // Deno reads no tarball by itself: it takes what npm has unpacked.
  function installed(file: string, text: string): string {
    if (file !== "deno.json" || !o.npm?.startsWith("file:")) return text;
    const { imports: _, ...config } = JSON.parse(text) as Record<string, unknown>;
    return JSON.stringify({ ...config, nodeModulesDir: "manual" }, null, 2) + "\n";
  }
  for (const { path } of files) {
    if (existsSync(path)) refuse(`write ${path}`, "it is there", "an empty folder");
  }
  mkdirSync(folder, { recursive: true });
  for (const { path, text } of files) writeFileSync(path, text);
  return files.map((f) => f.path);
}

/** The package that this file is of: its version, and its folder when it is a checkout. */
function origin(): { version: string; checkout?: string } {
  // The npm build by dnt has one folder more.
  for (const up of ["../deno.json", "../package.json", "../../package.json"]) {
    const path = fileURLToPath(new URL(up, import.meta.url));
    if (!existsSync(path)) continue;
    const { version } = JSON.parse(readFileSync(path, "utf8")) as { version?: string };
    if (version === undefined) continue;
    return import.meta.url.endsWith(".ts") ? { version, checkout: resolve(path, "..") } : { version };
  }
  throw new Error("softc's own package.json is not there");
}
