/**
 * The control side of CPU 0: mail to every CPU, answers, and the waits of structural operations.
 *
 * A structural operation is code between awaits. It waits only here: for answers, for shared words
 * (`until`), for a deadline. Each wait is listed, so "what is it waiting for?" has an answer, and shutdown
 * can prove that none is left.
 *
 * @module
 */
import type { Stepper } from "../doors/step.ts";
import { GracePeriods } from "../epoch/epoch.ts";
import { SoftcError } from "../error.ts";
import { Heap } from "../memory/heap.ts";
import { type Cpu, type PlainError, type PortMessage, type Report, revive } from "./cpu.ts";
import { MAIL, type Mail, mailboxAt, MailReceiver, MailSender } from "./mailbox.ts";

/** Options of a message that is asked. */
export interface AskOptions {
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly d?: number;
  readonly text?: string;
  /** Milliseconds after which the promise rejects with SOFTC_DRIVER_STALLED; the message stays under way. */
  readonly deadline?: number | undefined;
  /** What is asked, for reports. */
  readonly label: string;
}

interface Ticket {
  readonly cpu: number;
  readonly label: string;
  readonly since: number;
  readonly textAt: number;
  resolve(value: unknown): void;
  reject(e: Error): void;
}

interface Wait {
  readonly label: string;
  readonly since: number;
  readonly ready: () => boolean;
  resolve(): void;
  reject(e: Error): void;
}

/** Something that a structural operation waits for, in a report. */
export interface Pending {
  readonly label: string;
  /** Milliseconds since it began. */
  readonly age: number;
  /** The CPU that must answer, where one must. */
  readonly cpu?: number;
}

/** CPU 0's control side. */
export class Control {
  readonly cpu: Cpu;
  readonly heap: Heap;
  readonly grace: GracePeriods;
  /** Set by the explorer: decides when waits go on. */
  stepper: Stepper | undefined;
  /** Called for mail and reports that no ticket asked for. */
  onReport: (report: Report, cpu: number) => void = () => {};
  readonly #senders: MailSender[] = [];
  readonly #receivers: MailReceiver[] = [];
  readonly #tickets = new Map<number, Ticket>();
  readonly #waits = new Set<Wait>();
  readonly #stray = new Map<number, (mail: Mail, cpu: number) => void>();
  readonly #held = new Set<string>();
  /** What CPU 0 asked itself and still awaits: a hook of a driver that lives here. */
  readonly #ownAsks = new Set<{ label: string; since: number; reject(e: Error): void }>();
  /** Why nothing that is asked or awaited can be answered any more. */
  #over: Error | undefined;
  #nextTicket = 1;
  /** True when an answer or a wait was settled since it was last asked: the pump lets microtasks run. */
  settled = false;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.heap = new Heap(cpu.arena, cpu.sanitizer);
    for (let k = 1; k < cpu.arena.plan.config.cpus; k++) {
      this.#senders[k] = new MailSender(cpu.arena, mailboxAt(cpu.arena, k, "down"), () => cpu.ring(k));
      this.#receivers[k] = new MailReceiver(cpu.arena, mailboxAt(cpu.arena, k, "up"));
    }
    this.grace = new GracePeriods(cpu.arena, {
      until: (label, words, ready) => this.until(label, words, ready),
      sync: (k) => void this.ask(k, MAIL.sync, { label: "sync" }).catch(() => {}),
      now: () => cpu.clock.now(),
    });
  }

  /** CPUs of the kernel. */
  get cpus(): number {
    return this.cpu.arena.plan.config.cpus;
  }

  /** Registers what is done with mail from other CPUs that answers nothing. */
  on(kind: number, handler: (mail: Mail, cpu: number) => void): void {
    this.#stray.set(kind, handler);
  }

  /** Posts a message that wants no answer. CPU 0's own runs at once. */
  post(k: number, kind: number, a = 0, b = 0, c = 0, d = 0): void {
    if (k === 0) {
      this.cpu.handle({ kind, ticket: 0, a, b, c, d, text: "" });
      this.cpu.ring(0);
    } else this.#senders[k]!.post([kind, 0, a, b, c, d]);
  }

  /** Asks CPU `k` and resolves with its answer; CPU 0's own handler runs at once. */
  ask(k: number, kind: number, o: AskOptions): Promise<unknown> {
    const { a = 0, b = 0, c = 0, d = 0, text = "" } = o;
    if (this.#over !== undefined) return Promise.reject(this.#over);
    if (k === 0) {
      try {
        const answer = this.cpu.handle({ kind, ticket: 0, a, b, c, d, text });
        // What it handed to the sources of this CPU waits for its pump.
        this.cpu.ring(0);
        return answer instanceof Promise ? this.own(answer, o.label, o.deadline) : Promise.resolve(answer);
      } catch (e) {
        return Promise.reject(e);
      }
    }
    const ticket = this.#nextTicket;
    this.#nextTicket = ticket === 0x7fffffff ? 1 : ticket + 1;
    const bytes = text === "" ? undefined : new TextEncoder().encode(text);
    const textAt = bytes === undefined
      ? 0
      : this.heap.alloc(Math.ceil(bytes.length / 4), `mail text (${o.label})`);
    if (bytes !== undefined) this.cpu.arena.u8.set(bytes, textAt * 4);
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#tickets.set(ticket, {
        cpu: k,
        label: o.label,
        since: this.cpu.clock.now(),
        textAt,
        resolve,
        reject,
      });
    });
    this.#senders[k]!.post([kind, ticket, a, b, c, d, textAt, bytes?.length ?? 0]);
    const awaited = this.stepper === undefined ? promise : this.#stepped(promise, ticket, o.label, k);
    return o.deadline === undefined ? awaited : this.within(awaited, o.deadline, o.label, k);
  }

  /** Asks every CPU in `cpus`. */
  askAll(cpus: readonly number[], kind: number, o: AskOptions): Promise<unknown[]> {
    return Promise.all(cpus.map((k) => this.ask(k, kind, o)));
  }

  /** Every CPU of the kernel. */
  get everyCpu(): number[] {
    return Array.from({ length: this.cpus }, (_, k) => k);
  }

  /** Resolves when `ready()` holds; `words` are the shared words that it reads. Tested after each turn. */
  until(label: string, words: readonly number[], ready: () => boolean): Promise<void> {
    if (this.stepper !== undefined) return this.stepper.step(label, words, ready);
    if (ready()) return Promise.resolve();
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      this.#waits.add({ label, since: this.cpu.clock.now(), ready, resolve, reject });
      this.cpu.ring(0);
    });
  }

  /** A point at which another structural operation may run: the step door without a condition. */
  step(label: string): Promise<void> {
    return this.stepper === undefined ? Promise.resolve() : this.stepper.step(label, [], () => true);
  }

  /** Waits until nobody else holds `what`, then holds it: for rare whole-kernel operations. */
  async exclusive(what: string): Promise<void> {
    while (this.#held.has(what)) await this.until(`${what}: in use`, [], () => !this.#held.has(what));
    this.#held.add(what);
  }

  /** Lets the next one have it. */
  releaseExclusive(what: string): void {
    this.#held.delete(what);
    this.cpu.ring(0);
  }

  /** Handles mail from other CPUs and tests pending waits; true when anything happened. */
  turn(): boolean {
    let any = false;
    for (let k = 1; k < this.#receivers.length; k++) {
      this.#senders[k]!.flush();
      const inbox = this.#receivers[k]!;
      for (let m = inbox.next(); m !== undefined; m = inbox.next()) {
        any = true;
        if (m.kind === MAIL.ack) this.#settle(m.ticket, m.a, undefined);
        else this.#stray.get(m.kind)?.(m, k);
      }
    }
    for (const w of this.#waits) {
      if (!w.ready()) continue;
      this.#waits.delete(w);
      w.resolve();
      any = this.settled = true;
    }
    return any;
  }

  /** Whether mail or a wait is ready: asked with the sleep flag up. */
  workWaits(): boolean {
    for (let k = 1; k < this.#receivers.length; k++) {
      if (this.#receivers[k]!.waits() || this.#senders[k]!.flush()) return true;
    }
    for (const w of this.#waits) if (w.ready()) return true;
    return false;
  }

  /** Takes what came through a CPU's port. */
  receive(message: PortMessage, k: number): void {
    if (message.report !== undefined) this.onReport(message.report, k);
    if (message.ticket !== undefined) this.#settle(message.ticket, message.value, message.error);
    this.cpu.ring(0);
  }

  /** What structural operations wait for now. */
  pending(): Pending[] {
    const now = this.cpu.clock.now();
    return [
      ...[...this.#tickets.values()].map((t) => ({ label: t.label, age: now - t.since, cpu: t.cpu })),
      ...[...this.#ownAsks].map((t) => ({ label: t.label, age: now - t.since, cpu: 0 })),
      ...[...this.#waits].map((w) => ({ label: w.label, age: now - w.since })),
    ];
  }

  /** A CPU died, or the kernel is down: everything that is asked or awaited, now or later, fails with `e`. */
  end(e: Error): void {
    this.#over ??= e;
    const pending = [...this.#tickets.values(), ...this.#waits, ...this.#ownAsks];
    this.#tickets.clear();
    this.#waits.clear();
    this.#ownAsks.clear();
    for (const p of pending) p.reject(e);
  }

  #settle(ticket: number, value: unknown, error: PlainError | undefined): void {
    const t = this.#tickets.get(ticket);
    if (t === undefined) return;
    this.#tickets.delete(ticket);
    if (t.textAt !== 0) this.heap.free(t.textAt, "nobody");
    this.settled = true;
    if (error === undefined) t.resolve(value);
    else t.reject(revive(error));
  }

  async #stepped<T>(promise: Promise<T>, ticket: number, label: string, k: number): Promise<T> {
    await this.stepper!.step(label, [this.#receivers[k]!.word], () => {
      this.turn();
      return !this.#tickets.has(ticket);
    });
    return promise;
  }

  /** What CPU 0 itself has begun: listed until it settles, a rejection once `deadline` ms have passed. */
  own<T>(answer: Promise<T>, label: string, deadline?: number): Promise<T> {
    const listed = new Promise<T>((resolve, reject) => {
      const asked = { label, since: this.cpu.clock.now(), reject };
      this.#ownAsks.add(asked);
      this.cpu.track(answer).finally(() => this.#ownAsks.delete(asked)).then(resolve, reject);
    });
    return deadline === undefined ? listed : this.within(listed, deadline, label, 0);
  }

  /** The promise, or a rejection once `ms` have passed. What was asked stays under way. */
  within<T>(promise: Promise<T>, ms: number, label: string, k: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.cpu.timers.after(ms, () => {
        this.settled = true;
        reject(
          new SoftcError("SOFTC_DRIVER_STALLED", `${label} did not answer on CPU ${k} within ${ms} ms`, {
            state: "pending",
            wanted: "settled",
          }),
        );
      });
      this.cpu.ring(0);
      promise.then((v) => {
        timer.armed = false;
        resolve(v);
      }, (e) => {
        timer.armed = false;
        reject(e);
      });
    });
  }
}
