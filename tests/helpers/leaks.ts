/**
 * Finds what a test left behind and the runner's sanitizers do not see: worker threads, waits on shared memory
 * (`Atomics.waitAsync`) and the kernel's own timers.
 *
 * @module
 */

import { readdirSync, readFileSync } from "node:fs";

/** What a kernel tells about itself; empty once it has shut down. Each entry is a label for people. */
export interface Inspection {
  /** CPUs whose worker has not ended. */
  readonly workers: readonly string[];
  /** Waits on shared memory, grace periods, acknowledgements and hooks that somebody still awaits. */
  readonly waits: readonly string[];
  /** Armed timers, on all CPUs and of the runtime. */
  readonly timers: readonly string[];
}

/** A kernel, as far as leaks go. */
export interface Inspectable {
  inspect(): Inspection;
}

/** Options of {@linkcode assertNoLeaks}. */
export interface LeakOptions {
  /** Milliseconds that threads get to end after the body; a thread ends a little after its worker's last word. */
  readonly deadline?: number;
}

/**
 * Runs a test's body and fails when it leaves a worker thread, or a watched kernel a worker, wait or timer.
 *
 * @throws {Error} naming each leak
 */
export async function assertNoLeaks(
  body: (watch: <K extends Inspectable>(kernel: K) => K) => void | Promise<void>,
  options: LeakOptions = {},
): Promise<void> {
  const before = new Set(workerThreads());
  const kernels: Inspectable[] = [];
  await body((kernel) => (kernels.push(kernel), kernel));

  const leaks = kernels.flatMap((kernel, i) => {
    const { workers, waits, timers } = kernel.inspect();
    return [
      ...workers.map((w) => `worker ${w}`),
      ...waits.map((w) => `wait ${w}`),
      ...timers.map((t) => `timer ${t}`),
    ]
      .map((leak) => `kernel ${i}: ${leak}`);
  });
  const started = () => workerThreads().filter((thread) => !before.has(thread));
  await poll(() => started().length === 0, options.deadline ?? 2000);
  leaks.push(...started().map((thread) => `thread ${thread}`));
  if (leaks.length > 0) throw new Error(`The test left behind:\n  ${leaks.join("\n  ")}`);
}

/**
 * Worker threads that run now, each name once in the life of the process.
 *
 * From the thread names of Linux, web workers and `node:worker_threads` alike; elsewhere from the web workers
 * that were made here and not terminated.
 */
export function workerThreads(): string[] {
  const threads: string[] = [];
  try {
    for (const name of readdirSync("/proc/self/task")) {
      const comm = threadName(name);
      if (/^worker-\d+$/.test(comm)) threads.push(comm);
    }
  } catch (e) {
    const { name, code } = e as { name: string; code?: string };
    if (code !== "ENOENT" && name !== "NotFound" && name !== "NotCapable") throw e;
    return unterminatedWorkers();
  }
  return threads;
}

function threadName(tid: string): string {
  try {
    return readFileSync(`/proc/self/task/${tid}/comm`, "utf8").trim();
  } catch {
    return ""; // it ended since it was listed
  }
}

/** Web workers made on this thread and not terminated. */
const made = new Map<Worker, string>();
let madeSoFar = 0;

if (typeof Worker !== "undefined") { // Node has none
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      made.set(this, `made-${++madeSoFar} ${options?.name ?? ""}`);
    }
    override terminate(): void {
      made.delete(this);
      super.terminate();
    }
  };
}

/** Web workers that this thread made and did not terminate; one that closed itself still counts. */
export function unterminatedWorkers(): string[] {
  return [...made.values()];
}

/** Waits until the condition holds; false when the deadline passed first. */
export async function poll(condition: () => boolean, deadline: number): Promise<boolean> {
  const end = performance.now() + deadline;
  while (!condition()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}
