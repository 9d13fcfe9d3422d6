/**
 * Epoch callbacks of one CPU: run outside any section, oldest first, after a grace period that began after
 * they were queued (epoch.ts, argument 9).
 *
 * @module
 */
import type { Cpu } from "./cpu.ts";
import { MAIL } from "./mailbox.ts";

/**
 * A CPU's callbacks. `grace` starts a grace period that covers what is queued now, and resolves at its end;
 * `count` hears of each that is queued (1) and that has run (-1).
 */
export class Callbacks {
  #queue: (() => void)[] = [];
  #running: Promise<void> | undefined;
  /** Who waits for what is queued, if it never runs. */
  readonly #drains = new Set<(e: unknown) => void>();
  readonly #grace: () => Promise<void>;
  readonly #onThrow: (e: unknown) => void;
  readonly #count: (n: number) => void;

  constructor(
    grace: () => Promise<void>,
    onThrow: (e: unknown) => void,
    count: (n: number) => void = () => {},
  ) {
    this.#grace = grace;
    this.#onThrow = onThrow;
    this.#count = count;
  }

  /** Callbacks that have not run. */
  get size(): number {
    return this.#queue.length;
  }

  /** Queues a callback. A callback may queue another: it waits for a grace period of its own. */
  call(fn: () => void): void {
    this.#queue.push(fn);
    this.#count(1);
    this.#running ??= this.#run();
  }

  /** Resolves when everything queued before has run. */
  drain(): Promise<void> {
    if (this.#queue.length === 0 && this.#running === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#drains.add(reject);
      this.call(() => {
        this.#drains.delete(reject);
        resolve();
      });
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      // What is queued in the same turn shares the grace period.
      await undefined;
      const covered = this.#queue.length;
      try {
        await this.#grace();
      } catch (e) {
        // The kernel went down: what is queued may reach what it must not, and never runs.
        this.#queue = [];
        for (const reject of this.#drains) reject(e);
        this.#drains.clear();
        break;
      }
      for (const fn of this.#queue.splice(0, covered)) {
        try {
          fn();
        } catch (e) {
          this.#onThrow(e);
        }
        this.#count(-1);
      }
    }
    this.#running = undefined;
  }
}

/** Asks CPU 0 for grace periods by mail: what the callbacks of another CPU wait on. */
export class RemoteGrace {
  readonly #cpu: Cpu;
  readonly #waiting = new Map<number, () => void>();
  #next = 1;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    cpu.on(MAIL.grace, (m) => {
      this.#waiting.get(m.a)?.();
      this.#waiting.delete(m.a);
    });
  }

  /** Resolves after a grace period that begins after this call. */
  wait(): Promise<void> {
    const id = this.#next++;
    const done = new Promise<void>((resolve) => this.#waiting.set(id, resolve));
    this.#cpu.postUp(MAIL.grace, id);
    // The callbacks run in a microtask: the pump must let those run.
    return this.#cpu.track(done);
  }
}
