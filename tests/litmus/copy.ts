/** A copy of the tree that may be changed, and scenarios that are run on it. @module */
const ROOT = new URL("../../", import.meta.url);
/** What a copy holds. */
const TREE = ["core", "vnet", "drivers", "kernel", "testing", "tests/litmus"];

/** A file of the tree as it is. */
export function original(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT));
}

/** What scenarios showed. */
export interface Answer {
  /** The scenario that noticed something, and what; "" when none did. */
  readonly by: string;
  /** Schedules that were run. */
  readonly schedules: number;
}

/** A copy of the tree in a folder of its own. */
export class TreeCopy {
  readonly #folder: string;

  constructor() {
    this.#folder = Deno.makeTempDirSync({ prefix: "softc-copy-" });
    for (const folder of TREE) copyFolder(new URL(`${folder}/`, ROOT).pathname, `${this.#folder}/${folder}`);
    Deno.copyFileSync(new URL("mod.ts", ROOT), `${this.#folder}/mod.ts`);
  }

  /** Replaces a file of it. */
  write(file: string, text: string): void {
    Deno.writeTextFileSync(`${this.#folder}/${file}`, text);
  }

  /** Runs scenarios until one shows something. */
  async ask(scenarios: readonly string[], limits: readonly string[] = []): Promise<Answer> {
    const kill = `${this.#folder}/tests/litmus/kill.ts`;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-config", kill, ...limits, ...scenarios],
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(180_000),
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    if (code === 0) return { by: "", schedules: Number(text) };
    // A copy that does not run shows nothing.
    if (text === "") throw new Error(`${scenarios[0]} does not run: ${new TextDecoder().decode(stderr)}`);
    return { by: text, schedules: 0 };
  }

  /** Removes it. */
  remove(): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

function copyFolder(from: string, to: string): void {
  Deno.mkdirSync(to, { recursive: true });
  for (const entry of Deno.readDirSync(from)) {
    if (entry.isDirectory) copyFolder(`${from}/${entry.name}`, `${to}/${entry.name}`);
    else if (entry.name.endsWith(".ts")) Deno.copyFileSync(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}

/** A changed file may use a door that it did not import. */
export function withDoors(file: string, text: string): string {
  const path = `${"../".repeat(file.split("/").length - 1)}core/doors/arena.ts`;
  const found = /import \{([^}]*)\} from "[\w./]*\/doors\/arena\.ts";\n/.exec(text);
  const names = new Set([
    "get",
    "load",
    "set",
    "store",
    ...(found?.[1] ?? "").split(",").map((n) => n.trim()),
  ]);
  names.delete("");
  return `import { ${[...names].join(", ")} } from "${path}";\n` + text.replace(found?.[0] ?? "", "");
}
