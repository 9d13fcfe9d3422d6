/**
 * The live stream: server-sent events, a snapshot and every event after it without a gap.
 *
 * An event's id is `START-SEQ`: after a broken connection the browser sends the last one it saw, and the
 * kernel goes on from there while it still knows, else with a new snapshot. Samples (rates) have no id.
 *
 * @module
 */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { formatHandle, SoftcError } from "../../mod.ts";
import type { System } from "../system.ts";

/** Milliseconds between samples. */
const PERIOD = 1000;

/** Open streams of a server: counted, and ended when it closes. */
export class Streams {
  readonly #open = new Set<() => void>();
  #closed = false;

  constructor(readonly limit: number) {}

  /** Streams that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Counts a stream; the function takes it off again. @throws {SoftcError} `SOFTC_API_LIMIT` */
  add(close: () => void): () => void {
    if (this.#closed || this.#open.size >= this.limit) {
      throw new SoftcError("SOFTC_API_LIMIT", "Cannot open another stream", {
        state: this.#closed ? "closing" : `${this.#open.size} are open`,
        wanted: `fewer than ${this.limit}`,
        fix: "close a stream, or start with a higher limit",
      });
    }
    this.#open.add(close);
    return () => this.#open.delete(close);
  }

  /** Ends all. */
  close(): void {
    this.#closed = true;
    for (const close of [...this.#open]) close();
  }
}

/** Makes samples while somebody listens: one timer and one text for all. */
export class Sampler {
  readonly #system: System;
  readonly #listeners = new Set<(sample: string) => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** Calls `fn` with each sample. */
  listen(fn: (sample: string) => void): () => void {
    this.#listeners.add(fn);
    this.#timer ??= setInterval(() => this.#tick(), PERIOD);
    return () => {
      this.#listeners.delete(fn);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  #tick(): void {
    const sample = JSON.stringify(sampleOf(this.#system));
    for (const fn of this.#listeners) fn(sample);
  }
}

/** Counters of this moment; reading them stops nobody. */
export function sampleOf(system: System): object {
  const { kernel } = system;
  return {
    at: Date.now(),
    gracePeriods: kernel.gracePeriods,
    callbacks: kernel.pendingCallbacks,
    blame: kernel.blame(),
    ifnets: kernel.ifnets.map((i) => {
      const { ipackets, opackets, iqdrops, oqdrops, ibytes, obytes } = i.counters;
      return {
        handle: formatHandle(i.handle),
        queued: i.queued,
        ipackets,
        opackets,
        ibytes,
        obytes,
        iqdrops,
        oqdrops,
      };
    }),
  };
}

/** Answers with the live stream. */
export function live(c: Context, system: System, streams: Streams, sampler: Sampler): Response {
  const last = /^(\w+)-(\d+)$/.exec(c.req.header("last-event-id") ?? "");
  const after = last?.[1] === system.epoch ? Number(last[2]) : undefined;
  const subscription = system.kernel.subscribe(after === undefined ? {} : { after });
  let remove: () => void;
  try {
    remove = streams.add(() => subscription.close());
  } catch (e) {
    subscription.close();
    throw e;
  }
  let samples: (() => void) | undefined;
  const end = (): void => {
    subscription.close();
    samples?.();
    remove();
  };
  return streamSSE(c, async (stream) => {
    stream.onAbort(end);
    try {
      let writing = false;
      samples = sampler.listen((data) => {
        // A client that is slow misses samples, never events.
        if (writing) return;
        writing = true;
        void stream.writeSSE({ event: "sample", data }).finally(() => writing = false);
      });
      for await (const item of subscription) {
        await stream.writeSSE({
          event: item.type === "snapshot" ? "snapshot" : "event",
          id: `${system.epoch}-${item.seq}`,
          data: JSON.stringify(item),
        });
      }
    } finally {
      end();
    }
  });
}
