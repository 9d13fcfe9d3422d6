/**
 * A CPU's backlog: received packets that could not be processed at once, because a hook or the input path of
 * this CPU is on the stack. A hook is never re-entered.
 *
 * @module
 */
import type { Cpu } from "../cpu/cpu.ts";
import type { PacketBatch } from "../memory/batch.ts";
import { OWNER, ownerWord } from "../memory/mbuf.ts";

const SIZE = 4096;

/** Ids in the order in which they came; only its own CPU touches it. */
export class Backlog {
  readonly #ids = new Int32Array(SIZE);
  readonly #owner: number;
  #head = 0;
  #tail = 0;

  constructor(readonly cpu: Cpu) {
    this.#owner = ownerWord(OWNER.input, cpu.id);
  }

  /** Packets that wait. */
  get length(): number {
    return this.#tail - this.#head;
  }

  /** Takes packets from the front of the batch, as many as fit; returns how many. The rest is still the caller's. */
  push(b: PacketBatch): number {
    const room = SIZE - this.length;
    const n = b.n < room ? b.n : room;
    this.cpu.pool.handOver(b.ids, 0, n, this.cpu.pool.mine, this.#owner);
    for (let i = 0; i < n; i++) this.#ids[(this.#tail + i) & (SIZE - 1)] = b.ids[i]!;
    this.#tail += n;
    return n;
  }

  /** Moves up to `max` packets into the batch. */
  pop(b: PacketBatch, max: number): number {
    const n = Math.min(max, this.length);
    for (let i = 0; i < n; i++) b.ids[i] = this.#ids[(this.#head + i) & (SIZE - 1)]!;
    this.#head += n;
    if (this.#head === this.#tail) this.#head = this.#tail = 0;
    b.n = n;
    this.cpu.pool.handOver(b.ids, 0, n, this.#owner, this.cpu.pool.mine);
    return n;
  }
}
