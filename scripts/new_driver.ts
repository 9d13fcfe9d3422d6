/**
 * Writes a new driver, ready to test: `deno task new-driver NAME [FOLDER]`. Uses `node:` modules only, so the
 * command line does the same on Node.
 *
 * @module
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Where the new driver finds softc. */
export interface NewDriverOptions {
  /** Folder to make; `./NAME` unless told. */
  readonly folder?: string;
  /** What npm installs as `@softc/softc`: a version range or a `file:` path. */
  readonly npm?: string;
  /** A checkout of softc that Deno imports from; the npm package unless told. */
  readonly checkout?: string;
}

/** The template, beside this script's folder. */
const TEMPLATE = fileURLToPath(new URL("../templates/driver/", import.meta.url));

/** Writes the files; their paths. @throws {Error} when the name cannot be, or a file is there */
export function newDriver(name: string, o: NewDriverOptions = {}): string[] {
  if (!/^[a-z][a-z0-9-]{0,11}$/.test(name)) {
    throw new Error(
      `Cannot name a driver "${name}": wanted a lower-case word of at most 12 letters, digits and dashes`,
    );
  }
  const folder = resolve(o.folder ?? name);
  const { version } = JSON.parse(readFileSync(join(TEMPLATE, "../../deno.json"), "utf8")) as {
    version: string;
  };
  const range = `^${version}`;
  const from = (entry: string, path: string): string =>
    o.checkout === undefined
      ? `npm:@softc/softc@${range}/${entry}`
      : relative(folder, join(o.checkout, path)).replaceAll("\\", "/").replace(/^(?!\.)/, "./");
  const values: Readonly<Record<string, string>> = {
    NAME: name,
    SOFTC_DRIVER: from("driver", "core/device/mod.ts"),
    SOFTC_TESTING: from("testing", "testing/mod.ts"),
    SOFTC_RANGE: range,
    SOFTC_NPM: o.npm ?? range,
  };
  const fill = (text: string): string =>
    text.replace(/\b(SOFTC_(?:DRIVER|TESTING|RANGE|NPM))\b/g, (w) => values[w]!).replace(/NAME/g, name);
  const files = readdirSync(TEMPLATE).map((file) => ({
    path: join(folder, file === "gitignore" ? ".gitignore" : fill(file)),
    text: fill(readFileSync(join(TEMPLATE, file), "utf8")),
  }));
  for (const { path } of files) if (existsSync(path)) throw new Error(`Cannot write ${path}: it is there`);
  mkdirSync(folder, { recursive: true });
  for (const { path, text } of files) writeFileSync(path, text);
  return files.map((f) => f.path);
}

if (import.meta.main) {
  const [name, folder] = process.argv.slice(2);
  if (name === undefined) {
    console.error("usage: deno task new-driver NAME [FOLDER]");
    process.exit(2);
  }
  try {
    const checkout = fileURLToPath(new URL("..", import.meta.url));
    const made = newDriver(name, { checkout, ...(folder === undefined ? {} : { folder }) });
    console.log(made.map((path) => relative(process.cwd(), path)).join("\n"));
    console.log(`\nNext: cd ${relative(process.cwd(), resolve(folder ?? name))} && deno test -A`);
  } catch (e) {
    console.error((e as Error).message);
    process.exit(1);
  }
}
