/**
 * Some packets of a transmit batch, as a batch: what the layers let through.
 *
 * @module
 */
import type { Batch, Dev, Mbuf } from "../../core/device/mod.ts";

/** A batch of the kept packets; the others stay where they are until it is settled. */
export class View implements Batch {
  readonly #of: Batch;
  readonly #kept: readonly number[];
  readonly #lost: number[];
  readonly #dev: Pick<Dev, "txDone" | "free">;
  /** Kept packets that the driver has ended, taken or passed on. */
  readonly #gone = new Set<number>();

  /** The packets `kept` of a batch; those of `lost` end with it. */
  constructor(
    of: Batch,
    kept: readonly number[],
    dev: Pick<Dev, "txDone" | "free">,
    lost: readonly number[],
  ) {
    this.#of = of;
    this.#kept = kept;
    this.#lost = [...lost];
    this.#dev = dev;
  }

  get length(): number {
    return this.#kept.length;
  }
  get errno(): number {
    return this.#of.errno;
  }
  set errno(e: number) {
    this.#of.errno = e;
  }
  len(i: number): number {
    return this.#of.len(this.#at(i));
  }
  bytes(i: number): Uint8Array {
    return this.#of.bytes(this.#at(i));
  }
  setLen(i: number, len: number): void {
    this.#of.setLen(this.#at(i), len);
  }
  copyTo(i: number, target: Uint8Array, at: number): number {
    return this.#of.copyTo(this.#at(i), target, at);
  }
  copyFrom(i: number, source: Uint8Array): void {
    this.#of.copyFrom(this.#at(i), source);
  }
  csum(i: number): number {
    return this.#of.csum(this.#at(i));
  }
  setCsum(i: number, csum: number): boolean {
    return this.#of.setCsum(this.#at(i), csum);
  }
  finishCsum(i: number): void {
    this.#of.finishCsum(this.#at(i));
  }
  take(i: number): Mbuf {
    const m = this.#of.take(this.#at(i));
    this.#gone.add(i);
    return m;
  }
  untake(i: number, m: Mbuf): void {
    this.#of.untake(this.#at(i), m);
    this.#gone.delete(i);
  }
  put(m: Mbuf, len: number): void {
    this.#of.put(m, len); // the batch says that it may not grow
  }
  freeAll(): number {
    this.#sent(this.length);
    return this.length;
  }

  /** The batch behind it, without what is lost: to pass on whole. */
  static whole(b: Batch): Batch {
    if (!(b instanceof View)) return b;
    b.#lose(b.#of.length);
    for (let i = 0; i < b.length; i++) b.#gone.add(i);
    return b.#of;
  }

  /** The driver took `n` of the view: what it left of them is sent, what is lost in front of `end` is dropped. */
  settle(n: number, end: number): void {
    this.#sent(n);
    this.#lose(end);
  }

  #sent(n: number): void {
    for (let i = 0; i < n; i++) {
      if (!this.#gone.has(i)) this.#dev.txDone(this.take(i));
    }
  }

  #lose(end: number): void {
    while (this.#lost.length > 0 && this.#lost[0]! < end) this.#dev.free(this.#of.take(this.#lost.shift()!));
  }

  #at(i: number): number {
    return this.#kept[i] ?? this.#of.length; // out of range there too
  }
}
