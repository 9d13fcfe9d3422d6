/** `softc start`: a system with its API, until a signal comes. Nothing is left behind. @module */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { blameTree, boot, SoftcError } from "../../mod.ts";
import { type ControlServer, serveControl } from "../http/serve.ts";
import { type Lab, parseLab } from "../lab/schema.ts";
import { whileWaiting } from "./client.ts";
import { type Action, EXIT } from "./command.ts";
import { whole } from "./if.ts";
import { removeSession, sessionPath, writeSession } from "./session.ts";
import { ledgerText } from "./watch.ts";

/** Options of `start` and `lab up`. */
export const START_OPTIONS: readonly (readonly [string, string, string?])[] = [
  ["--cpus <n>", "CPUs; what the lab says, or 2"],
  ["--port <n>", "port on 127.0.0.1; a free one unless told"],
  ["--socket <path>", "UNIX socket instead of a port"],
  ["--allow-module <place...>", "folder (ends in /), file, URL or package that modules may be loaded from"],
  ["--requests <n>", "requests per second that the API answers"],
];

/** Reads a lab file. @throws {SoftcError} `SOFTC_LAB_FILE`, `SOFTC_LAB_BAD` */
export function readLab(path: string): Lab {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new SoftcError("SOFTC_LAB_FILE", `Cannot read the lab ${path}`, {
      state: (cause as Error).message,
      wanted: "a lab file",
      cause,
    });
  }
  return parseLab(text, path);
}

/** Runs a system until SIGINT, SIGTERM or SIGHUP. */
export const start: Action = async (x, [file], o) => {
  const lab = file === undefined ? undefined : readLab(file);
  const cpus = o.cpus === undefined
    ? lab?.cpus ?? Math.min(2, availableParallelism())
    : whole("--cpus", o.cpus);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const s of signals) process.on(s, onSignal);
  const path = sessionPath(x.session);
  let server: ControlServer | undefined;
  let clean = true;
  try {
    const kernel = await boot({ cpus, onFault: (e) => x.io.err(`fault: ${e.message}\n`) });
    /** Tells who holds it up when it takes long. */
    const watched = <T>(what: string, work: Promise<T>): Promise<T> => {
      const done = whileWaiting(() => x.io.err(blameTree(`still ${what}`, kernel.blame()) + "\n"));
      return work.finally(done);
    };
    try {
      server = await serveControl(kernel, {
        ...(o.port === undefined ? {} : { port: whole("--port", o.port) }),
        ...(o.socket === undefined ? {} : { socket: String(o.socket) }),
        // The operator's own file names what may be loaded.
        allowModules: [
          ...(o.allowModule as string[] | undefined ?? []),
          ...(lab?.modules ?? []).map((m) => typeof m === "string" ? m : m.module),
        ],
        limits: o.requests === undefined ? {} : { requestsPerSecond: whole("--requests", o.requests) },
        onError: (e) => x.io.err(`error: ${e instanceof Error ? e.stack : String(e)}\n`),
      });
      if (lab !== undefined) {
        const { cpus: _, ...rest } = lab;
        const apply = server.apply(rest, {
          signal: stop.signal,
          onStep: (text) => x.json || x.io.err(`${text}\n`),
        });
        await watched("applying the lab", apply);
      }
      const { url, token } = server;
      writeSession(path, { url, token, pid: process.pid });
      x.print(
        { url, token },
        () =>
          url.startsWith("unix:")
            ? `softc runs at ${url}\ntoken ${token}\nCtrl-C ends it\n`
            : `softc runs at ${url}\ndashboard ${url}/#token=${token}\nCtrl-C ends it\n`,
      );
      await aborted(stop.signal);
    } catch (e) {
      if (!stop.signal.aborted) throw e;
    } finally {
      await server?.close();
      removeSession(path);
      const report = await watched("shutting down", kernel.shutdown());
      for (const left of [...report.leaks, ...report.wedged]) x.io.err(`left behind: ${left}\n`);
      if (!x.json) x.io.err(ledgerText(report));
      clean = report.unaccounted === 0 && report.leaks.length === 0 && report.wedged.length === 0;
    }
  } finally {
    for (const s of signals) process.off(s, onSignal);
  }
  return clean ? EXIT.ok : EXIT.failed;
};

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
