/**
 * Starting a worker: a web worker where there is one (Deno, Bun), a worker thread on Node.
 *
 * Listeners are attached in the same turn as the worker is made, and what comes before somebody listens is
 * kept: a message that is lost here would be a hang.
 *
 * @module
 */

import process from "node:process";

/** A worker, as its parent sees it. */
export interface WorkerHandle {
  post(message: unknown): void;
  onMessage(handle: (message: unknown) => void): void;
  onError(handle: (e: Error) => void): void;
  /** Ends it. A worker in a busy loop runs on: stop it by mail first. Resolves when the runtime says it is gone. */
  terminate(): Promise<void>;
}

/** Options of {@linkcode spawn}. */
export interface SpawnOptions {
  /** Shown in debuggers and thread lists. */
  readonly name: string;
  /** Deno's permissions of the worker; needs the application's `"unstable": ["worker-options"]`. */
  readonly permissions?: "inherit" | "none" | Record<string, unknown>;
}

/** Keeps what comes before somebody listens. */
class Inbox<T> {
  #kept: T[] = [];
  #handle: ((v: T) => void) | undefined;

  put(v: T): void {
    if (this.#handle === undefined) this.#kept.push(v);
    else this.#handle(v);
  }

  to(handle: (v: T) => void): void {
    this.#handle = handle;
    for (const v of this.#kept.splice(0)) handle(v);
  }
}

/** URL of a module beside this one: its ending is .ts in the sources and .js in the package. */
export function siblingUrl(base: string, name: string): URL {
  const extension = new URL(base).pathname.endsWith(".ts") ? ".ts" : ".js";
  return new URL(name + extension, base);
}

/** Starts a module worker. */
export async function spawn(url: URL, o: SpawnOptions): Promise<WorkerHandle> {
  const messages = new Inbox<unknown>();
  const errors = new Inbox<Error>();
  const face = {
    onMessage: (handle: (m: unknown) => void): void => messages.to(handle),
    onError: (handle: (e: Error) => void): void => errors.to(handle),
  };
  if (typeof Worker !== "undefined") {
    const init: WorkerOptions = { type: "module", name: o.name };
    if (o.permissions !== undefined) Object.assign(init, { deno: { permissions: o.permissions } });
    const w = new Worker(url, init);
    w.addEventListener("message", (e) => messages.put(e.data));
    w.addEventListener("error", (e) => {
      // Else Deno ends the parent too.
      e.preventDefault();
      errors.put(e.error instanceof Error ? e.error : new Error(e.message));
    });
    return { ...face, post: (m) => w.postMessage(m), terminate: () => Promise.resolve(w.terminate()) };
  }
  const { Worker: Thread } = await import("node:worker_threads");
  // A worker inherits the parent's flags, and --input-type or --eval would end it at once.
  const execArgv = process.execArgv.filter((x) => !/^(--input-type|--eval|-e$|--print|-p$)/.test(x));
  const w = new Thread(url, { name: o.name, execArgv });
  w.on("message", (m) => messages.put(m));
  w.on("error", (e) => errors.put(e as Error));
  return { ...face, post: (m) => w.postMessage(m), terminate: async () => void await w.terminate() };
}
