/** Talks to a running system: over TCP or a UNIX socket, on every runtime. @module */
import { type IncomingMessage, request } from "node:http";
import { type Blame, blameTree, SoftcError } from "../../mod.ts";
import type { Problem } from "../http/problem.ts";
import { readSession, type Session } from "./session.ts";

/** What the server refused. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** A client of one system. */
export class Client {
  readonly #session: Session;
  readonly #warn: (text: string) => void;

  constructor(session: string | undefined, warn: (text: string) => void) {
    this.#session = readSession(session);
    this.#warn = warn;
  }

  /** Calls the API; after one second, and every ten, tells who it waits for. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const told = method === "GET" ? undefined : whileWaiting(() => void this.#blame(`${method} ${path}`));
    try {
      const response = await this.open(method, path, body);
      const text = await textOf(response);
      return (text === "" ? undefined : parse(text)) as T;
    } finally {
      told?.();
    }
  }

  /** Calls the API; the answer as it comes. @throws {ProblemError} @throws {SoftcError} `SOFTC_API_CONNECT` */
  async open(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<IncomingMessage> {
    const response = await this.#send(method, path, body, headers);
    if (response.statusCode! < 400) return response;
    throw new ProblemError(JSON.parse(await textOf(response)) as Problem);
  }

  #send(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<IncomingMessage> {
    const { url, token } = this.#session;
    const data = body === undefined ? undefined : JSON.stringify(body);
    const unix = url.startsWith("unix:");
    return new Promise((resolve, reject) => {
      const r = request({
        ...(unix
          ? { socketPath: url.slice(5), host: "localhost" }
          : { host: "127.0.0.1", port: new URL(url).port }),
        method,
        path,
        agent: false,
        headers: {
          authorization: `Bearer ${token}`,
          ...(unix ? { host: "localhost" } : {}),
          ...(data === undefined ? {} : {
            "content-type": "application/json",
            "content-length": new TextEncoder().encode(data).length,
          }),
          ...headers,
        },
      }, resolve);
      r.on("error", (cause) =>
        reject(
          new SoftcError("SOFTC_API_CONNECT", `Cannot reach the system at ${url}`, {
            state: cause.message,
            wanted: "a running system",
            cause,
          }),
        ));
      r.end(data);
    });
  }

  /** Who is waited for, and how far a lab is. */
  async #blame(what: string): Promise<void> {
    try {
      const [{ blame }, { step, done, total }] = await Promise.all([
        this.#get<{ blame: Blame[] }>("/api/epoch"),
        this.#get<{ step?: string; done: number; total: number }>("/api/lab/progress"),
      ]);
      const lab = step === undefined ? "" : `, step ${done + 1} of ${total}: ${step}`;
      this.#warn(blameTree(`still waiting: ${what}${lab}`, blame));
    } catch { /* the call itself will tell */ }
  }

  async #get<T>(path: string): Promise<T> {
    return JSON.parse(await textOf(await this.open("GET", path))) as T;
  }
}

/** Calls `tell` after one second, then every ten, until the function that it returns is called. */
export function whileWaiting(tell: () => void): () => void {
  let timer = setTimeout(function again() {
    tell();
    timer = setTimeout(again, 10_000);
  }, 1000);
  return () => clearTimeout(timer);
}

/** The whole body. */
export async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of response) parts.push(part as Uint8Array);
  return new TextDecoder().decode(concat(parts));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
