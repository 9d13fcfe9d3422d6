/**
 * Builds what is generated in control: the dashboard's client and style, and the JSON Schema of labs.
 *
 * The first line of the client says what it was built from; a test compares. Run with `deno task build:ui`.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { labJsonSchema } from "../lab/schema.ts";

const HERE = new URL("./", import.meta.url);
const ASSETS = new URL("../page/assets/", import.meta.url);

/** Hash of all sources of the client, and of the versions of what it imports. */
export function sourceHash(): string {
  const hash = createHash("sha256");
  const names = readdirSync(HERE).filter((n) => /\.(ts|css)$/.test(n) && n !== "build.ts").sort();
  for (const name of names) hash.update(`${name}\n`).update(readFileSync(new URL(name, HERE)));
  const { imports } = JSON.parse(readFileSync(new URL("../../deno.json", HERE), "utf8")) as {
    imports: Record<string, string>;
  };
  return hash.update(imports.uplot!).digest("hex");
}

/** The text of the published schema. */
export function schemaText(): string {
  return JSON.stringify(labJsonSchema(), undefined, 2) + "\n";
}

if (import.meta.main) {
  const bundle = (entry: string): string =>
    execFileSync(process.execPath, ["bundle", "--platform", "browser", "--minify", "--quiet", entry], {
      cwd: HERE,
      encoding: "utf8",
    });
  const stamp = `built by deno task build:ui from ${sourceHash()}`;
  writeFileSync(
    new URL("client.js", ASSETS),
    `// ${stamp}\n// uPlot: (c) Leon Sorokin, MIT\n${bundle("main.ts")}`,
  );
  const uplot = execFileSync(process.execPath, [
    "eval",
    'import t from "uplot/dist/uPlot.min.css" with { type: "text" }; console.log(t)',
  ], {
    cwd: HERE,
    encoding: "utf8",
  });
  writeFileSync(
    new URL("style.css", ASSETS),
    `/* ${stamp} */\n${uplot}${readFileSync(new URL("style.css", HERE), "utf8")}`,
  );
  writeFileSync(new URL("../lab/lab.schema.json", import.meta.url), schemaText());
}
