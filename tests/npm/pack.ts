/**
 * The package as npm would get it, packed without the network, and an application that has it installed.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { ROOT } from "../repo/tree.ts";

/** The first line of `TOOL --version`; undefined when there is no such tool. */
export function version(tool: string): string | undefined {
  try {
    const { stdout } = new Deno.Command(tool, { args: ["--version"] }).outputSync();
    return new TextDecoder().decode(stdout).trim();
  } catch {
    return undefined;
  }
}

/** Whether Node 20 or npm is missing: then says what is skipped. */
export function nodeless(what: string): boolean {
  const node = version("node");
  if (Number(/^v(\d+)/.exec(node ?? "")?.[1]) >= 20 && version("npm") !== undefined) return false;
  console.log(`skipped: ${what} needs node 20 or later (here: ${node ?? "none"}) and npm`);
  return true;
}

let registry: boolean | undefined;

/** Whether npm's registry does not answer, asked once with a deadline: then says what is skipped. */
export function offline(what: string): boolean {
  if (nodeless(what)) return true;
  const args = ["view", "publint@0.3.25", "version", "--fetch-retries=0", "--fetch-timeout=10000"];
  registry ??= new Deno.Command("npm", { args, stdout: "null", stderr: "null" }).outputSync().success;
  if (!registry) console.log(`skipped: ${what} needs npm's registry`);
  return !registry;
}

/** Runs a command with a deadline; its standard output. Fails with all of its output. */
export async function run(cwd: string | URL, command: string, ...args: string[]): Promise<string> {
  const signal = AbortSignal.timeout(120_000);
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd, signal }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assertEquals(code, 0, `${command} ${args.join(" ")}\n${out}\n${err}`);
  return out!;
}

/** What `npm install` is asked to leave out. */
export const QUIET = ["--ignore-scripts", "--no-audit", "--no-fund"] as const;

/** A tarball, and an application's folder that has it installed. */
export interface Packed {
  readonly tarball: string;
  readonly app: string;
  /** Files of the tarball. */
  readonly names: readonly string[];
}

/** Packs, installs into an empty application, runs `body`, removes all of it. */
export async function packed(body: (p: Packed) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "softc-pack-" });
  const tarball = `${folder}/softc.tgz`;
  const app = `${folder}/app`;
  try {
    await run(ROOT, Deno.execPath(), "pack", "--allow-dirty", "--output", tarball);
    const names = (await run(folder, "tar", "tzf", tarball)).trim().split("\n");
    await Deno.mkdir(app);
    await Deno.writeTextFile(`${app}/package.json`, `{ "private": true, "type": "module" }`);
    // Another package, as npm packs it: its driver is loaded by name.
    await run(new URL("sink/", import.meta.url), "npm", "pack", "--pack-destination", folder);
    const sink = `${folder}/softc-sink-1.0.0.tgz`;
    await run(app, "npm", "install", "--prefer-offline", ...QUIET, tarball, sink);
    await Deno.copyFile(`${fileURLToPath(ROOT)}/examples/quickstart.mjs`, `${app}/quickstart.mjs`);
    for (const { name } of Deno.readDirSync(new URL("app/", import.meta.url))) {
      await Deno.copyFile(new URL(`app/${name}`, import.meta.url), `${app}/${name}`);
    }
    await body({ tarball, app, names });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
