/**
 * The floors of the house: who may import whom (ARCHITECTURE.md). Imports go down only.
 *
 * @module
 */
import type { Source } from "./tree.ts";

/** The floors of core, from the ground. */
const CORE = ["error", "options", "doors", "memory", "epoch", "cpu", "net", "device"] as const;

/** What a plugin may import, and so our drivers. */
const DRIVER_API = "core/device/mod.ts";

/** Named permissions of the upper floors; every file may import its own floor. Patterns match whole paths. */
const MAY: readonly { readonly floor: RegExp; readonly imports: RegExp }[] = [
  { floor: /^vnet\//, imports: /^core\// },
  { floor: /^drivers\/sys(\.ts$|\/)/, imports: /^$/ },
  { floor: /^drivers\//, imports: /^(core\/device\/mod\.ts|drivers\/sys(\.ts|\/mod\.ts))$/ },
  { floor: /^kernel\//, imports: /^(core|vnet)\// },
  { floor: /^mod\.ts$/, imports: /^(core|vnet|kernel)\// },
  { floor: /^testing\//, imports: /^(mod\.ts$|core\/|vnet\/|kernel\/)/ },
  { floor: /^control\//, imports: /^(mod\.ts|testing\/mod\.ts|drivers\/pcap\/mod\.ts)$/ },
];

/** Packages that a floor may import beside `node:` modules. */
const PACKAGES: readonly { readonly floor: RegExp; readonly packages: RegExp }[] = [
  { floor: /^control\//, packages: /^(hono|@hono|zod|commander|uplot)(\/|$)/ },
];

/** The part of a path that is "its own" for a floor: a driver's file or folder, else the first folder. */
function own(path: string): string {
  const [first, second] = path.split("/");
  return first === "drivers" ? `drivers/${second}` : first!;
}

function coreRank(path: string): number {
  return CORE.findIndex((floor) => path === `core/${floor}.ts` || path.startsWith(`core/${floor}/`));
}

/** Why the import is not allowed; undefined when it is. */
function objection(from: string, to: string): string | undefined {
  if (to.startsWith("node:")) return undefined;
  if (!/\.[jt]sx?$/.test(to)) {
    return PACKAGES.some((p) => p.floor.test(from) && p.packages.test(to)) ? undefined : "a package";
  }
  if (from.startsWith("core/")) {
    if (coreRank(from) < 0) return "its own file stands on no floor of core";
    if (coreRank(to) < 0) return "outside core";
    return coreRank(to) <= coreRank(from) ? undefined : "a higher floor of core";
  }
  if (own(from) === own(to)) return undefined;
  const rule = MAY.find((m) => m.floor.test(from));
  if (rule === undefined) return "its own file stands on no floor";
  if (rule.imports.test(to)) return undefined;
  return from.startsWith("drivers/")
    ? `more than ${DRIVER_API}, which is all that a plugin has`
    : "not below it";
}

/** Every import that does not go down, as a line for people. */
export function climbing(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, imports }) =>
    imports.flatMap(({ to, line }) => {
      const why = objection(path, to);
      return why === undefined ? [] : [`${path}:${line} imports ${to}: ${why}`];
    })
  );
}
