/**
 * Events: one ordered sequence per kernel. A subscription is a snapshot and everything after it, without a gap.
 *
 * Order of one interface's events: `arrival` first, then any of `up`, `down`, `link`, `rename`, `change`, then
 * `departure`, and nothing after it until the next `arrival` (in another vnet, under a new handle), but what
 * becomes of the slot: `freed` or `wedged`. `down` comes before UP is cleared, `up` after it is set.
 *
 * @module
 */
import type { Handle } from "./handle.ts";

/** What happened. `module`: loaded; `device`: plugged in, or a driver has it; `fault`: a hook or callback threw, or a driver host was lost. */
export type EventType =
  | "arrival"
  | "departure"
  | "up"
  | "down"
  | "link"
  | "rename"
  | "change"
  | "vnet"
  | "vnet gone"
  | "module"
  | "module gone"
  | "fault"
  | "wedged"
  | "freed"
  | "device"
  | "device gone";

/** One event. */
export interface KernelEvent {
  /** Its number in the kernel's one sequence, from 1. */
  readonly seq: number;
  /** What happened. */
  readonly type: EventType;
  /** Milliseconds of the kernel's clock. */
  readonly at: number;
  /** Name of the vnet it happened in: of an interface from its arrival to its departure. */
  readonly vnet?: string;
  /** Name of the interface, module, vnet or device; what threw, for a fault of none of them. */
  readonly name: string;
  /** The interface, where one is meant. */
  readonly handle?: Handle;
  /**
   * What else there is to say, for people: the state of a `link`, "was OLD" of a `rename`, the names of what a
   * `change` set, the URL of a `module`, the message of a `fault` or `wedged`.
   */
  readonly detail?: string;
}

/** What a subscription begins with, and repeats when it fell too far behind. */
export interface Snapshot {
  /** Tells it from an event. */
  readonly type: "snapshot";
  /** Number of the last event that the snapshot includes. */
  readonly seq: number;
  /** The whole kernel, as plain data: `cpus`, and `vnets`, `ifnets`, `modules` and `devices` as their `toJSON` gives them. */
  readonly state: object;
}

/**
 * A snapshot, then events, on CPU 0. Closing it (or leaving the loop), or the kernel's shutdown, ends it. A reader
 * that has 1024 events waiting loses them, and reads a new snapshot instead.
 */
export interface Subscription extends AsyncIterableIterator<Snapshot | KernelEvent> {
  /** Ends the subscription: what waits in it can still be read. Idempotent. */
  close(): void;
}

/** Events kept for subscribers that come back. */
const KEPT = 1024;
/** Events that one subscriber may lag behind. */
const LAG = 1024;

/** The kernel's events, on CPU 0. */
export class Events {
  readonly #now: () => number;
  readonly #snapshot: () => object;
  readonly #onThrow: (cause: unknown) => void;
  readonly #kept: KernelEvent[] = [];
  readonly #subscribers = new Set<Subscriber>();
  readonly #listeners = new Set<(e: KernelEvent) => void>();
  #seq = 0;

  /** `onThrow` is told of a listener that throws: whoever emits is in the middle of an operation, and goes on. */
  constructor(now: () => number, snapshot: () => object, onThrow: (cause: unknown) => void) {
    this.#now = now;
    this.#snapshot = snapshot;
    this.#onThrow = onThrow;
  }

  /** Number of the last event. */
  get seq(): number {
    return this.#seq;
  }

  /** Subscriptions that are open. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Calls `fn` with every event, synchronously, in order: for the kernel's own parts. */
  listen(fn: (e: KernelEvent) => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  /** Adds an event. */
  emit(type: EventType, name: string, more: { vnet?: string; handle?: Handle; detail?: string } = {}): void {
    const e: KernelEvent = { seq: ++this.#seq, type, at: this.#now(), name, ...more };
    this.#kept.push(e);
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const fn of this.#listeners) {
      try {
        fn(e);
      } catch (cause) {
        this.#onThrow(cause);
      }
    }
    for (const s of this.#subscribers) s.put(e);
  }

  /** Starts a subscription: with a snapshot, or after event `after` while that is still kept. */
  subscribe(after: number | undefined, accept: (e: KernelEvent) => boolean): Subscription {
    const s = new Subscriber(
      () => ({ type: "snapshot", seq: this.#seq, state: this.#snapshot() }),
      accept,
      () => this.#subscribers.delete(s),
    );
    const oldest = this.#kept[0]?.seq ?? this.#seq + 1;
    if (after !== undefined && after <= this.#seq && after >= oldest - 1) {
      for (const e of this.#kept) if (e.seq > after) s.put(e);
    } else s.begin();
    this.#subscribers.add(s);
    return s;
  }

  /** Ends every subscription. */
  close(): void {
    for (const s of [...this.#subscribers]) s.close();
    this.#listeners.clear();
  }
}

class Subscriber implements Subscription {
  readonly #queue: (Snapshot | KernelEvent)[] = [];
  readonly #snapshot: () => Snapshot;
  readonly #accept: (e: KernelEvent) => boolean;
  readonly #onClose: () => void;
  #waiting: ((r: IteratorResult<Snapshot | KernelEvent>) => void)[] = [];
  #closed = false;
  #restart = false;

  constructor(snapshot: () => Snapshot, accept: (e: KernelEvent) => boolean, onClose: () => void) {
    this.#snapshot = snapshot;
    this.#accept = accept;
    this.#onClose = onClose;
  }

  put(e: KernelEvent): void {
    if (this.#restart || !this.#accept(e)) return;
    if (this.#queue.length >= LAG) return this.restart();
    const resolve = this.#waiting.shift();
    if (resolve !== undefined) resolve({ done: false, value: e });
    else this.#queue.push(e);
  }

  /** A snapshot of now comes first. */
  begin(): void {
    this.#queue.push(this.#snapshot());
  }

  /**
   * Too far behind: a snapshot takes the place of what is queued. It is taken when it is read: `down` is told
   * before UP is cleared, so one taken while an event is told may miss the change.
   */
  restart(): void {
    this.#queue.length = 0;
    this.#restart = true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose();
    for (const resolve of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<Snapshot | KernelEvent>> {
    if (this.#restart && !this.#closed) {
      this.#restart = false;
      return Promise.resolve({ done: false, value: this.#snapshot() });
    }
    const value = this.#queue.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Snapshot | KernelEvent>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
