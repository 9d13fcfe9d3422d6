/**
 * A virtio network device by hand: a transport over memory of its own. A test sees the bytes that the driver gave
 * to the device, and gives it whatever bytes it likes.
 *
 * @module
 */
import { assert } from "@std/assert";
import { Dma } from "../../core/device/mod.ts";
import { DeviceQueue, type Feature, Features, STATUS, type Transport } from "../../drivers/virtio/mod.ts";

const PAIRS = 1;

/** The device. */
export class HandDevice implements Transport {
  readonly dma: Dma = new Dma(new SharedArrayBuffer(4 << 20));
  readonly bounce = true;
  gone = false;
  /** What it offers; may change before a reset. */
  offer: Features;
  accepted: Features = new Features(0, 0);
  /** What the driver sent: header and frame. */
  readonly sent: Uint8Array[] = [];
  /** Whether it answers a reset. */
  acks = true;
  resets = 0;
  readonly mistakes: string[] = [];
  #status = 0;
  #top = 4096;
  readonly #places = new Map<string, number>();
  readonly #queues: (DeviceQueue | undefined)[] = [];
  readonly #listeners: (() => void)[] = [];
  #watcher: () => void = () => {};

  constructor(...offer: Feature[]) {
    this.offer = Features.of("VERSION_1", ...offer);
  }

  /** Gives the driver header and frame; false when it has no buffer for them. */
  receive(bytes: Uint8Array): boolean {
    const q = this.#queues[0]!;
    const head = q.next();
    if (head < 0) return false;
    assert(q.parts === 1 && q.readable === 0 && q.len[0]! >= bytes.length);
    this.dma.u8.set(bytes, q.at[0]!);
    q.complete(head, bytes.length);
    q.publish();
    this.#listeners[0]?.();
    return true;
  }

  /** Asks for a reset. */
  break(): void {
    this.#status |= STATUS.NEEDS_RESET;
    this.#watcher();
  }

  unplugged(): void {
    this.gone = true;
    this.#watcher();
  }

  features(): Promise<Features> {
    return Promise.resolve(this.offer);
  }
  accept(f: Features): Promise<void> {
    this.accepted = f;
    return Promise.resolve();
  }
  status(): Promise<number> {
    return Promise.resolve(this.gone ? 0 : this.#status);
  }
  setStatus(value: number): Promise<number> {
    if (value !== 0) this.#status = value;
    else {
      this.resets++;
      if (this.acks) {
        this.#status = 0;
        this.#queues.length = 0;
      }
    }
    return this.status();
  }
  config(): Promise<number> {
    return Promise.resolve(0);
  }
  queueMax(i: number): Promise<number> {
    return Promise.resolve(i < 2 * PAIRS ? 64 : 0);
  }
  memory(what: string, bytes: number): number {
    let at = this.#places.get(what);
    if (at === undefined) {
      this.#places.set(what, at = this.#top);
      this.#top += (bytes + 4095) & ~4095;
    }
    this.dma.u8.fill(0, at, at + bytes);
    return at;
  }
  enable(i: number, n: number, desc: number, avail: number, used: number): Promise<void> {
    this.#queues[i] = new DeviceQueue(this.dma, n, desc, avail, used, {
      eventIdx: this.accepted.has("EVENT_IDX"),
      indirect: this.accepted.has("INDIRECT"),
      valid: (at, len) => at >= 4096 && at + len <= this.dma.size,
      mistake: (what) => this.mistakes.push(what),
    });
    return Promise.resolve();
  }
  kick(i: number): void {
    const q = this.#queues[i];
    if (q === undefined || i % 2 === 0) return;
    for (let head = q.next(); head >= 0; head = q.next()) {
      const parts = q.at.slice(0, q.parts).map((at, p) => this.dma.u8.subarray(at, at + q.len[p]!));
      this.sent.push(Uint8Array.from(parts.flatMap((p) => [...p])));
      q.complete(head, 0);
    }
    q.publish();
    this.#listeners[i >> 1]?.();
  }
  listen(pair: number, fn: () => void): void {
    this.#listeners[pair] = fn;
  }
  watch(fn: () => void): void {
    this.#watcher = fn;
  }
}
