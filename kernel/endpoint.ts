/**
 * What a worker talks to its parent through: the same on Deno, Bun and Node.
 *
 * @module
 */

/** The parent's end, inside a worker. */
export interface Endpoint {
  /** Sends a message to the parent. */
  post(message: unknown): void;
  /** Hands every message from the parent to `handle`. Register it before any await. */
  listen(handle: (message: unknown) => void): void;
  /** Ends this worker from inside. */
  close(): void;
}

/** The three names that are used of a web worker's scope. */
interface WorkerScope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", handle: (e: { data: unknown }) => void): void;
  close(): void;
}

/** Opens the endpoint of this worker. */
export async function openEndpoint(): Promise<Endpoint> {
  const scope = typeof self === "undefined" ? undefined : self as unknown as WorkerScope;
  if (typeof scope?.postMessage === "function") {
    return {
      post: (m) => scope.postMessage(m),
      listen: (handle) => scope.addEventListener("message", (e) => handle(e.data)),
      close: () => scope.close(),
    };
  }
  const { parentPort } = await import("node:worker_threads");
  const port = parentPort!;
  return {
    post: (m) => port.postMessage(m),
    listen: (handle) => void port.on("message", handle),
    close: () => port.close(),
  };
}
