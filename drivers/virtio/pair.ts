/**
 * A pair of queues on one CPU: packets out, packets in.
 *
 * @module
 */
import type { Batch, Dev } from "../../core/device/mod.ts";
import { BounceBuffers, type Buffers, PacketBuffers } from "./buffers.ts";
import { completeChecksum } from "./checksum.ts";
import type { Virtqueue } from "./queue.ts";
import { Features, HEADER } from "./spec.ts";
import type { Transport } from "./transport.ts";

/** Buffers taken up before other work has its turn. */
const RX_BUDGET = 64;

/** One pair of queues, on one CPU. */
export class QueuePair {
  running = false;
  #rx: Virtqueue | undefined;
  #tx: Virtqueue | undefined;
  #buffers: Buffers | undefined;
  #features = new Features(0, 0);
  /** Somebody was refused for want of room. */
  #full = false;
  #parts: number[] = [];
  readonly #again;

  constructor(
    readonly dev: Dev,
    readonly t: Transport,
    readonly pair: number,
    /** Told when the device broke a queue. */
    readonly trouble: (what: string) => void,
    /** Asked first of all when the doorbell rings; false = there is nothing else to do. */
    readonly before: () => boolean = () => true,
  ) {
    this.#again = dev.interrupt(() => this.interrupt());
    t.listen(pair, () => {
      if (before()) this.interrupt();
    });
  }

  /** Takes queues into use: the device may not run yet. */
  use(rx: Virtqueue, tx: Virtqueue, features: Features, rxBuffer: number): void {
    const name = `buffers ${this.pair}`;
    this.#buffers = this.t.bounce
      ? new BounceBuffers(this.dev, this.t, name, rx.n + tx.n, rxBuffer)
      : new PacketBuffers(this.dev, rxBuffer);
    [this.#rx, this.#tx, this.#features] = [rx, tx, features];
  }

  /** The device runs: gives it buffers to receive into. */
  start(): void {
    this.running = true;
    this.#tx!.disable();
    this.#refill();
    if (this.#rx!.enable()) this.#again.ring();
    this.dev.txWake(this.pair);
  }

  /** Sends from the front of the batch; returns how many. */
  transmit(b: Batch): number {
    if (!this.running) return 0;
    const tx = this.#tx!;
    const n = b.length;
    if (tx.free < n) this.#reclaim();
    let sent = 0;
    for (; sent < n && tx.free > 0; sent++) {
      this.#buffers!.send(b, sent);
      tx.add(this.#buffers!.at, this.#buffers!.size, false, this.#buffers!.cookie);
    }
    if (tx.publish()) this.t.kick(2 * this.pair + 1);
    // No room: hear of the next completion. One that came meanwhile is taken up in the next turn.
    if (sent < n) {
      this.#full = true;
      if (tx.enable()) this.#again.ring();
    }
    return sent;
  }

  /** Completions may wait. */
  interrupt(): void {
    if (!this.running) return;
    this.#reclaim();
    if (this.#full && this.#tx!.free > 0) {
      // Sticky: what one sender's call made room for, another's packets may wait for.
      this.#full = false;
      this.#tx!.disable();
      this.dev.txWake(this.pair);
    }
    const n = this.#receive();
    if (n > 0) this.#refill();
    if (n === RX_BUDGET || this.#rx!.enable()) this.#again.ring();
    const broken = this.#rx!.broken ?? this.#tx!.broken;
    if (broken !== undefined) {
      this.running = false;
      this.trouble(broken);
    }
  }

  /** The device has acked its reset: every buffer comes back. */
  release(): number {
    this.running = false;
    if (this.#parts.length > 0) this.#dropParts();
    const back = (this.#tx?.drain((c) => this.#buffers!.drop(c)) ?? 0) +
      (this.#rx?.drain((c) => this.#buffers!.drop(c)) ?? 0);
    this.#buffers?.dropSpare();
    this.#rx = this.#tx = this.#buffers = undefined;
    return back;
  }

  #reclaim(): number {
    const tx = this.#tx!;
    let n = 0;
    for (let c = tx.take(); c >= 0; c = tx.take(), n++) this.#buffers!.sent(c);
    return n;
  }

  #refill(): void {
    const rx = this.#rx!;
    const buffers = this.#buffers!;
    while (rx.free > 0 && buffers.post()) rx.add(buffers.at, buffers.size, true, buffers.cookie);
    if (rx.publish()) this.t.kick(2 * this.pair);
  }

  #receive(): number {
    const rx = this.#rx!;
    const b = this.dev.gather();
    let taken = 0;
    for (; taken < RX_BUDGET; taken++) {
      const cookie = rx.take();
      if (cookie < 0) break;
      if (this.#parts.length > 0) this.#part(b, cookie, rx.len);
      else this.#packet(b, cookie, rx.len);
    }
    if (b.length > 0) this.dev.ifInput(b, this.pair);
    return taken;
  }

  /** A packet, or the first part of one. */
  #packet(b: Batch, cookie: number, len: number): void {
    const { dma } = this.t;
    const at = this.#buffers!.address(cookie);
    const buffers = len < HEADER.BYTES
      ? 0
      : dma.u8[at + HEADER.numBuffers]! | dma.u8[at + HEADER.numBuffers + 1]! << 8;
    const wanted = this.#features.has("MRG_RXBUF") ? buffers : 1;
    if (len < HEADER.BYTES + 14 && wanted <= 1 || wanted === 0) return this.#bad(cookie);
    if (dma.u8[at + HEADER.flags]! & HEADER.NEEDS_CSUM && wanted === 1) {
      if (
        !this.#features.has("GUEST_CSUM") ||
        !completeChecksum(dma.u8, at, at + HEADER.BYTES, len - HEADER.BYTES)
      ) return this.#bad(cookie);
    }
    if (wanted > 1) this.#parts = [cookie, len, wanted - 1, len];
    else this.#buffers!.deliver(b, cookie, len - HEADER.BYTES);
  }

  /** A further part: appended to the first, whose buffer holds a whole packet. [cookie, bytes, parts to come] */
  #part(b: Batch, cookie: number, len: number): void {
    const parts = this.#parts;
    const { u8 } = this.t.dma;
    const first = this.#buffers!.address(parts[0]!);
    const from = this.#buffers!.address(cookie);
    if (parts[1]! + len <= HEADER.BYTES + 1984) u8.copyWithin(first + parts[1]!, from, from + len);
    parts[1]! += len;
    parts[2]!--;
    this.#buffers!.drop(cookie);
    if (parts[2]! > 0) return;
    this.#parts = [];
    const whole = parts[1]! - HEADER.BYTES;
    const csum = (u8[first + HEADER.flags]! & HEADER.NEEDS_CSUM) !== 0;
    if (whole > 1984 || whole < 14 || (csum && !completeChecksum(u8, first, first + HEADER.BYTES, whole))) {
      return this.#bad(parts[0]!);
    }
    this.#buffers!.deliver(b, parts[0]!, whole);
  }

  #bad(cookie: number): void {
    this.dev.count("rx_bad");
    this.#buffers!.drop(cookie);
  }

  #dropParts(): void {
    this.#buffers!.drop(this.#parts[0]!);
    this.#parts = [];
  }
}
