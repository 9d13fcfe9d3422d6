/**
 * A CPU: one JavaScript thread with its epoch record, mbuf cache, counters, timers and mail.
 *
 * All that a CPU keeps hangs off this object, so several kernels in one process do not disturb each other.
 *
 * @module
 */
import { add, load, notify, store, until } from "../doors/arena.ts";
import { type Clock, Timers } from "../doors/clock.ts";
import { Epoch } from "../epoch/epoch.ts";
import { SoftcError } from "../error.ts";
import { type Arena, CPU } from "../memory/arena.ts";
import { Counters } from "../memory/counters.ts";
import { Pool } from "../memory/mbuf.ts";
import type { Sanitizer } from "../memory/sanitizer.ts";
import { MAIL, type Mail, mailboxAt, MailReceiver, MailSender } from "./mailbox.ts";

/** Something that a turn of the pump polls. */
export interface Source {
  /** Does up to `budget` packets of work; returns how many (or 1 for other work, 0 for none). */
  poll(budget: number): number;
  /** Whether work waits, asked with the sleep flag up: reads shared words atomically. */
  waits(): boolean;
}

/** What a handler answers: nothing or a number travels as words, anything else by the port. */
export type Answer = unknown;
/** Handles one kind of mail. Runs between turns, outside sections and hooks. */
export type MailHandler = (mail: Mail) => Answer | Promise<Answer>;

/** The port of a CPU to CPU 0, for what does not fit in words: errors, logs, answers with fields. */
export interface Port {
  post(message: PortMessage): void;
}

/** What goes through a {@linkcode Port}. */
export interface PortMessage {
  /** The ticket that this answers. */
  readonly ticket?: number;
  readonly value?: unknown;
  readonly error?: PlainError;
  /** A report that nobody asked for: a fault of an instance, a log line. */
  readonly report?: Report;
}

/** An error as plain data. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** What brought it about: for a framework's error the author's own, with its line. */
  readonly cause?: PlainError | undefined;
  /** The fields of a SoftcError. */
  readonly softc?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Something that happened on a CPU and that CPU 0 must hear. */
export interface Report {
  readonly kind: "fault" | "log" | "panic";
  readonly index?: number | undefined;
  readonly born?: number | undefined;
  /** Name of the interface, which may be gone when the report is heard. */
  readonly name?: string | undefined;
  readonly label: string;
  readonly error?: PlainError | undefined;
}

/** An error as plain data, so that it can cross threads. */
export function plainError(e: unknown, deep = true): PlainError {
  if (!(e instanceof Error)) return { name: "Error", message: String(e) };
  const { name, message, stack } = e;
  const cause = deep && e.cause instanceof Error ? plainError(e.cause, false) : undefined;
  const plain = { name, message, stack, ...(cause === undefined ? {} : { cause }) };
  if (name !== "SoftcError") return plain;
  const { code, errno, state, wanted, rule, fix } = e as SoftcError;
  return { ...plain, softc: { code, errno, state, wanted, rule, fix } };
}

/** The error back from plain data; a SoftcError keeps its fields. */
export function revive(plain: PlainError): Error {
  const e = new Error(plain.message);
  e.name = plain.name;
  if (plain.stack !== undefined) e.stack = plain.stack;
  if (plain.cause !== undefined) e.cause = revive(plain.cause);
  if (plain.softc !== undefined) Object.assign(e, plain.softc);
  return e;
}

/** One CPU. */
export class Cpu {
  readonly id: number;
  readonly arena: Arena;
  readonly clock: Clock;
  readonly epoch: Epoch;
  readonly counters: Counters;
  readonly pool: Pool;
  readonly timers: Timers;
  readonly sanitizer: Sanitizer | undefined;
  /** What a turn polls, in this order. */
  readonly sources: Source[] = [];
  /** Hook promises, imports and tasks that are pending: while there are any, the pump serves the event loop. */
  pending = 0;
  stopped = false;
  /** Live objects that devices of this CPU were plugged with, by interface slot. */
  readonly resources = new Map<number, object>();
  /** Depth of driver hooks on the stack: structural calls from inside are refused. */
  hooks = 0;
  readonly #handlers = new Map<number, MailHandler>();
  readonly #port: Port;
  readonly #inbox: MailReceiver | undefined;
  readonly #up: MailSender | undefined;
  readonly #bell: number;

  constructor(id: number, arena: Arena, clock: Clock, port: Port, sanitizer: Sanitizer | undefined) {
    this.id = id;
    this.arena = arena;
    this.clock = clock;
    this.sanitizer = sanitizer;
    this.epoch = new Epoch(arena, id);
    this.counters = new Counters(arena, id);
    this.pool = new Pool(arena, id, this.counters, sanitizer);
    this.timers = new Timers(clock, () => this.ring(id));
    this.#port = port;
    this.#bell = arena.cpuAt(id);
    if (id > 0) {
      this.#inbox = new MailReceiver(arena, mailboxAt(arena, id, "down"));
      this.#up = new MailSender(arena, mailboxAt(arena, id, "up"), () => this.ring(0));
    }
    this.on(MAIL.sync, () => {});
    this.on(MAIL.park, () => {});
    this.on(MAIL.stop, () => void (this.stopped = true));
  }

  /** Registers the handler of one kind of mail. */
  on(kind: number, handler: MailHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** Runs the handler of a message; CPU 0's own messages come here directly. */
  handle(mail: Mail): Answer | Promise<Answer> {
    if (this.epoch.inside) {
      throw new SoftcError("SOFTC_EPOCH_INSIDE", `Cannot handle mail ${mail.kind} on CPU ${this.id}`);
    }
    const handler = this.#handlers.get(mail.kind);
    if (handler === undefined) throw new Error(`CPU ${this.id} has no handler for mail ${mail.kind}`);
    return handler(mail);
  }

  /** Handles the mail that waits (on CPUs other than 0); true when there was any. */
  mail(): boolean {
    if (this.#inbox === undefined) return false;
    this.#up!.flush();
    let any = false;
    for (let m = this.#inbox.next(); m !== undefined; m = this.#inbox.next()) {
      any = true;
      const { ticket } = m;
      try {
        const answer = this.handle(m);
        if (answer instanceof Promise) {
          this.track(answer).then((v) => this.#answer(ticket, v), (e) => this.#fail(ticket, e));
        } else this.#answer(ticket, answer);
      } catch (e) {
        this.#fail(ticket, e);
      }
      if (m.kind === MAIL.park) this.#stayParked(m.a);
    }
    return any;
  }

  /** Stops the whole thread, its event loop too, until CPU 0 has ended check `round`: nothing here changes a counter. */
  #stayParked(round: number): void {
    const word = this.#bell + CPU.parked;
    // The answer may wait for room: CPU 0 must have it first.
    until(this.arena.a, [this.#up!.room], () => !this.#up!.flush());
    until(this.arena.a, [word], () => ((load(this.arena.a, word) - round) | 0) >= 0);
  }

  /** Whether mail waits. */
  mailWaits(): boolean {
    return this.#inbox !== undefined && (this.#inbox.waits() || this.#up!.flush());
  }

  /** Counts a promise as pending until it settles, so that the pump lets the event loop run. */
  track<T>(promise: Promise<T>): Promise<T> {
    this.pending++;
    const done = (): void => {
      if (--this.pending === 0) this.ring(this.id);
    };
    promise.then(done, done);
    return promise;
  }

  /** Posts words to CPU 0 (from another CPU). */
  postUp(kind: number, a = 0, b = 0, c = 0, d = 0): void {
    this.#up!.post([kind, 0, a, b, c, d]);
  }

  /** Tells CPU 0 what happened here. */
  report(report: Report): void {
    this.#port.post({ report });
  }

  /** Wakes CPU `k` if it sleeps. Call it after the atomic store that gives it work (a Dekker pair with its sleep flag). */
  ring(k: number): void {
    const at = this.arena.cpuAt(k);
    if (load(this.arena.a, at + CPU.asleep, this.arena.wasm) === 0) return;
    add(this.arena.a, at + CPU.bell, 1);
    notify(this.arena.a, at + CPU.bell);
  }

  /** Raises the sleep flag and returns the bell's value to wait on. */
  lieDown(): number {
    const bell = load(this.arena.a, this.#bell + CPU.bell);
    store(this.arena.a, this.#bell + CPU.asleep, 1);
    return bell;
  }

  /** Lowers the sleep flag. */
  getUp(): void {
    store(this.arena.a, this.#bell + CPU.asleep, 0);
  }

  /** Word of this CPU's bell. */
  get bell(): number {
    return this.#bell + CPU.bell;
  }

  /** Whether anything waits for this CPU: asked with the sleep flag up. */
  workWaits(): boolean {
    if (this.mailWaits()) return true;
    for (let i = 0; i < this.sources.length; i++) if (this.sources[i]!.waits()) return true;
    return false;
  }

  #answer(ticket: number, value: Answer): void {
    if (ticket === 0) return;
    if (value === undefined || typeof value === "number") this.#up!.post([MAIL.ack, ticket, value ?? 0]);
    else this.#port.post({ ticket, value });
  }

  #fail(ticket: number, e: unknown): void {
    this.#port.post(
      ticket === 0
        ? { report: { kind: "panic", label: "mail", error: plainError(e) } }
        : { ticket, error: plainError(e) },
    );
  }
}
