/**
 * Every group on a thread of its own.
 *
 * What one group's kernels taught the compiler (which drivers, which memory) would slow the next one down: a
 * program boots one kernel, and so does a group.
 *
 * @module
 */
import type { Case, Options, Result } from "./harness.ts";

/** What a thread is asked to measure. */
export interface Asked {
  readonly group: string;
  readonly names: readonly string[];
  /** All but the function, which a message cannot carry. */
  readonly options: Omit<Options, "waited">;
}

/** Like `measure`, one thread after the other. */
export async function* isolated(cases: readonly Case[], options: Options): AsyncGenerator<Result[]> {
  const { waited: _, ...plain } = options;
  for (const group of new Set(cases.map((c) => c.group))) {
    const names = cases.filter((c) => c.group === group).map((c) => c.name);
    yield await onThread({ group, names, options: plain });
  }
}

async function onThread(asked: Asked): Promise<Result[]> {
  const worker = new Worker(new URL("./group.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Result[]>) => resolve(data);
      worker.onerror = (e) => {
        e.preventDefault();
        reject(new Error(`group "${asked.group}": ${e.message}`));
      };
      worker.postMessage(asked);
    });
  } finally {
    worker.terminate();
  }
}
