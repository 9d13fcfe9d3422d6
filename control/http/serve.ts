/**
 * Serving: one code path on Deno, Node and Bun, over node:http; on loopback or a UNIX socket only.
 *
 * @module
 */
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type Kernel, SoftcError } from "../../mod.ts";
import { ModuleAllowList } from "../allow.ts";
import { applyLab, type ApplyOptions } from "../lab/apply.ts";
import { planLab } from "../lab/plan.ts";
import type { Lab } from "../lab/schema.ts";
import { System } from "../system.ts";
import { createApp } from "./app.ts";
import { Guard, LIMITS, type Limits, makeToken } from "./guard.ts";
import { Streams } from "./live.ts";
import { InputError, problemResponse } from "./problem.ts";

/** How a kernel is served. */
export interface ServeOptions {
  /** TCP port on 127.0.0.1; 0, the default, takes a free one. */
  readonly port?: number;
  /** Path of a UNIX socket, instead of a port; made with mode 0600. One that nobody listens on is replaced. */
  readonly socket?: string;
  /** The token; a new one of 256 random bits unless given. */
  readonly token?: string;
  /**
   * Places that modules may be loaded from: folders that end in `/`, files, URLs, package names. Built-in drivers
   * (`softc:NAME`) always may; nothing else unless told.
   */
  readonly allowModules?: readonly string[];
  /** Limits that differ from the defaults of {@linkcode Limits}. */
  readonly limits?: Partial<Limits>;
  /** Told of errors inside the server; clients get none of it. */
  onError?(e: unknown): void;
}

/** A server that listens. */
export interface ControlServer {
  /** "http://127.0.0.1:PORT", or "unix:PATH". */
  readonly url: string;
  /** What a caller sends as `Authorization: Bearer`. */
  readonly token: string;
  /**
   * What an apply would do, line by line; empty when the system is what the lab says.
   *
   * @throws {SoftcError} `SOFTC_LAB_BAD`: another number of CPUs, or another parent of a vnet that is there
   */
  diff(lab: Lab): string[];
  /**
   * Makes the system what the lab says: all of it, or nothing; says what was done.
   *
   * @throws {SoftcError} `SOFTC_LAB_BUSY` while another apply runs; `SOFTC_LAB_BAD` as in `diff`, before any step;
   * `SOFTC_LAB_APPLY` when a step failed or `signal` was aborted, after the steps done were undone
   */
  apply(lab: Lab, o?: ApplyOptions): Promise<string[]>;
  /** Ends every stream and connection; the kernel runs on. */
  close(): Promise<void>;
}

/**
 * Serves a kernel's API and dashboard, on loopback or a UNIX socket; resolves once it listens.
 *
 * @example
 * ```ts
 * import { boot } from "@softc/softc";
 * import { serveControl } from "@softc/softc/control";
 *
 * await using kernel = await boot({ cpus: 2 });
 * const server = await serveControl(kernel);
 * console.log(`${server.url}/#token=${server.token}`);
 * await server.close();
 * ```
 * @throws {SoftcError} `SOFTC_API_LISTEN` when the port or the socket cannot be had
 */
export function serveControl(kernel: Kernel, o: ServeOptions = {}): Promise<ControlServer> {
  return serve(kernel, o);
}

/** The same, with the system behind it. */
export async function serve(
  kernel: Kernel,
  o: ServeOptions = {},
): Promise<ControlServer & { readonly system: System }> {
  const token = o.token ?? makeToken();
  const limits: Limits = { ...LIMITS, ...o.limits };
  const system = new System(kernel, new ModuleAllowList(o.allowModules));
  const guard = new Guard(token, limits);
  const streams = new Streams(limits.streams);
  const report = (e: unknown): void => o.onError?.(e);
  const app = createApp(system, guard, streams, report);
  const server = createServer(getRequestListener(app.fetch, {
    // What is not even a request: a broken Host, a path that is no path.
    errorHandler: () =>
      problemResponse(new InputError("Cannot read the request", [{ at: "head", message: "malformed" }])),
  }));
  // A request's head must come at once: an open half request holds a connection.
  server.headersTimeout = 5000;
  server.requestTimeout = 30_000;
  await listen(server, o);
  if (o.socket === undefined) {
    const { port } = server.address() as AddressInfo;
    for (const name of ["127.0.0.1", "localhost"]) guard.hosts.add(`${name}:${port}`);
  } else guard.hosts.add("localhost");
  return {
    url: o.socket === undefined
      ? `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      : `unix:${o.socket}`,
    token,
    system,
    diff: (lab) => planLab(system, lab).map((s) => s.text),
    apply: async (lab, options) => (await applyLab(system, lab, options)).map((s) => s.text),
    close: async () => {
      streams.close();
      await system.captures.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** @throws {SoftcError} `SOFTC_API_LISTEN` */
async function listen(server: Server, o: ServeOptions): Promise<void> {
  const { socket } = o;
  try {
    if (socket === undefined) {
      return await listening(server, (done) => server.listen(o.port ?? 0, "127.0.0.1", done));
    }
    if (await abandoned(socket)) rmSync(socket);
    await listening(server, (done) => server.listen(socket, done));
    // The socket is the owner's alone, as the token is.
    chmodSync(socket, 0o600);
  } catch (cause) {
    throw new SoftcError("SOFTC_API_LISTEN", `Cannot listen on ${socket ?? `127.0.0.1:${o.port ?? 0}`}`, {
      state: (cause as Error).message,
      wanted: "free",
      cause,
    });
  }
}

function listening(server: Server, begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    begin(resolve);
  });
}

/** Whether a socket is there that nobody listens on: a system that was killed left it. */
function abandoned(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (e: Error & { code?: string }) => resolve(e.code === "ECONNREFUSED"));
  });
}
