/** `softc explain` and `softc doctor`. @module */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import {
  boot,
  CODES,
  DROP_TEXT,
  ifCloneCreate,
  type IfState,
  SoftcError,
  STATE_TEXT,
  TRANSITIONS,
} from "../../mod.ts";
import { Client } from "./client.ts";
import { layers } from "./layers.ts";
import { type Commands, type Context, EXIT } from "./command.ts";

/** What there is to say of a word: an error code, a drop reason or a state. */
function meaning(word: string): { kind: string; word: string; text: string; [more: string]: unknown } {
  if (Object.hasOwn(CODES, word)) {
    const { fix, ...more } = CODES[word as keyof typeof CODES];
    return { kind: "error code", word, text: `fix: ${fix}`, fix, ...more };
  }
  if (Object.hasOwn(DROP_TEXT, word)) {
    return { kind: "drop reason", word, text: DROP_TEXT[word as keyof typeof DROP_TEXT] };
  }
  if (Object.hasOwn(STATE_TEXT, word)) {
    const next = Object.entries(TRANSITIONS[word as IfState]).map(([event, to]) => `${event} -> ${to}`);
    return { kind: "state of an interface", word, text: STATE_TEXT[word as IfState], next };
  }
  const all = [...Object.keys(CODES), ...Object.keys(DROP_TEXT), ...Object.keys(STATE_TEXT)];
  const near = all.filter((k) => k.toLowerCase().includes(word.toLowerCase())).slice(0, 8);
  throw new SoftcError("SOFTC_API_INPUT", `Cannot explain "${word}"`, {
    state: "no error code, drop reason or state",
    wanted: near.length > 0 ? near.join(", ") : "SOFTC_..., or a word that ledger or if printed",
  });
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly found: string;
  /** It is missing, and nothing is wrong with that. */
  readonly missing?: boolean;
  /** What to do when it is not. */
  readonly fix?: string;
}

async function checks(x: Context): Promise<Check[]> {
  const versions: Record<string, string | undefined> = process.versions;
  const runtime = versions.deno !== undefined ? "Deno" : versions.bun !== undefined ? "Bun" : "Node";
  const version = versions[runtime.toLowerCase()] ?? "?";
  const shared = typeof SharedArrayBuffer === "function";
  const read = await attempt(
    "permission to read the package, which every CPU imports",
    "deno: --allow-read; Node's --permission: --allow-fs-read",
    () => Promise.resolve(readFileSync(fileURLToPath(import.meta.url)) && "yes"),
  );
  return [
    {
      name: "runtime",
      ok: runtime !== "Node" || Number(version.split(".")[0]) >= 20,
      found: `${runtime} ${version}`,
      fix: "use Deno 2, Node 20 or later, or Bun",
    },
    {
      name: "shared memory",
      ok: shared,
      found: shared ? "yes" : "no",
      fix: "use a runtime that has SharedArrayBuffer",
    },
    {
      name: "cores",
      ok: availableParallelism() > 1,
      found: String(availableParallelism()),
      fix: "give the machine a second core: with one, every answer between CPUs costs a scheduler quantum",
    },
    read,
    await attempt(
      "permission to use 127.0.0.1, which the API needs",
      "deno: --allow-net",
      reaches,
      true,
    ),
    await attempt(
      "two CPUs boot and close their books",
      "look at the cause; allow reading the package",
      async () => {
        // Its worker would not come up, and the runtime would say so at length.
        if (!read.ok) throw new Error("no: it needs to read the package");
        const kernel = await boot({ cpus: 2, arena: 4 * 2 ** 20 });
        let report;
        try {
          await kernel.modules.load("softc:loopback");
          const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
          await lo.up();
        } finally {
          report = await kernel.shutdown();
        }
        if (report.unaccounted !== 0 || report.leaks.length > 0) throw new Error(JSON.stringify(report));
        return "yes";
      },
    ),
    await attempt("a running system answers", "softc start", async () => {
      const h = await new Client(x.session, () => {}).call<{ cpus: number; uptimeSeconds: number }>(
        "GET",
        "/health",
      );
      return `${h.cpus} CPUs, up ${h.uptimeSeconds} s`;
    }, true),
    // What is missing here is no fault: it is said, with the reason.
    ...layers().map(({ name, missing }) => ({
      name,
      ok: true,
      missing: missing !== undefined,
      found: missing === undefined ? "yes" : `no: ${missing}`,
    })),
  ];
}

/** Asks a port of 127.0.0.1: that nobody answers is an answer. Deno's node:net throws where nobody can catch. */
async function reaches(): Promise<string> {
  try {
    await (await fetch("http://127.0.0.1:65534/")).body?.cancel();
  } catch (e) {
    if ((e as Error).name === "NotCapable") throw e;
  }
  return "yes";
}

async function attempt(
  name: string,
  fix: string,
  fn: () => Promise<string>,
  optional = false,
): Promise<Check> {
  try {
    return { name, ok: true, found: await fn() };
  } catch (e) {
    const [why] = (e as Error).message.split("\n");
    return { name, ok: optional, missing: optional, found: optional ? `no: ${why}` : why!, fix };
  }
}

/** Adds the commands. */
export function addExplain(cli: Commands, program: Command): void {
  cli.add(
    program,
    "explain <word>",
    "what an error code, a drop reason or a state means",
    "explain SOFTC_MODULE_BUSY",
    [],
    (x, [word]) => {
      const m = meaning(word!);
      const { kind, text, word: w, fix: _, ...more } = m;
      x.print(m, () =>
        [
          `${w}: ${kind}`,
          `  ${text}`,
          ...Object.entries(more).map(([k, v]) =>
            `  ${k}: ${Array.isArray(v) ? v.join(", ") || "nothing" : String(v)}`
          ),
        ].join("\n"));
    },
  );
  cli.add(
    program,
    "doctor",
    "whether this machine can run softc; exit code 1 when not",
    "doctor",
    [],
    async (x) => {
      const all = await checks(x);
      x.print(
        all,
        () =>
          all.map((c) =>
            `${c.missing === true ? "-   " : c.ok ? "ok  " : "FAIL"} ${c.name}: ${c.found}${
              c.ok || c.fix === undefined ? "" : `\n     fix: ${c.fix}`
            }`
          )
            .join("\n"),
      );
      return all.every((c) => c.ok) ? EXIT.ok : EXIT.failed;
    },
  );
}
