/**
 * Mail between CPU 0 and the others: words only, one single-producer single-consumer queue each way.
 *
 * 1. Only the producer writes `tail` and the entries in front of it, only the consumer writes `head`; entries
 *    are published by the atomic store of `tail` and given back by the atomic store of `head`.
 * 2. A CPU handles mail between turns, outside every section and hook. So its answer to a message proves that
 *    no synchronous hook that ran before is on its stack, and that its section of then has closed.
 * 3. Mail from one CPU to another is handled in the order in which it was posted.
 *
 * @module
 */
import { get, load, set, store } from "../doors/arena.ts";
import { type Arena, MAILBOX } from "../memory/arena.ts";

/** What a message says. Each floor registers handlers for its own. */
export const MAIL = {
  ack: 1,
  sync: 2,
  park: 3,
  stop: 4,
  importModule: 5,
  dropModule: 6,
  attach: 7,
  open: 8,
  publish: 9,
  purge: 10,
  closeTransmit: 11,
  stopInstance: 12,
  close: 13,
  destroy: 14,
  set: 15,
  ask: 16,
  reassign: 17,
  flush: 18,
  fault: 19,
  link: 20,
  grace: 21,
  tap: 22,
  untap: 23,
  pktgen: 24,
  wakeQueue: 25,
  socket: 26,
  domain: 27,
  event: 28,
  unplug: 29,
  drain: 30,
  device: 31,
  inspect: 32,
} as const;

/** A message: its kind, a ticket when an answer is wanted (0 = none), four words, and text for rare ones. */
export interface Mail {
  kind: number;
  ticket: number;
  a: number;
  b: number;
  c: number;
  d: number;
  text: string;
}

/** Word offset of one direction of CPU `k`'s mailbox. */
export function mailboxAt(arena: Arena, k: number, direction: "down" | "up"): number {
  return arena.plan.mailbox + (2 * k + (direction === "down" ? 0 : 1)) * MAILBOX.WORDS;
}

/** The sending end of one queue. What does not fit is kept and sent later, in order: mail is never lost. */
export class MailSender {
  readonly #a: Int32Array;
  readonly #at: number;
  readonly #ring: () => void;
  #kept: number[][] = [];

  constructor(arena: Arena, at: number, ring: () => void) {
    this.#a = arena.a;
    this.#at = at;
    this.#ring = ring;
  }

  /** Word that changes when there is room again. */
  get room(): number {
    return this.#at + MAILBOX.head;
  }

  /** Posts eight words (or fewer) and rings the receiver. */
  post(words: number[]): void {
    if (this.#kept.length > 0 || !this.#put(words)) this.#kept.push(words);
    this.#ring();
  }

  /** Sends what was kept; true when something still is. */
  flush(): boolean {
    if (this.#kept.length === 0) return false;
    let sent = 0;
    while (sent < this.#kept.length && this.#put(this.#kept[sent]!)) sent++;
    if (sent > 0) {
      this.#kept.splice(0, sent);
      this.#ring();
    }
    return this.#kept.length > 0;
  }

  #put(words: number[]): boolean {
    const a = this.#a;
    const tail = get(a, this.#at + MAILBOX.tail);
    if (((tail - load(a, this.#at + MAILBOX.head)) | 0) >= MAILBOX.ENTRIES) return false;
    const e = this.#at + MAILBOX.entries + (tail & (MAILBOX.ENTRIES - 1)) * MAILBOX.ENTRY;
    for (let i = 0; i < MAILBOX.ENTRY; i++) set(a, e + i, words[i] ?? 0);
    store(a, this.#at + MAILBOX.tail, (tail + 1) | 0);
    return true;
  }
}

/** The receiving end of one queue. */
export class MailReceiver {
  readonly #arena: Arena;
  readonly #at: number;

  constructor(arena: Arena, at: number) {
    this.#arena = arena;
    this.#at = at;
  }

  /** Word that changes when mail arrives. */
  get word(): number {
    return this.#at + MAILBOX.tail;
  }

  /** Whether mail waits: an atomic load. */
  waits(): boolean {
    return load(this.#arena.a, this.#at + MAILBOX.tail) !== get(this.#arena.a, this.#at + MAILBOX.head);
  }

  /** The next message, or `undefined`. */
  next(): Mail | undefined {
    const { a, u8 } = this.#arena;
    const head = get(a, this.#at + MAILBOX.head);
    if (load(a, this.#at + MAILBOX.tail) === head) return undefined;
    const e = this.#at + MAILBOX.entries + (head & (MAILBOX.ENTRIES - 1)) * MAILBOX.ENTRY;
    const textAt = get(a, e + 6);
    const textBytes = get(a, e + 7);
    const mail: Mail = {
      kind: get(a, e),
      ticket: get(a, e + 1),
      a: get(a, e + 2),
      b: get(a, e + 3),
      c: get(a, e + 4),
      d: get(a, e + 5),
      text: textBytes === 0 ? "" : new TextDecoder().decode(u8.slice(textAt * 4, textAt * 4 + textBytes)),
    };
    store(a, this.#at + MAILBOX.head, (head + 1) | 0);
    return mail;
  }
}
