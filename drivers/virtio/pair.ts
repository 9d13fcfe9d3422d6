/**
 * A pair of queues on one CPU: packets out, packets in.
 *
 * @module
 */
import { type Batch, type Dev, isPartial } from "../../core/device/mod.ts";
import { BounceBuffers, type Buffers, PacketBuffers } from "./buffers.ts";
import type { Virtqueue } from "./queue.ts";
import { Receiver } from "./receive.ts";
import type { Features } from "./spec.ts";
import type { Transport } from "./transport.ts";

/** Buffers taken up before other work has its turn. */
const RX_BUDGET = 64;

/** One pair of queues, on one CPU. */
export class QueuePair {
  running = false;
  #rx: Virtqueue | undefined;
  #tx: Virtqueue | undefined;
  #buffers: Buffers | undefined;
  #receiver: Receiver | undefined;
  /** The device completes partial checksums. */
  #csum = false;
  /** Somebody was refused for want of room. */
  #full = false;
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
    this.#receiver = new Receiver(this.dev, this.t.dma, this.#buffers, features);
    this.#csum = features.has("CSUM");
    [this.#rx, this.#tx] = [rx, tx];
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
      let csum = b.csum(sent);
      // After a reset the device may offer less than the interface has declared.
      if (isPartial(csum) && !this.#csum) b.finishCsum(sent), csum = 0;
      this.#buffers!.send(b, sent, csum);
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
    this.#receiver?.drop();
    const back = (this.#tx?.drain((c) => this.#buffers!.drop(c)) ?? 0) +
      (this.#rx?.drain((c) => this.#buffers!.drop(c)) ?? 0);
    this.#buffers?.dropSpare();
    this.#rx =
      this.#tx =
      this.#buffers =
      this.#receiver =
        undefined;
    return back;
  }

  #reclaim(): void {
    const tx = this.#tx!;
    for (let c = tx.take(); c >= 0; c = tx.take()) this.#buffers!.sent(c);
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
      this.#receiver!.add(b, cookie, rx.len);
    }
    if (b.length > 0) this.dev.ifInput(b);
    return taken;
  }
}
