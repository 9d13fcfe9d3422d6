/**
 * Receiving: buffers that the device has filled become packets. A packet may lie in several (MRG_RXBUF): the
 * first holds a whole one, so the rest is appended there. What the device says is checked before it is used.
 *
 * @module
 */
import { type Batch, CSUM, type Dev, type Dma, partialCsum } from "../../core/device/mod.ts";
import { type Buffers, ROOM } from "./buffers.ts";
import { type Features, HEADER } from "./spec.ts";

/** Puts packets together, for one receive queue. */
export class Receiver {
  readonly #merge: boolean;
  readonly #csum: boolean;
  /** The buffer that holds the packet which is being put together; -1 = none. */
  #first = -1;
  /** Bytes of it so far, with its header. */
  #bytes = 0;
  /** Buffers of it to come. */
  #left = 0;

  constructor(readonly dev: Dev, readonly dma: Dma, readonly buffers: Buffers, features: Features) {
    this.#merge = features.has("MRG_RXBUF");
    this.#csum = features.has("GUEST_CSUM");
  }

  /** Takes the next buffer, into which the device wrote `len` bytes; a packet that is complete joins the batch. */
  add(b: Batch, cookie: number, len: number): void {
    if (this.#first < 0) {
      const at = this.buffers.address(cookie) + HEADER.numBuffers;
      this.#first = cookie;
      this.#bytes = len;
      this.#left = len < HEADER.BYTES ? 0 : this.#merge ? this.#u16(at) : 1;
      // A header that says "no buffers" is no header.
      if (this.#left === 0) this.#bytes = 0;
    } else {
      const to = this.buffers.address(this.#first) + this.#bytes;
      const from = this.buffers.address(cookie);
      if (this.#bytes + len <= HEADER.BYTES + ROOM) this.dma.u8.copyWithin(to, from, from + len);
      this.#bytes += len;
      this.buffers.drop(cookie);
    }
    if (--this.#left <= 0) this.#complete(b);
  }

  /** Drops a packet that is not complete. */
  drop(): void {
    if (this.#first >= 0) this.buffers.drop(this.#first);
    this.#first = -1;
  }

  #complete(b: Batch): void {
    const cookie = this.#first;
    const len = this.#bytes - HEADER.BYTES;
    if (len < 14 || len > ROOM) return this.#bad();
    const at = this.buffers.address(cookie);
    const flags = this.dma.u8[at + HEADER.flags]!;
    const partial = (flags & HEADER.NEEDS_CSUM) !== 0;
    if (partial && !this.#csum) return this.#bad();
    let csum: number = CSUM.whole;
    if (partial) csum = partialCsum(this.#u16(at + HEADER.csumStart), this.#u16(at + HEADER.csumOffset));
    else if (this.#csum && (flags & HEADER.DATA_VALID) !== 0) csum = CSUM.valid;
    this.#first = -1;
    if (!this.buffers.deliver(b, cookie, len) || csum === CSUM.whole) return;
    if (b.setCsum(b.length - 1, csum)) return;
    this.dev.free(b.take(b.length - 1));
    this.dev.count("rx_bad");
  }

  #bad(): void {
    this.dev.count("rx_bad");
    this.drop();
  }

  #u16(at: number): number {
    const { u8 } = this.dma;
    return u8[at]! | u8[at + 1]! << 8;
  }
}
