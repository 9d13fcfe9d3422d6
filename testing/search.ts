/**
 * The search: every schedule of a scenario up to a number of preemptions, fewest first; then seeded random ones.
 *
 * Why it is complete up to its bound, for programs without data races:
 *
 * 1. Between two accesses to words that no other thread accesses in conflict (one of the two a write), the
 *    order does not matter. So it is enough to preempt right before an access to a *shared* word: one that two
 *    threads access and at least one writes. What the sanitizer marks as freed counts as written.
 * 2. Which words are shared is found by running. When a run adds one, the search starts again: the set only
 *    grows and is finite, so it ends at a fixpoint, and the last round ran with the final set.
 * 3. Waits, notifies, hook entries, awaits and ends are always points. Leaving a choice that cannot go on, or
 *    one operation of CPU 0 for another at an await, costs no preemption; leaving one that can costs one.
 * 4. Schedules are taken in order of their cost. A schedule with k decisions is run once: its children differ
 *    from it at one later point.
 * 5. No sleep sets, no partial-order reduction: with a bound on preemptions they would lose schedules
 *    (Coons, Musuvathi, McKinley 2013).
 *
 * 6. With the race detector on, a plain access is no point, unless its race is intended: in a program without
 *    data races the order of two conflicting plain accesses is decided by atomics between them. The detector
 *    checks that there are none, in every schedule that is run (race.ts).
 *
 * 7. Who got the turn and has made no shared access yet is not preempted: the others could have been chosen in
 *    its place, at the same cost or less, and nobody would see the difference.
 *
 * Interleavings are enough for the same reason: a program without data races is sequentially consistent.
 *
 * @module
 */
import { ACCESS } from "../core/doors/arena.ts";
import { yieldToLoop } from "../kernel/yield.ts";
import { ENTRY, lowest, MAX_CHOICES, POINT, X } from "./block.ts";
import type { ExploreOptions, ExploreReport, Violation } from "./explore.ts";
import type { Finding } from "./judge.ts";
import { RaceDetector } from "./race.ts";
import type { Run, Runner } from "./runner.ts";
import { type Decision, formatSchedule, type Schedule } from "./schedule.ts";
import { isWrite, SharedWords } from "./shared_words.ts";
import { formatTrace } from "./trace.ts";

/** Milliseconds of work between two yields to the event loop. */
const SLICE = 20;

interface Node {
  readonly schedule: Schedule;
  readonly cost: number;
}

/** The command line that explores a scenario. */
function command(url: string, scenario: string | undefined): string {
  return `softc explore ${url}${scenario === undefined ? "" : ` --scenario ${scenario}`}`;
}

/** One exploration of one scenario. */
export class Search {
  readonly #runner: Runner;
  readonly #o: ExploreOptions;
  readonly #races: RaceDetector | undefined;
  readonly #shared: SharedWords;
  readonly #shown: string[] = [];
  #outcomes: Record<string, number> = {};
  #labels = 0;
  #violation: Violation | undefined;
  #violations = 0;
  #runs = 0;
  #yielded = 0;
  #longest = 1;
  readonly #halfway = new Int8Array(MAX_CHOICES);

  constructor(runner: Runner, o: ExploreOptions) {
    this.#runner = runner;
    this.#o = o;
    this.#shared = new SharedWords(runner.scenario.threads.length);
    this.#races = o.races === false ? undefined : new RaceDetector(runner.scenario, runner.arena);
  }

  async run(): Promise<ExploreReport> {
    const { bound = 2, max = 200_000 } = this.#o;
    const began = performance.now();
    this.#yielded = began;
    let rounds = 0;
    let round = { schedules: 0, complete: -1, grew: true };
    while (round.grew && !this.#stop() && this.#runs < max) {
      rounds++;
      this.#outcomes = {};
      this.#violations = 0;
      round = await this.#round(bound, max);
    }
    await this.#unsystematic();
    const { scenario } = this.#runner;
    const seconds = (performance.now() - began) / 1000;
    return {
      name: scenario.name,
      command: command(this.#runner.url, this.#o.scenario),
      threads: scenario.threads.length,
      schedules: round.schedules,
      runs: this.#runs,
      bound: round.grew ? -1 : round.complete,
      rounds,
      sharedWords: this.#shared.size,
      perSecond: Math.round(this.#runs / seconds),
      violation: this.#violation,
      violations: this.#violations,
      outcomes: this.#outcomes,
      warnings: this.#warnings(round.complete, bound),
      shown: this.#shown,
    };
  }

  async replay(
    schedule: Schedule,
  ): Promise<{ violation: Violation | undefined; outcome: string; trace: string }> {
    const run = await this.#runner.run({ kind: "plan", schedule }, true);
    const finding = run.finding ?? this.#race();
    if (this.#shared.size === 0) this.#shared.learn(this.#runner.x, run.steps);
    const where = await this.#runner.positions();
    const trace = formatTrace(this.#runner, where, (word, words) => this.#shared.any(word, words));
    const violation = finding === undefined ? undefined : {
      ...finding,
      schedule: formatSchedule(schedule),
      preemptions: this.#preemptions(),
      trace,
    };
    return { violation, outcome: run.outcome, trace };
  }

  /** One search with the shared words known now; ends early when a run adds one. */
  async #round(
    bound: number,
    max: number,
  ): Promise<{ schedules: number; complete: number; grew: boolean }> {
    const byCost: Node[][] = Array.from({ length: bound + 1 }, () => []);
    byCost[0]!.push({ schedule: [], cost: 0 });
    let schedules = 0;
    let complete = -1;
    for (let cost = 0; cost <= bound; cost++) {
      const stack = byCost[cost]!;
      for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
        if (this.#runs >= max) return { schedules, complete, grew: false };
        const run = await this.#one(node.schedule);
        schedules++;
        if (run.finding !== undefined && this.#stop()) return { schedules, complete, grew: false };
        if (this.#shared.learn(this.#runner.x, run.steps)) return { schedules, complete, grew: true };
        this.#children(node, run.steps, byCost);
      }
      complete = cost;
    }
    return { schedules, complete, grew: false };
  }

  async #one(schedule: Schedule): Promise<Run> {
    const run = await this.#runner.run({ kind: "plan", schedule });
    return await this.#note(run, () => schedule);
  }

  /** Books a run; a finding is run once more for its trace. */
  async #note(run: Run, scheduleOf: () => Schedule): Promise<Run> {
    this.#runs++;
    this.#labels |= run.labels;
    this.#longest = Math.max(this.#longest, run.steps);
    const finding = run.finding ?? this.#race();
    const outcome = finding === undefined ? run.outcome : finding.kind;
    this.#outcomes[outcome] = (this.#outcomes[outcome] ?? 0) + 1;
    if (finding !== undefined) {
      this.#violations++;
      if (this.#violation === undefined) {
        const schedule = scheduleOf();
        const { trace, violation } = await this.replay(schedule);
        this.#violation = {
          ...finding,
          stack: finding.stack ?? violation?.stack,
          schedule: formatSchedule(schedule),
          preemptions: violation?.preemptions ?? this.#preemptions(),
          trace,
        };
      }
    } else if (this.#shown.length < (this.#o.show ?? 0)) {
      this.#shown.push((await this.replay(scheduleOf())).trace);
    }
    if (performance.now() - this.#yielded > SLICE) {
      await yieldToLoop();
      this.#yielded = performance.now();
      this.#o.onProgress?.(this.#runs);
    }
    return finding === run.finding ? run : { ...run, finding };
  }

  #race(): Finding | undefined {
    const race = this.#races?.check(this.#runner.x);
    return race === undefined ? undefined : { kind: "race", rule: this.#runner.scenario.name, message: race };
  }

  /** Whether somebody else may be let in at a point without being forced. */
  #isPoint(kind: number, word: number, words: number): boolean {
    if (kind === POINT.hook || kind === POINT.wait || kind === ACCESS.wait || kind === ACCESS.notify) {
      return true;
    }
    if (kind === POINT.freed) return this.#shared.any(word, words);
    if ((kind === ACCESS.get || kind === ACCESS.set) && this.#races?.intended(word) === false) return false;
    return this.#shared.any(word, 1);
  }

  /** Schedules that differ from this one at one later point. */
  #children(node: Node, steps: number, byCost: Node[][]): void {
    const { x } = this.#runner;
    const threads = this.#runner.scenario.threads.length;
    const from = node.schedule.length === 0 ? 0 : node.schedule.at(-1)!.step + 1;
    const dearer = byCost[node.cost + 1];
    const push = (to: Node[], cost: number, step: number, mask: number): void => {
      for (let m = mask; m !== 0; m &= m - 1) {
        to.push({ schedule: [...node.schedule, { step, choice: lowest(m) }], cost });
      }
    };
    // Whether the running choice has done anything that others could notice since it got the turn (7).
    let noticed = false;
    this.#halfway.fill(0);
    for (let s = 0; s < steps; s++) {
      const e = X.trace + s * ENTRY;
      const kind = x[e + 1]!;
      const choice = x[e]!;
      const next = x[e + 5]!;
      if ((kind & POINT.quiet) !== 0) {
        if (isWrite(kind & ~POINT.quiet)) noticed = true;
        continue;
      }
      const others = s < from ? 0 : x[e + 4]! & ~(1 << next);
      const forced = kind === POINT.start || kind === POINT.blocked || kind === POINT.end;
      if (forced) push(byCost[node.cost]!, node.cost, s, others);
      else if (kind === POINT.step) {
        // Another operation of CPU 0 at an await is no preemption; another CPU is.
        const fibers = others >> threads << threads;
        push(byCost[node.cost]!, node.cost, s, fibers);
        if (dearer !== undefined) push(dearer, node.cost + 1, s, others & ~fibers);
      } else if (this.#isPoint(kind, x[e + 2]!, x[e + 3]!)) {
        if (noticed && dearer !== undefined) push(dearer, node.cost + 1, s, others);
        noticed = true;
      }
      if (forced || kind === POINT.step) noticed = this.#halfway[next] === 1;
      else if (next !== choice) {
        // Preempted in front of its access, which it makes first of all when it comes back.
        this.#halfway[choice] = 1;
        noticed = this.#halfway[next] === 1;
      }
      if (next !== choice || forced) this.#halfway[next] = 0;
    }
  }

  /** Preemptions of the last trace: leaving a choice that could go on. */
  #preemptions(): number {
    const { x } = this.#runner;
    let n = 0;
    for (let s = 0; s < x[X.steps]!; s++) {
      const e = X.trace + s * ENTRY;
      const kind = x[e + 1]!;
      if (kind === POINT.start || kind === POINT.blocked || kind === POINT.end || kind === POINT.step) {
        continue;
      }
      if ((kind & POINT.quiet) === 0 && x[e + 5] !== x[e]) n++;
    }
    return n;
  }

  /** Random and PCT schedules; each is written down as decisions, so that it replays. */
  async #unsystematic(): Promise<void> {
    const { random = 0, pct = 0, seed = 1 } = this.#o;
    for (let i = 0; i < random && !this.#stop(); i++) {
      await this.#note(await this.#runner.run({ kind: "random", seed: seed + i }), () => this.#taken());
    }
    for (let i = 0; i < pct && !this.#stop(); i++) {
      const run = await this.#runner.run({ kind: "pct", seed: seed + i, depth: 3, length: this.#longest });
      await this.#note(run, () => this.#taken());
    }
  }

  /** The decisions that the last trace took. */
  #taken(): Schedule {
    const { x } = this.#runner;
    const taken: Decision[] = [];
    for (let s = 0; s < x[X.steps]!; s++) {
      const e = X.trace + s * ENTRY;
      const kind = x[e + 1]!;
      if ((kind & POINT.quiet) !== 0) continue;
      const free = kind === POINT.start || kind === POINT.blocked || kind === POINT.end;
      const expected = free ? lowest(x[e + 4]!) : x[e]!;
      if (x[e + 5] !== expected) taken.push({ step: s, choice: x[e + 5]! });
    }
    return taken;
  }

  #stop(): boolean {
    return this.#violation !== undefined && this.#o.all !== true;
  }

  #warnings(complete: number, bound: number): string[] {
    const warnings: string[] = [];
    const { scenario } = this.#runner;
    if (this.#violation === undefined) {
      (scenario.mustHappen ?? []).forEach((label, i) => {
        if ((this.#labels >> i & 1) === 0) {
          warnings.push(`"${label}" never happened: the check may be vacuous`);
        }
      });
      if (this.#shared.size === 0 && scenario.threads.length > 1) {
        warnings.push("no contended access was found: the check is vacuous");
      }
      if (complete < bound) {
        warnings.push(`stopped before the bound: exhaustive to ${complete} preemptions only`);
      }
    }
    return warnings;
  }
}
