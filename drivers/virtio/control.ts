/**
 * The control queue: one command at a time, each answered with one byte.
 *
 * @module
 */
import type { Virtqueue } from "./queue.ts";
import { CTRL, STATUS } from "./spec.ts";
import type { Transport } from "./transport.ts";
import type { Waiters } from "./waiters.ts";

/** The driver's side of the control queue. */
export class ControlQueue {
  readonly #at: number;
  #last: Promise<unknown> = Promise.resolve();

  #ended = false;

  constructor(
    readonly t: Transport,
    readonly queue: Virtqueue,
    readonly index: number,
    readonly indirect: boolean,
    readonly waiters: Waiters,
    readonly signal: AbortSignal,
  ) {
    this.#at = t.memory("commands", 256);
  }

  /** The device was reset: what it was asked before has no answer, and its queue is another's. */
  end(): void {
    this.#ended = true;
    this.waiters.wake();
  }

  /** Sends a command after those before it; whether the device said OK. */
  command(cls: number, cmd: number, data: readonly number[]): Promise<boolean> {
    const next = this.#last.then(() => this.#command(cls, cmd, data));
    this.#last = next.catch(() => {});
    return next;
  }

  async #command(cls: number, cmd: number, data: readonly number[]): Promise<boolean> {
    if (this.#ended) return false;
    const { queue, t } = this;
    const { u8 } = t.dma;
    const head = this.#at;
    const [body, ack, table] = [head + 64, head + 128, head + 160];
    u8.set([cls, cmd], head);
    u8.set(data, body);
    u8[ack] = CTRL.ERR;
    const segments = [
      { at: head, len: 2, write: false },
      { at: body, len: data.length, write: false },
      { at: ack, len: 1, write: true },
    ];
    queue.addChain(segments, 0, this.indirect ? table : undefined);
    if (queue.publish()) t.kick(this.index);
    while (!this.#ended) {
      if (queue.take() >= 0) return u8[ack] === CTRL.OK;
      // A device that has gone, or waits for its reset, answers no more: it is asked again, never spun on.
      if (t.gone || queue.broken !== undefined || this.signal.aborted) return false;
      if ((await t.status() & STATUS.NEEDS_RESET) !== 0) return false;
      if (!this.#ended && !queue.enable()) await this.waiters.wait();
    }
    return false;
  }
}
