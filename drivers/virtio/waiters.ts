/** Waiting for a doorbell that also ends by itself: who waits looks again at what it waits for. @module */

/** Those who wait for one doorbell. */
export class Waiters {
  #waiting: (() => void)[] = [];

  /**
   * Resolves at the next `wake`, or after 5 ms: an instance that has faulted hears no doorbell, and must still
   * be able to stop its device.
   */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 5);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Ends every wait. */
  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
