/** A kernel with its API, for tests. @module */
import { boot, type BootOptions, type Kernel } from "../../mod.ts";
import { type ControlServer, runCli, type ServeOptions } from "../../control/mod.ts";
import { serve } from "../../control/http/serve.ts";
import type { System } from "../../control/system.ts";
import { assertNoLeaks, type Inspectable } from "../helpers/leaks.ts";

/** What a test of the API gets. */
export interface Api {
  readonly kernel: Kernel;
  readonly server: ControlServer & { readonly system: System };
  /** Calls with the token; JSON in and out. */
  call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Json; headers: Headers }>;
  /** A bare fetch of a path. */
  raw(path: string, init?: RequestInit): Promise<Response>;
}

/** Any JSON. */
// deno-lint-ignore no-explicit-any
export type Json = any;

/** Runs a test with an API on a free port; checks that nothing is left. */
export async function withApi(
  o: BootOptions & ServeOptions,
  body: (api: Api) => Promise<void>,
): Promise<void> {
  await assertNoLeaks(async (watch: <K extends Inspectable>(k: K) => K) => {
    const { port, socket, token, allowModules, limits, ...rest } = o;
    const kernel = watch(await boot({ cpus: 1, arena: 8 * 2 ** 20, ...rest }));
    const served = Object.entries({ port, socket, token, allowModules, limits });
    const server = await serve(kernel, Object.fromEntries(served.filter(([, x]) => x !== undefined)));
    const raw = (path: string, init?: RequestInit): Promise<Response> => fetch(server.url + path, init);
    try {
      await body({
        kernel,
        server,
        raw,
        async call(method, path, json) {
          const r = await raw(path, {
            method,
            headers: {
              authorization: `Bearer ${server.token}`,
              ...(json === undefined ? {} : { "content-type": "application/json" }),
            },
            ...(json === undefined ? {} : { body: JSON.stringify(json) }),
          });
          const text = await r.text();
          return { status: r.status, headers: r.headers, body: text === "" ? undefined : parse(text) };
        },
      });
    } finally {
      await server.close();
      await kernel.shutdown();
    }
  });
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Sends a request byte by byte as given: with headers that fetch would not send. */
export async function plainHttp(url: string, head: string): Promise<{ status: number; text: string }> {
  const { port } = new URL(url);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  try {
    await conn.write(new TextEncoder().encode(head.replace(/\n/g, "\r\n") + "\r\nConnection: close\r\n\r\n"));
    const text = await new Response(conn.readable).text();
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]), text };
  } finally {
    try {
      conn.close();
    } catch { /* closed by reading it to its end */ }
  }
}

/** Runs one command in this process. */
export async function softc(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "", err = "";
  const code = await runCli(args, { out: (t) => void (out += t), err: (t) => void (err += t) });
  return { code, out, err };
}

/** An API, and a session file that leads to it. */
export function withSession(
  o: BootOptions & ServeOptions,
  fn: (session: string, api: Api) => Promise<void>,
): Promise<void> {
  return withApi(o, async (api) => {
    const session = await Deno.makeTempFile();
    try {
      const { url, token } = api.server;
      await Deno.writeTextFile(session, JSON.stringify({ url, token, pid: 0 }));
      await fn(session, api);
    } finally {
      await Deno.remove(session);
    }
  });
}
