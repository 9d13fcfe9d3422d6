/**
 * Queues between two threads (and, for what cannot cross threads, inside one): the ring of softc and what a
 * JavaScript program would use in its place.
 *
 * @module
 */
import { Arena } from "../../core/memory/arena.ts";
import { ringInit, ringPush, ringRoom } from "../../core/memory/ring.ts";
import { type Sampler, Skip } from "../harness.ts";

/** Words by which the two threads tell each other what to do: on lines of their own. */
export const GATE = {
  go: 0,
  batch: 1,
  over: 32,
  done: 64,
  BYTES: 512,
} as const;
/** Entries of every ring. */
export const SIZE = 1024;

/** Kinds of ring that a blocking consumer serves. */
export type RingKind = "softc" | "ringbuf.js";

/** What a consumer starts with. */
export interface Start {
  readonly kind: RingKind | "channel";
  readonly gate: SharedArrayBuffer;
  readonly memory?: WebAssembly.Memory;
  readonly buffer?: SharedArrayBuffer;
  /** Words of an entry. */
  readonly words?: number;
  readonly port?: MessagePort;
}

/** The part of ringbuf.js that is used. */
export interface RingBuffer {
  push(items: Int32Array, length?: number): number;
  pop(items: Int32Array, length?: number): number;
}

/** The peer's module, when it is there. @throws {Skip} */
export async function ringbuf(): Promise<
  { new (b: SharedArrayBuffer, type: unknown): RingBuffer }
> {
  const name: string = "ringbuf.js";
  try {
    return ((await import(name)) as {
      RingBuffer: { new (b: SharedArrayBuffer, type: unknown): RingBuffer };
    })
      .RingBuffer;
  } catch {
    throw new Skip(
      "needs ringbuf.js: run with --config bench/deno.json and a registry",
    );
  }
}

/** The arena that a ring of softc lies in. */
export const ARENA = {
  bytes: 4 << 20,
  cpus: 1,
  ifnets: 8,
  vnets: 8,
  mbufs: 64,
  debug: false,
} as const;

function consumer(start: Start, transfer: Transferable[] = []): Worker {
  const worker = new Worker(new URL("./consumer.ts", import.meta.url), {
    type: "module",
  });
  worker.postMessage(start, transfer);
  return worker;
}

/** A ring from this thread to another one, entries of one or two words; M entries/s. */
export async function ring(kind: RingKind, batch: number, entry: 1 | 2): Promise<Sampler> {
  const gate = new SharedArrayBuffer(GATE.BYTES);
  const words = new Int32Array(gate);
  const items = new Int32Array(batch * entry).map((_, i) => i + 1);
  let push: (n: number) => number;
  let worker: Worker;
  if (kind === "softc") {
    const { a, memory, plan, wasm } = Arena.create(ARENA);
    ringInit(a, plan.heap, SIZE);
    push = (n) => {
      const m = Math.min(n, ringRoom(a, plan.heap, n, wasm));
      ringPush(a, plan.heap, items, 0, m, 1, wasm);
      return m;
    };
    worker = consumer({ kind, gate, memory });
  } else {
    const Ring = await ringbuf();
    const buffer = new SharedArrayBuffer(8 + 4 * (entry * SIZE + 1));
    const r = new Ring(buffer, Int32Array);
    push = (n) => r.push(items, n * entry) / entry;
    worker = consumer({ kind, gate, buffer, words: entry });
  }
  return {
    sample: (ms) => {
      words[GATE.batch] = batch;
      Atomics.store(words, GATE.over, 0);
      const turn = Atomics.add(words, GATE.go, 1) + 1;
      Atomics.notify(words, GATE.go);
      // Not before it is awake.
      while (Atomics.load(words, GATE.done) !== -turn);
      const start = performance.now();
      let sent = 0;
      do {
        for (let i = 0; i < 64; i++) sent += push(batch);
      } while (performance.now() - start < ms);
      Atomics.store(words, GATE.over, 1);
      while (Atomics.load(words, GATE.done) !== turn);
      return sent / (performance.now() - start) / 1e3;
    },
    teardown: () => worker.terminate(),
  };
}

/** A MessageChannel to another thread, one array of `batch` numbers per message; M items/s. */
export function channel(batch: number): Sampler {
  const { port1, port2 } = new MessageChannel();
  const gate = new SharedArrayBuffer(GATE.BYTES);
  const worker = consumer({ kind: "channel", gate, port: port2 }, [port2]);
  const items = Array.from({ length: batch }, (_, i) => i + 1);
  let rate = 100;
  return {
    sample: async (ms) => {
      const messages = Math.max(20, Math.ceil(rate * ms / batch));
      const start = performance.now();
      const over = new Promise<void>((resolve) => port1.onmessage = () => resolve());
      port1.postMessage(messages);
      for (let i = 0; i < messages; i++) {
        port1.postMessage(batch === 1 ? 1 : items);
      }
      await over;
      rate = messages * batch / (performance.now() - start);
      return rate / 1e3;
    },
    teardown: () => {
      port1.close();
      worker.terminate();
    },
  };
}

/** A TransformStream, producer and consumer on one thread, arrays of `batch` numbers; M items/s. */
export function transformStream(batch: number): Sampler {
  const items = Array.from({ length: batch }, (_, i) => i + 1);
  return {
    sample: async (ms) => {
      const { readable, writable } = new TransformStream<number[], number[]>();
      const writer = writable.getWriter();
      const start = performance.now();
      let n = 0;
      const write = async (): Promise<void> => {
        while (performance.now() - start < ms) {
          for (let i = 0; i < 64; i++) await writer.write(items);
        }
        await writer.close();
      };
      const writing = write();
      for await (const chunk of readable) n += chunk.length;
      await writing;
      return n / (performance.now() - start) / 1e3;
    },
  };
}

/** A queue that is read by `for await`, on one thread, arrays of `batch` numbers; M items/s. */
export function asyncQueue(batch: number): Sampler {
  const items = Array.from({ length: batch }, (_, i) => i + 1);
  return {
    sample: async (ms) => {
      const queue: number[][] = [];
      let wake: (() => void) | undefined;
      let over = false;
      async function* read(): AsyncGenerator<number[]> {
        while (!over || queue.length > 0) {
          const next = queue.shift();
          if (next !== undefined) yield next;
          else await new Promise<void>((resolve) => wake = resolve);
        }
      }
      const start = performance.now();
      let n = 0;
      const write = async (): Promise<void> => {
        while (performance.now() - start < ms) {
          for (let i = 0; i < 64; i++) queue.push(items);
          wake?.();
          await undefined;
          while (queue.length > 512) await undefined;
        }
        over = true;
        wake?.();
      };
      const writing = write();
      for await (const chunk of read()) n += chunk.length;
      await writing;
      return n / (performance.now() - start) / 1e3;
    },
  };
}
