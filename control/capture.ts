/**
 * Captures: packets of an interface, kept as pcapng until somebody fetches or deletes them.
 *
 * A capture is bounded by packets, time and bytes, and there is room for a few: nobody has to take them away.
 *
 * @module
 */
import { performance } from "node:perf_hooks";
import { type Ifnet, type Kernel, SoftcError, type Tap, type TapPacket } from "../mod.ts";
import { PcapngWriter } from "../drivers/pcap/mod.ts";

/** When a capture ends by itself. */
export interface CaptureLimits {
  readonly seconds: number;
  /** Packets. */
  readonly count: number;
  /** Bytes kept of each packet. */
  readonly snap: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** Captures that are kept at once. */
const MOST = 16;
/** Milliseconds that a packet waits at most for its reader. */
const FLUSH = 50;
/** Milliseconds between looks at the clock and at the interface. */
const LOOK = 100;

/** One capture: running until a limit is met, it is stopped, or the interface goes. */
export class Capture {
  /** Names of the interface and its vnet when it began. */
  readonly ifnet: string;
  readonly vnet: string;
  readonly startedAt: number = Date.now();
  packets = 0;
  bytes = 0;
  /** Why it ended; undefined while it runs. */
  ended: string | undefined;
  readonly #limits: CaptureLimits;
  readonly #writer = new PcapngWriter();
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  readonly #tap: Tap;
  readonly #look: ReturnType<typeof setInterval>;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #missed = 0;
  #closed: Promise<void> | undefined;
  #more: (() => void)[] = [];

  constructor(kernel: Kernel, readonly id: string, ifnet: Ifnet, limits: CaptureLimits) {
    this.ifnet = ifnet.name;
    this.vnet = ifnet.vnet.name;
    this.#limits = limits;
    this.#writer.addInterface({
      name: ifnet.name,
      description: `vnet ${ifnet.vnet.name}`,
      snapLength: limits.snap,
    });
    this.#take();
    this.#tap = ifnet.tap({ snap: limits.snap, drops: true, onPacket: (p) => this.#record(p) });
    const until = performance.now() + limits.seconds * 1000;
    this.#look = setInterval(() => {
      if (performance.now() >= until) void this.stop("its time is over");
      else if (kernel.resolve(ifnet.handle) !== "live") void this.stop("the interface went");
    }, LOOK);
  }

  /** Copies that found no room on the way here. */
  get missed(): number {
    return this.#tap.missed;
  }

  /** Ends it; what it has is kept. Resolves when the interface is free of it. Idempotent. */
  stop(why = "it was stopped"): Promise<void> {
    return this.#closed ??= this.#stop(why);
  }

  /** What there is, and with `follow` what comes until it ends or `signal` aborts. */
  async *read(follow: boolean, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const wake = (): void => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      this.#take();
      for (let i = 0; !signal.aborted;) {
        if (i < this.#chunks.length) yield this.#chunks[i++]!;
        else if (!follow || this.ended !== undefined) return;
        else await new Promise<void>((resolve) => this.#more.push(resolve));
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  toJSON(): object {
    const { id, ifnet, vnet, startedAt, packets, missed, bytes, ended } = this;
    return { id, ifnet, vnet, startedAt, packets, missed, bytes, running: ended === undefined, ended };
  }

  #record({ bytes, length, direction, dropped }: TapPacket): void {
    if (this.#closed !== undefined) return;
    const { missed } = this.#tap;
    this.#writer.frame({
      interface: 0,
      at: now(),
      bytes,
      originalLength: length,
      direction,
      lost: missed - this.#missed,
      ...(dropped === undefined ? {} : { dropReason: dropped }),
    });
    this.#missed = missed;
    this.packets++;
    if (this.packets === this.#limits.count) void this.stop("it has its packets");
    else if (this.bytes + this.#writer.pending >= this.#limits.bytes) void this.stop("it is full");
    else this.#flush ??= setTimeout(() => this.#take(), FLUSH);
  }

  #take(): void {
    clearTimeout(this.#flush);
    this.#flush = undefined;
    const chunk = this.#writer.take();
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.bytes += chunk.length;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#more.splice(0)) resolve();
  }

  async #stop(why: string): Promise<void> {
    clearInterval(this.#look);
    await this.#tap.close();
    this.#writer.statistics(0, now());
    this.ended = why;
    this.#take();
  }
}

/** The captures of a system. */
export class Captures {
  readonly #kernel: Kernel;
  readonly #all = new Map<string, Capture>();
  #next = 1;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** All, oldest first. */
  list(): Capture[] {
    return [...this.#all.values()];
  }

  /** @throws {SoftcError} `SOFTC_API_CAPTURE` */
  get(id: string): Capture {
    const found = this.#all.get(id);
    if (found !== undefined) return found;
    throw new SoftcError("SOFTC_API_CAPTURE", `Cannot find the capture "${id}"`, {
      state: `there are: ${[...this.#all.keys()].join(", ") || "none"}`,
    });
  }

  /** Begins one. @throws {SoftcError} `SOFTC_API_LIMIT` when there are too many, `SOFTC_IF_GONE` */
  start(ifnet: Ifnet, limits: CaptureLimits): Capture {
    if (this.#all.size >= MOST) {
      throw new SoftcError("SOFTC_API_LIMIT", "Cannot keep another capture", {
        state: `${this.#all.size} are kept`,
        wanted: `fewer than ${MOST}`,
        fix: "delete a capture",
      });
    }
    const capture = new Capture(this.#kernel, String(this.#next++), ifnet, limits);
    this.#all.set(capture.id, capture);
    return capture;
  }

  /** Ends and forgets one. */
  async delete(id: string): Promise<void> {
    const capture = this.get(id);
    this.#all.delete(id);
    await capture.stop("it was deleted");
  }

  /** Ends and forgets all. */
  async close(): Promise<void> {
    await Promise.all(this.list().map((c) => this.delete(c.id)));
  }
}

/** Nanoseconds since 1970, to the microsecond. */
function now(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
}
