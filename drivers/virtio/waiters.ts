/** Waiting for a doorbell that also ends by itself: who waits looks again at what it waits for. @module */
import { clearTimeout, setTimeout } from "node:timers";

/** Milliseconds of the first wait, and of the longest: each is twice the one before, until a doorbell rings. */
const FIRST = 4;
const LONGEST = 1024;

/**
 * Those who wait for one doorbell.
 *
 * @example
 * ```ts
 * import { Waiters } from "@softc/softc/drivers/virtio";
 *
 * const doorbell = new Waiters();
 * const rung = doorbell.wait();
 * doorbell.wake();
 * await rung;
 * ```
 */
export class Waiters {
  #waiting: (() => void)[] = [];
  #patience = FIRST;

  /**
   * Resolves at the next `wake`, or after a while (4 ms, doubling to 1024 ms until a wake): an instance that has faulted hears no doorbell, and must still
   * be able to stop its device. Waiting keeps no process alive: a device may never answer.
   */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#patience);
      timer.unref();
      this.#patience = Math.min(2 * this.#patience, LONGEST);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Ends every wait. */
  wake(): void {
    this.#patience = FIRST;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
