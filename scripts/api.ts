/**
 * The public API as one page of signatures: `deno task api` writes it, `--check` prints what differs from it.
 *
 * A change of the API is thereby a change that somebody made on purpose: it stands in the diff of a commit.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const PAGE = `${ROOT}docs/api.txt`;
const SOURCES = ["mod.ts", "core", "vnet", "drivers", "kernel", "testing", "control"];

/** Copies sources without their doc comments, which are no part of the interface; `o = {}` becomes `o?`, which deno doc says. */
function copyBare(from: string, to: string): void {
  if (!Deno.statSync(from).isDirectory) {
    if (/\.tsx?$/.test(from)) {
      const bare = Deno.readTextFileSync(from).replace(/^[ \t]*\/\*\*[^]*?\*\//gm, "");
      Deno.writeTextFileSync(to, bare.replace(/\bo: ([^=\n]+) = \{\}/g, "o?: $1"));
    }
    return;
  }
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) copyBare(`${from}/${name}`, `${to}/${name}`);
}

/** The page that the sources give now. */
export async function apiPage(): Promise<string> {
  const folder = Deno.makeTempDirSync({ prefix: "softc-api-" });
  try {
    for (const path of SOURCES) copyBare(ROOT + path, `${folder}/${path}`);
    const config = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
    const { name, version, exports, imports } = config;
    Deno.writeTextFileSync(`${folder}/deno.json`, JSON.stringify({ name, version, exports, imports }));
    const parts = ["The public API: `deno task api` writes this page, and a test compares it.\n"];
    for (const [entry, path] of Object.entries(exports as Record<string, string>)) {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["doc", path],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      if (code !== 0) throw new Error(`deno doc ${path}: ${err}`);
      const lines = out!.split("\n").map((l) => l.trimEnd()).filter((l) =>
        l !== "" && !/^Defined in /.test(l)
      );
      parts.push(`\n== ${name}${entry.slice(1)}\n\n${lines.join("\n")}\n`);
    }
    return parts.join("");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Lines that only one of the two has: `-` what was, `+` what is. */
export async function apiDiff(): Promise<string[]> {
  const was = Deno.readTextFileSync(PAGE).split("\n");
  const is = (await apiPage()).split("\n");
  const count = (lines: string[]): Map<string, number> => {
    const m = new Map<string, number>();
    for (const l of lines) m.set(l, (m.get(l) ?? 0) + 1);
    return m;
  };
  const [a, b] = [count(was), count(is)];
  const only = (x: Map<string, number>, y: Map<string, number>, sign: string): string[] =>
    [...x].filter(([l, n]) => n > (y.get(l) ?? 0)).map(([l]) => `${sign} ${l}`);
  return [...only(a, b, "-"), ...only(b, a, "+")];
}

if (import.meta.main) {
  if (Deno.args.includes("--check")) {
    const diff = await apiDiff();
    if (diff.length > 0) {
      console.log(`${diff.join("\n")}\n\nmeant? run deno task api, and say so in CHANGELOG.md`);
    }
    Deno.exit(diff.length > 0 ? 1 : 0);
  }
  Deno.writeTextFileSync(PAGE, await apiPage());
}
