/**
 * One logical thread of the explorer: a worker whose door parks it until the schedule says go.
 *
 * 1. Exactly one thread holds the turn. Code runs between two points without interruption, so a schedule is
 *    the list of points at which another choice than the expected one was taken.
 * 2. A point lies *before* its access: whoever is chosen there runs first.
 * 3. A wait is a predicate and the words that it reads. A blocked choice becomes a candidate again when one of
 *    them is written; it tests its predicate when it gets the turn, and blocks again if it fails.
 *    An `Atomics.wait` sleeps until it is notified; there are no time-outs.
 * 4. Structural operations of thread 0 are asynchronous: each wait in the step door is a fiber. The thread is
 *    between fibers when its microtasks have run dry; then any ready fiber may go on.
 *
 * @module
 */
import { ACCESS, type Access, type DoorWatch, watchDoor } from "../core/doors/arena.ts";
import type { Stepper } from "../core/doors/step.ts";
import type { Arena } from "../core/memory/arena.ts";
import { type FreeSite, Sanitizer } from "../core/memory/sanitizer.ts";
import { COORDINATOR, ENTRY, give, MAX_CHOICES, POINT, STATUS, take, TURN, VERDICT, X } from "./block.ts";
import { allDone, block, enabled, nextChoice, rouse, wake } from "./choices.ts";
import { resetDice } from "./dice.ts";
import { position } from "./position.ts";
import type { Scenario, ScenarioThread, ThreadContext } from "./scenario.ts";

/** Thrown through a thread to end it: its schedule is over. */
export class Abort extends Error {}

/** Microtask rounds after which nothing that is pending can go on by itself. */
const DRY = 48;
/** Longest wait for a turn (ms): a backstop, reported as a stuck run. */
const STUCK = 60_000;

interface Fiber {
  readonly label: string;
  readonly words: readonly number[];
  readonly ready: () => boolean;
  resolve(): void;
}

/** A note on a point, in a run that keeps positions. */
export interface Note {
  readonly step: number;
  readonly where: string;
}

/** Tells the explorer what is freed: else nothing would conflict with a late read of it. */
class ExploredSanitizer extends Sanitizer {
  constructor(readonly thread: LogicalThread, arena: Arena, cpu: number) {
    super(arena, cpu, { now: () => 0, virtual: true });
  }
  override mark(at: number, words: number, site: FreeSite): void {
    this.thread.freed(at, words);
    super.mark(at, words, site);
  }
}

/** A thread: the watch of its door, and its step door. */
export class LogicalThread implements DoorWatch, Stepper {
  /** Positions of points, when they are asked for. */
  notes: Note[] = [];
  /** The coordinator has told this thread to give up, in the middle of a schedule. */
  told = false;
  readonly context: ThreadContext;
  readonly #x: Int32Array;
  readonly #a: Int32Array;
  readonly #spins: number;
  readonly #spec: ScenarioThread;
  readonly #helpers: string | undefined;
  readonly #control: boolean;
  readonly #sanitizer: ExploredSanitizer | undefined;
  readonly #fibers: (Fiber | undefined)[] = [];
  readonly #head: DoorWatch;
  /** The choice that runs here. */
  #me: number;
  #state: unknown;
  #predicate = false;
  /** The next `until` is a `wait`. */
  #waits = false;
  /** Nothing has been done since the turn was given: whoever else could run was a choice there already. */
  #fresh = false;
  #running = false;
  #aborted = false;
  /** Structural operations that have not ended. */
  #pending = 0;
  #threw: unknown;

  constructor(x: Int32Array, arena: Arena, scenario: Scenario, thread: number, spins: number) {
    this.#x = x;
    this.#a = arena.a;
    this.#spins = spins;
    this.#spec = scenario.threads[thread]!;
    this.#helpers = scenario.helpers;
    this.#control = this.#spec.operations !== undefined;
    this.#me = thread;
    this.#sanitizer = arena.plan.config.debug ? new ExploredSanitizer(this, arena, thread) : undefined;
    this.#sanitizer?.after(this);
    this.#head = this.#sanitizer ?? this;
    const labels = scenario.mustHappen ?? [];
    this.context = {
      arena,
      thread,
      sanitizer: this.#sanitizer,
      stepper: this,
      happened: (label) => {
        const i = labels.indexOf(label);
        if (i < 0) throw new Error(`"${label}" is not in mustHappen of scenario ${scenario.name}`);
        x[X.labels]! |= 1 << i;
      },
    };
  }

  /** Makes the thread's state for a new schedule, unscheduled. */
  async prepare(): Promise<void> {
    this.#begin();
    this.#running = false;
    const state = this.#spec.prepare?.(this.context);
    this.#state = state instanceof Promise ? await state : state;
    this.#running = true;
    if (this.#spec.operations === undefined) return;
    const operations = Object.entries(this.#spec.operations);
    this.#pending = operations.length;
    for (const [name, operation] of operations) {
      this.step(`begin ${name}`, [], () => true)
        .then(() => operation(this.context, this.#state as never))
        .then(() => this.#pending--, (e) => {
          this.#pending--;
          this.#fault(e);
        });
    }
  }

  #begin(): void {
    resetDice(this.context.thread);
    this.#me = this.context.thread;
    this.#aborted = false;
    this.told = false;
    this.#threw = undefined;
    this.#predicate = this.#waits = false;
    this.#running = true;
    this.#fibers.length = 0;
    if (this.notes.length > 0) this.notes = [];
  }

  /** Runs the body; returns the error that it threw. The turn has been given to `choice`. */
  async run(choice: number): Promise<unknown> {
    try {
      if (this.#control) await this.#drive(choice);
      else {
        if (this.#spec.prepare === undefined) this.#begin();
        this.#fresh = true;
        watchDoor(this.#head);
        this.#spec.run!(this.context, this.#state as never);
        watchDoor(null);
        this.#end();
      }
    } catch (e) {
      watchDoor(null);
      if (!this.#aborted) {
        this.#fault(e);
        this.#verdict(VERDICT.threw);
        give(this.#x, COORDINATOR, 1);
      }
    }
    watchDoor(null);
    return this.#threw;
  }

  /** Ends what an aborted schedule left running here: every door throws until the microtasks are dry. */
  async abandon(): Promise<void> {
    this.#aborted = true;
    this.#fibers.length = 0;
    if (this.#control) {
      watchDoor(this.#head);
      await dry();
    }
    watchDoor(null);
  }

  access(a: Int32Array, word: number, kind: Access): void {
    // Another view of the same memory (a device's) counts by the same words.
    if (a !== this.#a && (a.buffer !== this.#a.buffer || a.byteOffset !== 0)) return;
    if (this.#aborted) throw new Abort();
    watchDoor(null);
    if (this.#predicate) this.#record(kind | POINT.quiet, word, 0, 0, this.#me);
    else this.#point(kind, word);
    if (kind === ACCESS.store || kind === ACCESS.rmw || kind === ACCESS.set) {
      wake(this.#x, word);
      this.#fresh = false;
    } else if (kind === ACCESS.notify) rouse(this.#x, word);
    else if (kind === ACCESS.wait) this.#waits = true;
    watchDoor(this.#head);
  }

  until(_a: Int32Array, words: readonly number[], ready: () => boolean): void {
    if (this.#aborted) throw new Abort();
    watchDoor(null);
    if (this.#waits) return this.#sleep(words[0]!, ready);
    this.#point(POINT.wait, words[0] ?? -1);
    while (!this.#holds(words, ready)) {
      if (words.length === 0) throw new Error("A blocking wait must name its words");
      block(this.#x, this.#me, words, STATUS.blocked);
      this.#switch(this.#choose(POINT.blocked, words[0] ?? -1, 0, enabled(this.#x), -1));
      this.#fresh = true;
    }
    watchDoor(this.#head);
  }

  /** `Atomics.wait`: sleeps if the word has its value, until somebody notifies; no time-out. */
  #sleep(word: number, ready: () => boolean): void {
    this.#waits = false;
    if (!this.#holds([word], ready)) {
      block(this.#x, this.#me, [word], STATUS.asleep);
      this.#switch(this.#choose(POINT.blocked, word, 0, enabled(this.#x), -1));
      this.#record(ACCESS.load | POINT.quiet, word, 0, 0, this.#me);
      this.#fresh = true;
    }
    watchDoor(this.#head);
  }

  hook(_label: string): void {
    if (this.#aborted) throw new Abort();
    if (this.#predicate) return;
    watchDoor(null);
    this.#point(POINT.hook, -1);
    watchDoor(this.#head);
  }

  /** Words that are given back: they conflict with every other access to them. */
  freed(at: number, words: number): void {
    if (this.#aborted || !this.#running) return;
    watchDoor(null);
    if (this.#predicate) this.#record(POINT.freed | POINT.quiet, at, words, 0, this.#me);
    else this.#point(POINT.freed, at, words);
    watchDoor(this.#head);
  }

  step(label: string, words: readonly number[], ready: () => boolean): Promise<void> {
    if (this.#aborted) return new Promise(() => {});
    const base = this.#x[X.threads]!;
    const own = this.#me - base;
    // The operation that runs keeps its number, so that schedules read well.
    let f = own >= 0 && this.#fibers[own] === undefined ? own : 0;
    while (this.#fibers[f] !== undefined) f++;
    if (base + f >= MAX_CHOICES) throw new Error("The scenario's operations wait in too many places at once");
    if (base + f >= this.#x[X.high]!) this.#x[X.high] = base + f + 1;
    this.#x[X.state + base + f] = STATUS.ready;
    return new Promise<void>((resolve) => this.#fibers[f] = { label, words, ready, resolve });
  }

  /** Thread 0: goes from fiber to fiber until all operations have ended; comes again for what they left. */
  async #drive(first: number): Promise<void> {
    const x = this.#x;
    const base = x[X.threads]!;
    let choice = first;
    for (;;) {
      const fiber = this.#fibers[choice - base];
      if (fiber === undefined) throw new Error(`There is no fiber ${choice}`);
      this.#me = choice;
      x[X.busy] = choice + 1;
      this.#fresh = true;
      if (this.#holds(fiber.words, fiber.ready)) {
        this.#fibers[choice - base] = undefined;
        x[X.state + choice] = STATUS.absent;
        watchDoor(this.#head);
        fiber.resolve();
        await dry();
        watchDoor(null);
        if (this.#aborted) throw new Abort();
        if (this.#threw !== undefined) {
          this.#verdict(VERDICT.threw);
          give(x, COORDINATOR, 1);
          return;
        }
        this.#testFibers(base);
      } else block(x, choice, fiber.words, STATUS.blocked);
      x[X.busy] = 0;
      this.#me = choice;
      // What nobody awaits any more may stay blocked for ever: unanswered mail is no deadlock.
      if (this.#pending === 0) x[X.state] = STATUS.done;
      const mask = enabled(this.#x);
      const stays = (mask >> choice & 1) === 1;
      const next = this.#choose(stays ? POINT.step : POINT.blocked, -1, 0, mask, stays ? choice : -1);
      if (next < base) {
        give(x, next, next + 1);
        if (this.#pending === 0) return;
        choice = this.#take() - 1;
      } else choice = next;
    }
  }

  /** Between fibers: which of them may go on. */
  #testFibers(base: number): void {
    for (let f = 0; f < this.#fibers.length; f++) {
      const fiber = this.#fibers[f];
      if (fiber === undefined) {
        this.#x[X.state + base + f] = STATUS.absent;
        continue;
      }
      this.#me = base + f;
      if (!this.#holds(fiber.words, fiber.ready)) block(this.#x, base + f, fiber.words, STATUS.blocked);
      else this.#x[X.state + base + f] = STATUS.ready;
    }
  }

  /** Tests a predicate in one piece; what it reads counts, but is no point. */
  #holds(words: readonly number[], ready: () => boolean): boolean {
    for (let i = 0; i < words.length; i++) {
      this.#record(ACCESS.load | POINT.quiet, words[i]!, 0, 0, this.#me);
    }
    this.#predicate = true;
    watchDoor(this.#head);
    try {
      return ready();
    } finally {
      watchDoor(this.#aborted ? this.#head : null);
      this.#predicate = false;
    }
  }

  #point(kind: number, word: number, words = 0): void {
    const me = this.#me;
    const mask = this.#fresh ? 1 << me : enabled(this.#x);
    this.#fresh = false;
    const next = this.#choose(kind, word, words, mask, me);
    if (next !== me) this.#switch(next);
  }

  /** Writes a trace entry and answers who runs next: `stay` (unless -1) or another. */
  #choose(kind: number, word: number, words: number, mask: number, stay: number): number {
    const x = this.#x;
    const s = x[X.steps]!;
    if (mask === 0) this.#over(allDone(this.#x) ? VERDICT.ended : VERDICT.deadlock);
    if (s >= x[X.limit]!) this.#over(VERDICT.livelock);
    const next = nextChoice(x, s, mask, stay);
    this.#record(kind, word, words, mask, next);
    return next;
  }

  #record(kind: number, word: number, words: number, mask: number, next: number): void {
    const x = this.#x;
    const s = x[X.steps]!;
    if (s >= x[X.limit]!) return this.#over(VERDICT.livelock);
    x[X.steps] = s + 1;
    const e = X.trace + s * ENTRY;
    x[e] = this.#me;
    x[e + 1] = kind;
    x[e + 2] = word;
    x[e + 3] = words;
    x[e + 4] = mask;
    x[e + 5] = next;
    if (x[X.positions] === 1) this.notes.push({ step: s, where: this.#where(kind) });
  }

  /** Between fibers there is no line of code to show: the label of the wait says where the operation is. */
  #where(kind: number): string {
    if (kind === POINT.end) return "";
    if (!this.#control) return position(this.#helpers);
    const label = this.#fibers[this.#me - this.#x[X.threads]!]?.label;
    if (kind === POINT.step || kind === POINT.blocked) return `at: ${label ?? "its end"}`;
    return this.#predicate ? `waits: ${label ?? ""}` : position(this.#helpers);
  }

  /** Hands the turn over and waits for the next one. */
  #switch(next: number): void {
    const threads = this.#x[X.threads]!;
    give(this.#x, next < threads ? next : 0, next + 1);
    this.#take();
  }

  #take(): number {
    const what = take(this.#x, this.context.thread, this.#spins, STUCK);
    if (what === TURN.abort || what === TURN.none) {
      this.told = true;
      this.#unwind();
    }
    return what;
  }

  #verdict(v: number): void {
    if (this.#x[X.verdict] === VERDICT.running) this.#x[X.verdict] = v;
  }

  /** The schedule is over, whatever runs: the coordinator takes the turn and ends the others. */
  #over(v: number): never {
    this.#verdict(v);
    give(this.#x, COORDINATOR, 1);
    this.#unwind();
  }

  /** Ends what runs here: from now on every door throws, in `finally` blocks too. */
  #unwind(): never {
    this.#aborted = true;
    watchDoor(this.#head);
    throw new Abort();
  }

  #end(): void {
    const x = this.#x;
    x[X.state + this.context.thread] = STATUS.done;
    const mask = enabled(this.#x);
    if (mask === 0) {
      this.#verdict(allDone(this.#x) ? VERDICT.ended : VERDICT.deadlock);
      give(x, COORDINATOR, 1);
      return;
    }
    const next = this.#choose(POINT.end, -1, 0, mask, -1);
    give(x, next < x[X.threads]! ? next : 0, next + 1);
  }

  #fault(e: unknown): void {
    if (e instanceof Abort || this.#aborted) return;
    this.#threw ??= e;
    this.#x[X.error] = 1;
  }
}

/** Lets every microtask that can run, run. */
async function dry(): Promise<void> {
  for (let i = 0; i < DRY; i++) await undefined;
}
