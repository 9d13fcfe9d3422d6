/**
 * What a queue's descriptors point at: the packets themselves where the device sees the kernel's memory, copies
 * of them where it does not. A packet that the device has is owned by the device until the queue gives its
 * cookie back, so it is ended exactly once.
 *
 * @module
 */
import type { Batch, Dev, Dma, Mbuf } from "../../core/device/mod.ts";
import { HEADER } from "./spec.ts";
import type { Transport } from "./transport.ts";

/** Bytes that a packet buffer holds without the header. */
export const ROOM = 1984;

/** Buffers of one queue pair. */
export interface Buffers {
  /** What `send` and `post` prepared: address, bytes, cookie. The header is in front. */
  at: number;
  size: number;
  cookie: number;
  /** Prepares packet `i` to be sent; `csum` is its partial checksum, 0 = it is whole. */
  send(b: Batch, i: number, csum: number): void;
  /** The device has sent it. */
  sent(cookie: number): void;
  /** Prepares a buffer to receive into; false when there is none. */
  post(): boolean;
  /** Address of what was received. */
  address(cookie: number): number;
  /** Adds what was received to the batch: `len` bytes after the header. False when there was no packet for it. */
  deliver(b: Batch, cookie: number, len: number): boolean;
  /** The buffer comes back unused. */
  drop(cookie: number): void;
  /** Ends what was prepared ahead. */
  dropSpare(): void;
}

/** Zero copy: the device reads and writes the packets. The header goes into the room in front of each. */
export class PacketBuffers implements Buffers {
  at = 0;
  size = 0;
  cookie = 0;
  #spare: Mbuf[] = [];

  constructor(readonly dev: Dev, readonly rxSize: number) {}

  send(b: Batch, i: number, csum: number): void {
    const len = b.len(i);
    const m = b.take(i);
    this.at = this.dev.address(m) - HEADER.BYTES;
    this.size = len + HEADER.BYTES;
    this.cookie = m;
    putHeader(this.dev.dma, this.at, csum);
  }

  sent(cookie: number): void {
    this.dev.txDone(cookie as Mbuf);
  }

  post(): boolean {
    if (this.#spare.length === 0) {
      const b = this.dev.alloc(32);
      for (let i = b.length - 1; i >= 0; i--) this.#spare.push(b.take(i));
    }
    const m = this.#spare.at(-1);
    if (m === undefined) return false;
    // First what may throw: until then it is a spare one.
    this.at = this.dev.address(m) - HEADER.BYTES;
    this.#spare.pop();
    this.size = Math.min(this.rxSize, ROOM) + HEADER.BYTES;
    this.cookie = m;
    return true;
  }

  address(cookie: number): number {
    return this.dev.address(cookie as Mbuf) - HEADER.BYTES;
  }

  deliver(b: Batch, cookie: number, len: number): boolean {
    b.put(cookie as Mbuf, len);
    return true;
  }

  drop(cookie: number): void {
    this.dev.free(cookie as Mbuf);
  }

  /** Ends what was taken and not posted. */
  dropSpare(): void {
    for (const m of this.#spare.splice(0)) this.dev.free(m);
  }
}

/** Bounce: the device sees copies, in memory of the transport. Cookies are slots. */
export class BounceBuffers implements Buffers {
  at = 0;
  size = 0;
  cookie = 0;
  readonly #base: number;
  readonly #free: number[];
  readonly #slot = ROOM + 64;

  constructor(
    readonly dev: Dev,
    readonly t: Transport,
    name: string,
    slots: number,
    readonly rxSize: number,
  ) {
    this.#base = t.memory(name, slots * this.#slot);
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
  }

  send(b: Batch, i: number, csum: number): void {
    this.cookie = this.#free.pop()!;
    this.at = this.address(this.cookie);
    this.size = b.copyTo(i, this.t.dma.u8, this.at + HEADER.BYTES) + HEADER.BYTES;
    putHeader(this.t.dma, this.at, csum);
  }

  sent(cookie: number): void {
    this.#free.push(cookie);
  }

  post(): boolean {
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    this.cookie = slot;
    this.at = this.address(slot);
    this.size = Math.min(this.rxSize, ROOM) + HEADER.BYTES;
    return true;
  }

  address(cookie: number): number {
    return this.#base + cookie * this.#slot;
  }

  deliver(b: Batch, cookie: number, len: number): boolean {
    this.#free.push(cookie);
    const one = this.dev.alloc(1);
    if (one.length === 0) {
      this.dev.count("rx_nobufs");
      return false;
    }
    const from = this.address(cookie) + HEADER.BYTES;
    one.copyFrom(0, this.t.dma.u8.subarray(from, from + len));
    b.put(one.take(0), len);
    return true;
  }

  drop(cookie: number): void {
    this.#free.push(cookie);
  }

  dropSpare(): void {}
}

/** Writes the header of a packet to send. Addresses of headers are multiples of 4. */
function putHeader(dma: Dma, at: number, csum: number): void {
  dma.set(at, csum === 0 ? 0 : HEADER.NEEDS_CSUM);
  dma.set(at + 4, csum >>> 16 << 16);
  dma.set(at + 8, csum & 0xffff);
}
