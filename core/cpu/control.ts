/**
 * The control side of CPU 0: mail to every CPU, answers, and the waits of structural operations.
 *
 * A structural operation is code between awaits. It waits only here: for answers, for shared words
 * (`until`), for a deadline. Each wait is listed, so "what is it waiting for?" has an answer, and shutdown
 * can prove that none is left.
 *
 * @module
 */
import type { TimerEntry } from "../doors/clock.ts";
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

/** Something that was asked and is not answered yet. */
interface Asked {
  readonly cpu: number;
  readonly label: string;
  readonly since: number;
  /** Word offset of its text in the arena; 0 = none. */
  readonly textAt: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (e: Error) => void;
  /** Its deadline, while that is ahead. */
  timer: TimerEntry | undefined;
  /** Its deadline has passed. */
  late: boolean;
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

const ENCODER = new TextEncoder();

/** CPU 0's control side. */
export class Control {
  readonly cpu: Cpu;
  readonly heap: Heap;
  readonly grace: GracePeriods;
  /** Structural operations under way, as users began them. */
  operations = 0;
  /** Every CPU of the kernel. */
  readonly everyCpu: readonly number[];
  /** Set by the explorer: decides when waits go on. */
  stepper: Stepper | undefined;
  /** Called for mail and reports that no ticket asked for. */
  onReport: (report: Report, cpu: number) => void = () => {};
  readonly #senders: MailSender[] = [];
  readonly #receivers: MailReceiver[] = [];
  /** What was asked of other CPUs, by ticket; its place is used again once it is answered. */
  readonly #tickets: (Asked | undefined)[] = [undefined];
  readonly #freeTickets: number[] = [];
  readonly #waits = new Set<Wait>();
  readonly #stray = new Map<number, (mail: Mail, cpu: number) => void>();
  readonly #held = new Set<string>();
  /** What CPU 0 asked itself and still awaits: a hook of a driver that lives here. */
  readonly #ownAsks = new Set<Asked>();
  /** Why nothing that is asked or awaited can be answered any more. */
  #over: Error | undefined;
  /** True when an answer or a wait was settled since it was last asked: the pump lets microtasks run. */
  settled = false;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
    this.heap = new Heap(cpu.arena, cpu.sanitizer);
    this.everyCpu = Array.from({ length: this.cpus }, (_, k) => k);
    for (let k = 1; k < cpu.arena.plan.config.cpus; k++) {
      this.#senders[k] = new MailSender(cpu.arena, mailboxAt(cpu.arena, k, "down"), () => cpu.ring(k));
      this.#receivers[k] = new MailReceiver(cpu.arena, mailboxAt(cpu.arena, k, "up"));
    }
    this.grace = new GracePeriods(cpu.arena, {
      until: (label, words, ready) => this.until(label, words, ready),
      sync: (k) => void this.ask(k, MAIL.sync, { label: "sync" }).catch(() => {}),
      operations: () => this.operations,
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
    const ticket = this.#freeTickets.pop() ?? this.#tickets.length;
    const bytes = text === "" ? undefined : ENCODER.encode(text);
    const textAt = bytes === undefined
      ? 0
      : this.heap.alloc(Math.ceil(bytes.length / 4), `mail text (${o.label})`);
    if (bytes !== undefined) this.cpu.arena.u8.set(bytes, textAt * 4);
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#tickets[ticket] = this.#asked(k, o, textAt, resolve, reject);
    });
    this.#senders[k]!.post([kind, ticket, a, b, c, d, textAt, bytes?.length ?? 0]);
    return this.stepper === undefined ? promise : this.#stepped(promise, ticket, o.label, k);
  }

  /** Asks every CPU in `cpus`. */
  askAll(cpus: readonly number[], kind: number, o: AskOptions): Promise<unknown[]> {
    return Promise.all(cpus.map((k) => this.ask(k, kind, o)));
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

  /** What other CPUs have not answered. */
  get #under(): Asked[] {
    return this.#tickets.filter((t) => t !== undefined);
  }

  /** What structural operations wait for now. */
  pending(): Pending[] {
    const now = this.cpu.clock.now();
    return [
      ...this.#under.map((t) => ({ label: t.label, age: now - t.since, cpu: t.cpu })),
      ...[...this.#ownAsks].map((t) => ({ label: t.label, age: now - t.since, cpu: 0 })),
      ...[...this.#waits].map((w) => ({ label: w.label, age: now - w.since })),
    ];
  }

  /** A CPU died, or the kernel is down: everything that is asked or awaited, now or later, fails with `e`. */
  end(e: Error): void {
    this.#over ??= e;
    const pending = [...this.#under, ...this.#waits, ...this.#ownAsks];
    this.#tickets.fill(undefined);
    this.#waits.clear();
    this.#ownAsks.clear();
    for (const p of pending) {
      if ("timer" in p && p.timer !== undefined) p.timer.armed = false;
      p.reject(e);
    }
  }

  /** Notes what is asked; past its deadline the promise rejects, and what was asked stays under way. */
  #asked(
    k: number,
    o: AskOptions,
    textAt: number,
    resolve: (value: unknown) => void,
    reject: (e: Error) => void,
  ): Asked {
    const { cpu } = this;
    const now = cpu.clock.now();
    const asked: Asked = {
      cpu: k,
      label: o.label,
      since: now,
      textAt,
      resolve,
      reject,
      timer: undefined,
      late: false,
    };
    if (o.deadline !== undefined) {
      asked.timer = cpu.timers.at(now + o.deadline, () => this.#late(asked, o.deadline!));
      cpu.ring(0);
    }
    return asked;
  }

  #late(asked: Asked, ms: number): void {
    asked.timer = undefined;
    asked.late = this.settled = true;
    asked.reject(stalled(asked.label, asked.cpu, ms));
  }

  #settle(ticket: number, value: unknown, error: PlainError | undefined): void {
    const t = this.#tickets[ticket];
    if (t === undefined) return;
    this.#tickets[ticket] = undefined;
    this.#freeTickets.push(ticket);
    if (t.timer !== undefined) t.timer.armed = false;
    if (t.textAt !== 0) this.heap.free(t.textAt, "nobody");
    this.settled = true;
    if (error === undefined) t.resolve(value);
    else t.reject(revive(error));
  }

  async #stepped(promise: Promise<unknown>, ticket: number, label: string, k: number): Promise<unknown> {
    const asked = this.#tickets[ticket];
    await this.stepper!.step(label, [this.#receivers[k]!.word], () => {
      this.turn();
      return this.#tickets[ticket] !== asked || asked?.late === true;
    });
    return promise;
  }

  /** What CPU 0 itself has begun: listed until it settles, a rejection once `deadline` ms have passed. */
  own<T>(answer: Promise<T>, label: string, deadline?: number): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const asked = this.#asked(0, { label, deadline }, 0, resolve as (value: unknown) => void, reject);
      this.#ownAsks.add(asked);
      const over = (): void => {
        this.#ownAsks.delete(asked);
        if (asked.timer !== undefined) asked.timer.armed = false;
      };
      this.cpu.track(answer).then((value) => {
        over();
        resolve(value);
      }, (e) => {
        over();
        reject(e);
      });
    });
  }

  /** The promise, or a rejection once `ms` have passed. What was asked stays under way. */
  within<T>(promise: Promise<T>, ms: number, label: string, k: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.cpu.timers.after(ms, () => {
        this.settled = true;
        reject(stalled(label, k, ms));
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

function stalled(label: string, k: number, ms: number): SoftcError {
  return new SoftcError("SOFTC_DRIVER_STALLED", `${label} did not answer on CPU ${k} within ${ms} ms`, {
    state: "pending",
    wanted: "settled",
  });
}
