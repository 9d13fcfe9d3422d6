/**
 * A split virtqueue, the driver's side: byte-exact to virtio 1.x, section 2.7.
 *
 * 1. The driver alone writes the descriptor table and the avail ring, the device alone the used ring. Flags and
 *    index of a ring share one word with one writer, so one 32-bit atomic publishes them.
 * 2. Entries are written plainly, then published by the atomic store of the index; the other side loads it
 *    atomically before it reads them.
 * 3. "Publish, then ask whether the device wants a kick" and the device's "ask for a kick, then look again" are
 *    a Dekker pair of sequentially consistent accesses: no lost kick. The same holds for interrupts.
 * 4. Which descriptors are free, and what each chain holds, is kept here and never read back: a device that
 *    returns an id twice, or one that it was not given, is found out and the queue is broken.
 * 5. A cookie leaves exactly once: by `take`, or by `drain` after the device has acked its reset.
 *
 * @module
 */
import type { Dma } from "../../core/device/mod.ts";
import { DESC } from "./spec.ts";

const NONE = -1;

/** What was negotiated for a {@linkcode Virtqueue}. */
export interface QueueOptions {
  /** EVENT_IDX was negotiated: virtio 1.3, 2.7.7 and 2.7.10. */
  readonly eventIdx: boolean;
}

/** One part of a chain: virtio 1.3, 2.7.5. */
export interface Segment {
  /** Byte address in the queue's `dma`. */
  readonly at: number;
  /** Its bytes. */
  readonly len: number;
  /** The device writes it. Readable parts come first. */
  readonly write: boolean;
}

/**
 * The driver's side of a split virtqueue. Cookies are the caller's names of buffers; each comes back once, by `take` or `drain`.
 *
 * @example Both sides, in one memory
 * ```ts
 * import { Dma } from "@softc/softc/driver";
 * import { DeviceQueue, queueLayout, Virtqueue } from "@softc/softc/drivers/virtio";
 *
 * const dma = new Dma(new SharedArrayBuffer(65536));
 * const { desc, avail, used } = queueLayout(16);
 * const driver = new Virtqueue(dma, 16, desc, avail, used, { eventIdx: false });
 * const device = new DeviceQueue(dma, 16, desc, avail, used, {
 *   eventIdx: false,
 *   indirect: false,
 *   valid: (at, len) => at + len <= dma.size,
 *   mistake: console.error,
 * });
 * driver.add(4096, 60, false, 7); // 60 bytes to the device, cookie 7
 * driver.publish();
 * device.complete(device.next(), 0);
 * device.publish();
 * console.log(driver.take()); // 7
 * ```
 */
export class Virtqueue {
  /** Descriptors that are free. */
  free: number;
  /** Bytes that the device wrote into what `take` gave last. */
  len = 0;
  /** What the device did wrong: nothing is taken from a broken queue. */
  broken: string | undefined;
  readonly #cookies: Int32Array;
  readonly #next: Int32Array;
  /** Descriptors of the chain at a head; 0 = not given. */
  readonly #count: Int32Array;
  readonly #writable: Int32Array;
  #freeHead = 0;
  #avail = 0;
  #published = 0;
  #seen = 0;
  #used = 0;
  #flags = 0;

  /** A queue of `n` entries (a power of two) whose parts lie at byte addresses of `dma`, as {@linkcode queueLayout} has them. */
  constructor(
    readonly dma: Dma,
    readonly n: number,
    readonly desc: number,
    readonly avail: number,
    readonly used: number,
    readonly o: QueueOptions,
  ) {
    this.free = n;
    this.#cookies = new Int32Array(n);
    this.#next = Int32Array.from({ length: n }, (_, i) => i + 1);
    this.#count = new Int32Array(n);
    this.#writable = new Int32Array(n);
  }

  /** Chains that were added and not taken back. */
  get outstanding(): number {
    return (this.#avail - this.#seen) & 0xffff;
  }

  /** Adds a buffer of one part; false when no descriptor is free. `at` and `len` in bytes; `write`: the device writes it; `cookie` 0 or more. Not seen by the device until `publish`. */
  add(at: number, len: number, write: boolean, cookie: number): boolean {
    if (this.free === 0) return false;
    const head = this.#freeHead;
    this.#freeHead = this.#next[head]!;
    this.free--;
    this.#describe(this.desc + head * DESC.BYTES, at, len, write ? DESC.WRITE : 0, 0);
    this.#give(head, 1, write ? len : 0, cookie);
    return true;
  }

  /** Adds a chain; with `table` (byte address of 16 bytes for each part) it is indirect and takes one descriptor. False when it is empty or descriptors are short. */
  addChain(segments: readonly Segment[], cookie: number, table?: number): boolean {
    const n = segments.length;
    if (n === 0 || this.free < (table === undefined ? n : 1)) return false;
    const head = this.#freeHead;
    let writable = 0;
    for (let i = 0; i < n; i++) {
      const { at, len, write } = segments[i]!;
      if (write) writable += len;
      const slot = table === undefined ? this.#freeHead : i;
      const next = table === undefined ? this.#next[slot]! : i + 1;
      const flags = (write ? DESC.WRITE : 0) | (i < n - 1 ? DESC.NEXT : 0);
      this.#describe((table ?? this.desc) + slot * DESC.BYTES, at, len, flags, i < n - 1 ? next : 0);
      if (table === undefined) this.#freeHead = next;
    }
    if (table !== undefined) {
      this.#freeHead = this.#next[head]!;
      this.#describe(this.desc + head * DESC.BYTES, table, n * DESC.BYTES, DESC.INDIRECT, 0);
    }
    const count = table === undefined ? n : 1;
    this.free -= count;
    this.#give(head, count, writable, cookie);
    return true;
  }

  /** Shows the device what was added; true when it wants to be kicked. */
  publish(): boolean {
    const { dma } = this;
    const old = this.#published;
    if (old === this.#avail) return false;
    this.#published = this.#avail;
    dma.store(this.avail, this.#avail << 16 | this.#flags);
    if (!this.o.eventIdx) return (dma.load(this.used) & 1) === 0;
    const event = dma.load(this.used + 4 + 8 * this.n) & 0xffff;
    return ((this.#avail - event - 1) & 0xffff) < ((this.#avail - old) & 0xffff);
  }

  /** The cookie of the next buffer that the device is done with; -1 when there is none. `len` is what it wrote. */
  take(): number {
    if (this.#seen === this.#used) {
      this.#used = this.dma.load(this.used) >>> 16;
      if (this.#seen === this.#used) return NONE;
      if (((this.#used - this.#seen) & 0xffff) > this.outstanding) {
        this.broken ??= `used index jumped from ${this.#seen} to ${this.#used}`;
      }
    }
    if (this.broken !== undefined) return NONE;
    const at = this.used + 4 + 8 * (this.#seen & (this.n - 1));
    const id = this.dma.get(at);
    const len = this.dma.get(at + 4);
    if (!(id >= 0 && id < this.n) || this.#count[id] === 0) {
      this.broken = `the device returned buffer ${id >>> 0}, which it was not given`;
      return NONE;
    }
    if (len < 0 || len > this.#writable[id]!) {
      this.broken = `the device wrote ${len >>> 0} bytes into ${this.#writable[id]}`;
      return NONE;
    }
    this.#seen = (this.#seen + 1) & 0xffff;
    this.len = len;
    return this.#take(id);
  }

  /** Asks for an interrupt at the next completion; true when one waits already: look again, do not wait. */
  enable(): boolean {
    if (this.o.eventIdx) this.dma.store(this.avail + 4 + 2 * this.n, this.#seen);
    else {
      this.#flags = 0;
      this.dma.store(this.avail, this.#published << 16);
    }
    return this.dma.load(this.used) >>> 16 !== this.#seen;
  }

  /** Asks for none. Only a hint. */
  disable(): void {
    if (this.o.eventIdx || this.#flags === 1) return;
    this.#flags = 1;
    this.dma.store(this.avail, this.#published << 16 | 1);
  }

  /** After the device has acked its reset: gives every cookie back, each once; returns how many. The queue is not used again. */
  drain(each: (cookie: number) => void): number {
    let n = 0;
    for (let id = 0; id < this.n; id++) {
      if (this.#count[id] === 0) continue;
      n++;
      each(this.#take(id));
    }
    this.broken ??= "drained";
    return n;
  }

  #take(id: number): number {
    const count = this.#count[id]!;
    this.#count[id] = 0;
    let last = id;
    for (let i = 1; i < count; i++) last = this.#next[last]!;
    this.#next[last] = this.#freeHead;
    this.#freeHead = id;
    this.free += count;
    return this.#cookies[id]!;
  }

  #give(head: number, count: number, writable: number, cookie: number): void {
    this.#count[head] = count;
    this.#writable[head] = writable;
    this.#cookies[head] = cookie;
    this.dma.set16(this.avail + 4 + 2 * (this.#avail & (this.n - 1)), head);
    this.#avail = (this.#avail + 1) & 0xffff;
  }

  #describe(d: number, at: number, len: number, flags: number, next: number): void {
    const { dma } = this;
    dma.set(d, at);
    dma.set(d + 4, 0);
    dma.set(d + 8, len);
    dma.set(d + 12, next << 16 | flags);
  }
}
