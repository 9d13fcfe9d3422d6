/** What of softc, and of its tests, would run on this machine, and why the rest would not. @module */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import process from "node:process";

/** A feature or a layer of tests. */
export interface Layer {
  readonly name: string;
  /** Why it would not run here; `undefined` when it would. */
  readonly missing: string | undefined;
}

const tool = (name: string): string | undefined =>
  spawnSync(name, ["--version"], { timeout: 5000 }).error === undefined ? undefined : `no ${name}`;
const deno = (): string | undefined => "deno" in process.versions ? undefined : "it needs Deno";
const root = (): string | undefined => process.getuid?.() === 0 ? undefined : "it needs root";
const linux = (): string | undefined =>
  process.platform === "linux" && process.arch === "x64" ? undefined : "it needs Linux on x86-64";

function tun(): string | undefined {
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return "/dev/net/tun cannot be opened";
  }
}

/** Node 22.18 and later runs TypeScript whose types can be left out; what the author's file is loaded as. */
function typescript(): string | undefined {
  const { features, versions } = process as { features?: { typescript?: unknown }; versions: object };
  return "deno" in versions || "bun" in versions || features?.typescript
    ? undefined
    : "this Node runs no TypeScript: compile first, or use Node 22.18 or later";
}

/** Softc's own tests stand in its repository; the package has none. */
const checkout = import.meta.url.endsWith(".ts");

const NEEDS: Readonly<Record<string, readonly (() => string | undefined)[]>> = {
  "feature: a driver in TypeScript, as it is": [typescript],
  "feature: driver hosts without permissions": [deno],
  "feature: TAP interfaces": [deno, linux, tun],
  "tests: deno task test": [deno],
  "tests: against Linux in namespaces": [
    deno,
    linux,
    root,
    tun,
    () => spawnSync("ip", ["-V"]).error === undefined ? undefined : "no ip",
  ],
  "tests: against tshark": [deno, () => tool("tshark")],
  "tests: against QEMU": [deno, () => tool("qemu-system-x86_64")],
  "tests: the npm package": [deno, () => tool("node"), () => tool("npm")],
  "tests: the dashboard": [deno, () => tool("chromium")],
};

/** What a need says; what may not even be asked is missing, too. */
function tried(need: () => string | undefined): string | undefined {
  try {
    return need();
  } catch (e) {
    return (e as Error).message.split("\n")[0];
  }
}

/** Every feature, and from a checkout every layer of tests, tried now. */
export function layers(): Layer[] {
  const here = Object.entries(NEEDS).filter(([name]) => checkout || !name.startsWith("tests: "));
  return here.map(([name, needs]) => {
    const missing = needs.flatMap((need) => tried(need) ?? []);
    return { name, missing: missing.length === 0 ? undefined : missing.join(", ") };
  });
}
