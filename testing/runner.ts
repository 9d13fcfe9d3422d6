/**
 * Runs one schedule of a scenario: restores the arena, gives the first turn, waits for the end, judges.
 *
 * @module
 */
import { revive } from "../core/cpu/cpu.ts";
import { get } from "../core/doors/arena.ts";
import { Arena, CLUSTER, MBUF } from "../core/memory/arena.ts";
import { poolInit } from "../core/memory/mbuf.ts";
import { inputInit } from "../core/net/input.ts";
import { POISON } from "../core/memory/sanitizer.ts";
import { siblingUrl, spawn, type WorkerHandle } from "../kernel/spawn.ts";
import {
  COORDINATOR,
  give,
  lowest,
  MAX_CHOICES,
  MAX_DECISIONS,
  MAX_STEPS,
  MAX_THREADS,
  MODE,
  POINT,
  STATUS,
  take,
  TURN,
  VERDICT,
  X,
  xorshift,
} from "./block.ts";
import type { ThreadNews, ThreadStart } from "./news.ts";
import { type Finding, type Heard, judge, type Judgement, judgeThrown } from "./judge.ts";
import { loadScenario, type ScenarioSource } from "./load.ts";
import type { Scenario } from "./scenario.ts";
import { smallConfig } from "./small_arena.ts";
import type { Schedule } from "./schedule.ts";
import type { Note } from "./thread.ts";

/** How the next choice is made. */
export type Plan =
  | { readonly kind: "plan"; readonly schedule: Schedule }
  | { readonly kind: "random"; readonly seed: number }
  | { readonly kind: "pct"; readonly seed: number; readonly depth: number; readonly length: number };

/** How a schedule went. Its trace stands in the runner until the next one. */
export interface Run {
  readonly finding: Finding | undefined;
  /** What the check named it. */
  readonly outcome: string;
  readonly steps: number;
  readonly labels: number;
}

/** Milliseconds within which a worker must start. */
const START = 15_000;
/** Milliseconds that a schedule may take without an end. */
const STUCK = 10_000;

/** The workers of one scenario. */
export class Runner {
  readonly url: string;
  readonly scenario: Scenario;
  readonly arena: Arena;
  /** The block: trace and turn. */
  readonly x: Int32Array;
  readonly #workers: WorkerHandle[];
  readonly #snapshot: Int32Array;
  readonly #spins: number;
  readonly #notes = new Map<number, readonly Note[]>();
  #heard: Heard | undefined;
  #onNews: (() => void) | undefined;

  private constructor(
    url: string,
    scenario: Scenario,
    arena: Arena,
    block: SharedArrayBuffer,
    workers: WorkerHandle[],
    spins: number,
  ) {
    this.url = url;
    this.scenario = scenario;
    this.arena = arena;
    this.x = new Int32Array(block);
    this.#workers = workers;
    this.#spins = spins;
    this.#snapshot = arena.a.slice(0, arena.plan.data);
  }

  /** Starts a worker per thread. End it with {@linkcode Runner.stop}. */
  static async start(source: ScenarioSource, spins: number): Promise<Runner> {
    const scenario = await loadScenario(source);
    const n = scenario.threads.length;
    if (n < 1 || n > MAX_THREADS) {
      throw new Error(`Scenario ${scenario.name} has ${n} threads (wanted 1 to 4)`);
    }
    const arena = Arena.create(smallConfig(n, scenario.arena ?? {}));
    poolInit(arena);
    inputInit(arena);
    scenario.setup?.(arena);
    const block = new SharedArrayBuffer(X.WORDS * 4);
    const workers: WorkerHandle[] = [];
    const runner = new Runner(source.url, scenario, arena, block, workers, spins);
    try {
      await Promise.all(scenario.threads.map(async (_, thread) => {
        const start: ThreadStart = {
          source,
          thread,
          block,
          memory: arena.memory,
          config: arena.plan.config,
          spins,
        };
        workers[thread] = await runner.#startThread(thread, start);
      }));
    } catch (e) {
      await runner.stop();
      throw e;
    }
    return runner;
  }

  async #startThread(thread: number, start: ThreadStart): Promise<WorkerHandle> {
    const handle = await spawn(siblingUrl(import.meta.url, "explore_worker"), { name: `thread ${thread}` });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Thread ${thread} did not start`)), START);
      const fail = (e: Error): void => {
        clearTimeout(timer);
        reject(e);
        this.#heard ??= { error: { name: e.name, message: e.message }, thread };
        this.#onNews?.();
      };
      handle.onError(fail);
      handle.onMessage((message) => {
        const news = message as ThreadNews;
        if ("up" in news) handle.post(start);
        else if ("ready" in news) {
          clearTimeout(timer);
          resolve();
        } else if ("failed" in news) fail(revive(news.failed));
        else if ("threw" in news) {
          this.#heard ??= { error: news.threw, thread: news.thread };
          this.#onNews?.();
        } else {
          this.#notes.set(news.thread, news.notes);
          this.#onNews?.();
        }
      });
    });
    return handle;
  }

  /** Ends the workers. */
  async stop(): Promise<void> {
    for (let t = 0; t < this.#workers.length; t++) give(this.x, t, TURN.stop);
    await Promise.all(this.#workers.map((w) => w?.terminate()));
  }

  /** Runs one schedule. */
  async run(plan: Plan, positions = false): Promise<Run> {
    const { x, scenario } = this;
    this.#reset(plan, positions);
    const { threads } = scenario;
    for (let t = 0; t < threads.length; t++) {
      if (threads[t]!.operations === undefined) x[X.state + t] = STATUS.ready;
      if (threads[t]!.operations === undefined && threads[t]!.prepare === undefined) continue;
      give(x, t, TURN.prepare);
      const answer = take(x, COORDINATOR, this.#spins, STUCK);
      if (answer !== 1) {
        return await this.#dead(t, answer === 0 ? "its prepare did not end" : "its prepare threw");
      }
    }
    let mask = 0;
    for (let c = 0; c < x[X.high]!; c++) if (x[X.state + c] === STATUS.ready) mask |= 1 << c;
    const first = this.#first(plan, mask);
    give(x, first < threads.length ? first : 0, first + 1);
    if (take(x, COORDINATOR, this.#spins, STUCK) === 0) {
      return await this.#dead(-1, "no thread gave the turn back");
    }
    const verdict = x[X.verdict]!;
    if (verdict !== VERDICT.ended || x[X.error] === 1) {
      for (let t = 0; t < threads.length; t++) {
        give(x, t, TURN.abort);
        if (take(x, COORDINATOR, this.#spins, STUCK) === 0) return await this.#dead(t, "it did not give up");
      }
    }
    const { finding, outcome } = await this.#judge();
    return { finding, outcome, steps: x[X.steps]!, labels: x[X.labels]! };
  }

  /** Source positions by point, after a run that kept them. */
  async positions(): Promise<Map<number, string>> {
    const where = new Map<number, string>();
    this.#notes.clear();
    for (let t = 0; t < this.#workers.length; t++) {
      give(this.x, t, TURN.notes);
      take(this.x, COORDINATOR, this.#spins, STUCK);
    }
    await this.#news(() => this.#notes.size === this.#workers.length);
    for (const notes of this.#notes.values()) for (const n of notes) where.set(n.step, n.where);
    return where;
  }

  #reset(plan: Plan, positions: boolean): void {
    const { x, scenario } = this;
    this.#restore();
    x.fill(0, X.steps, X.waits);
    x[X.threads] = x[X.high] = scenario.threads.length;
    x[X.limit] = Math.min(scenario.steps ?? 2000, MAX_STEPS);
    x[X.positions] = positions ? 1 : 0;
    this.#heard = undefined;
    if (plan.kind === "plan") {
      if (plan.schedule.length > MAX_DECISIONS) throw new Error("The schedule has too many decisions");
      x[X.mode] = MODE.plan;
      x[X.decisions] = plan.schedule.length;
      plan.schedule.forEach((d, i) => {
        x[X.plan + 2 * i] = d.step;
        x[X.plan + 2 * i + 1] = d.choice;
      });
      return;
    }
    let seed = xorshift(xorshift(plan.seed * 2654435761 + 1));
    x[X.random] = seed;
    x[X.mode] = plan.kind === "random" ? MODE.random : MODE.pct;
    if (plan.kind === "random") return;
    const draw = (n: number): number => ((seed = xorshift(seed)) >>> 1) % n;
    for (let c = 0; c < MAX_CHOICES; c++) x[X.priority + c] = draw(1 << 20);
    const at = Array.from({ length: plan.depth - 1 }, () => draw(plan.length)).sort((p, q) => p - q);
    x[X.decisions] = at.length;
    at.forEach((step, i) => x[X.plan + 2 * i] = step);
  }

  /** The arena as setup left it. Clusters are only poisoned again where a packet is left in them. */
  #restore(): void {
    const { arena } = this;
    const { plan, a, u8 } = arena;
    if (plan.config.debug) {
      for (let id = 0; id < plan.config.mbufs; id++) {
        if (get(a, plan.mbuf + id * MBUF.WORDS) === 0) continue;
        u8.fill(POISON, plan.data * 4 + id * CLUSTER, plan.data * 4 + (id + 1) * CLUSTER);
      }
    }
    a.set(this.#snapshot);
  }

  /** The first choice is a point too. */
  #first(plan: Plan, mask: number): number {
    const { x } = this;
    let first = lowest(mask);
    if (plan.kind === "plan") {
      const d = plan.schedule[0];
      if (d?.step === 0) {
        first = d.choice;
        x[X.nextDecision] = 1;
      }
    } else {
      const choices = Array.from({ length: MAX_CHOICES }, (_, c) => c).filter((c) => (mask >> c & 1) === 1);
      first = plan.kind === "random"
        ? choices[(x[X.random]! >>> 3) % choices.length]!
        : choices.reduce((p, q) => x[X.priority + q]! > x[X.priority + p]! ? q : p);
    }
    x.set([first, POINT.start, -1, 0, mask, first], X.trace);
    x[X.steps] = 1;
    return first;
  }

  /** What came of the schedule; waits for the error that a thread has posted. */
  async #judge(): Promise<Judgement> {
    const { x, scenario, arena } = this;
    if (x[X.error] === 1) {
      await this.#news(() => this.#heard !== undefined);
      return judgeThrown(scenario, this.#heard);
    }
    return judge(scenario, arena, x);
  }

  async #dead(thread: number, what: string): Promise<Run> {
    await this.#news(() => this.#heard !== undefined, 200);
    const heard = this.#heard as Heard | undefined;
    const name = this.scenario.threads[thread]?.name ?? "scenario";
    throw new Error(
      `${this.scenario.name}: ${name}: ${what}${heard === undefined ? "" : `: ${heard.error.message}`}`,
      { cause: heard === undefined ? undefined : revive(heard.error) },
    );
  }

  /** Waits for a message of a worker. */
  async #news(ready: () => boolean, ms = 2000): Promise<void> {
    if (ready()) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
      this.#onNews = () => ready() && resolve();
    });
    clearTimeout(timer);
    this.#onNews = undefined;
  }
}
