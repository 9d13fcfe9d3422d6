/** `softc explore`: the interleavings of a driver or a scenario, without a running system. @module */
import { pathToFileURL } from "node:url";
import type { Command } from "commander";
import { SoftcError } from "../../mod.ts";
import { type Commands, EXIT } from "./command.ts";
import { whole } from "./if.ts";

/** Names of the scenarios that a module exports; `undefined` when it exports a driver. */
function scenariosOf(exported: unknown): readonly (string | undefined)[] | undefined {
  if (typeof exported !== "object" || exported === null) return undefined;
  const is = (x: unknown): boolean => Array.isArray((x as { threads?: unknown } | null)?.threads);
  if (is(exported)) return [undefined];
  const names = Object.entries(exported).filter(([, x]) => is(x)).map(([name]) => name);
  return names.length === 0 ? undefined : names;
}

function input(what: string, state: string, wanted: string): SoftcError {
  return new SoftcError("SOFTC_API_INPUT", what, { state, wanted });
}

function json(text: unknown): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(String(text));
  } catch {
    throw input("Cannot take --options", String(text), "JSON");
  }
}

/** What a module exports as its default. */
async function load(url: string): Promise<unknown> {
  try {
    return (await import(url) as { default?: unknown }).default;
  } catch (cause) {
    throw new SoftcError("SOFTC_MODULE_LOAD", `Cannot load ${url}: ${(cause as Error).message}`, { cause });
  }
}

/** Adds the command. */
export function addExplore(cli: Commands, program: Command): void {
  cli.add(
    program,
    "explore <file>",
    "try every interleaving of a driver (or a scenario) up to a number of preemptions",
    "explore ./mynic.ts --bound 2",
    [
      ["--scenario <name>", "one scenario: detach or move of a driver"],
      ["--cloner <name>", "the driver of a module that has several; its first unless told"],
      ["--options <json>", "options of the driver"],
      ["--bound <n>", "preemptions", "2"],
      ["--max <n>", "schedules at most", "200000"],
      ["--random <n>", "random schedules after those", "0"],
      ["--pct <n>", "schedules by random priorities after those", "0"],
      ["--seed <n>", "seed of both", "1"],
      ["--show <n>", "interleavings that pass, in full", "0"],
      ["--replay <schedule>", "one schedule of one scenario; exit code 1 when it shows a violation"],
    ],
    async (x, [file], o) => {
      const { DRIVER_SCENARIOS, driverScenarios, explore, formatReport, replay } = await import(
        "../../testing/mod.ts"
      );
      const url = /^[a-z]+:/i.test(file!) ? file! : pathToFileURL(file!).href;
      const own = scenariosOf(await load(url));
      const source = own === undefined
        ? driverScenarios(url, {
          options: json(o.options),
          ...(o.cloner === undefined ? {} : { cloner: String(o.cloner) }),
        })
        : { url, input: undefined, args: "" };
      const all = own ?? DRIVER_SCENARIOS;
      const chosen = o.scenario === undefined ? all : [String(o.scenario)];
      if (o.replay !== undefined && chosen.length > 1) {
        throw input("Cannot replay", `${chosen.length} scenarios`, `--scenario ${chosen.join(" or ")}`);
      }
      const pick = (s: string | undefined): { scenario?: string } => s === undefined ? {} : { scenario: s };
      if (o.replay !== undefined) {
        const r = await replay(source.url, String(o.replay), { input: source.input, ...pick(chosen[0]) });
        const v = r.violation;
        const verdict = v === undefined
          ? `no violation (${r.outcome})`
          : `${v.kind}, rule ${v.rule}: ${v.message}`;
        x.print(v === undefined ? { outcome: r.outcome } : { violation: v }, () => `${r.trace}\n${verdict}`);
        return v === undefined ? EXIT.ok : EXIT.failed;
      }
      const limits = Object.fromEntries(
        ["bound", "max", "random", "pct", "seed", "show"].map((k) => [k, whole(`--${k}`, o[k])]),
      );
      let bad = false;
      for (const s of chosen) {
        const r = await explore(source.url, { input: source.input, ...limits, ...pick(s) });
        const again = `softc explore ${file}${s === undefined ? "" : ` --scenario ${s}`}${source.args}`;
        x.print(r, () => formatReport(r, (schedule) => `${again} --replay ${schedule}`));
        bad ||= r.violation !== undefined;
      }
      return bad ? EXIT.failed : EXIT.ok;
    },
  );
}
