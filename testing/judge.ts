/**
 * The verdict on one schedule: what is wrong with it, and which rule that breaks.
 *
 * @module
 */
import type { PlainError } from "../core/cpu/cpu.ts";
import type { Arena } from "../core/memory/arena.ts";
import { BORN, sumCpus } from "../core/memory/counters.ts";
import { books } from "../core/net/ledger.ts";
import { STATUS, VERDICT, X } from "./block.ts";
import type { Ended, Scenario } from "./scenario.ts";

/** What is wrong with a schedule. */
export interface Finding {
  /**
   * What went wrong: an exception; a touch of freed words; a scenario's check; packets that the books lost; every
   * thread waiting; one of them asleep with nobody left to notify it; no end within the scenario's steps; a data
   * race; a schedule that does not fit the program.
   */
  readonly kind:
    | "threw"
    | "use after free"
    | "check"
    | "ledger"
    | "deadlock"
    | "lost wake-up"
    | "livelock"
    | "race"
    | "diverged";
  /** The rule that is broken, where the error names one; the scenario's name else. */
  readonly rule: string;
  /** Said in words. */
  readonly message: string;
  /** Where it was thrown. */
  readonly stack?: string | undefined;
}

/** What came of a schedule. */
export interface Judgement {
  readonly finding: Finding | undefined;
  /** What the check named it, or the kind of the finding. */
  readonly outcome: string;
}

/** An error that a thread posted. */
export interface Heard {
  readonly error: PlainError;
  readonly thread: number;
}

/** A finding as a judgement. */
function bad(s: Scenario, kind: Finding["kind"], message: string, more: Partial<Finding> = {}): Judgement {
  return { finding: { kind, rule: s.name, message, ...more }, outcome: kind };
}

/** A thread threw. */
export function judgeThrown(s: Scenario, heard: Heard | undefined): Judgement {
  const who = s.threads[heard?.thread ?? 0]!.name;
  const e = heard?.error ?? { name: "Error", message: "it did not say what" };
  const kind = e.softc?.code === "SOFTC_ARENA_FREED" ? "use after free" : "threw";
  const message = `${who}: ${e.softc === undefined ? "" : e.softc.code + " "}${e.message}`;
  return bad(s, kind, message, { stack: e.stack, rule: e.softc?.rule ?? s.name });
}

/** The schedule has ended, or nobody can go on. */
export function judge(s: Scenario, arena: Arena, x: Int32Array): Judgement {
  switch (x[X.verdict]) {
    case VERDICT.deadlock:
      return stuck(s, x);
    case VERDICT.livelock:
      return bad(s, "livelock", `no end after ${x[X.limit]} points`);
    case VERDICT.diverged:
      return bad(s, "diverged", "the schedule does not fit this program");
  }
  const labels = s.mustHappen ?? [];
  const end: Ended = { arena, happened: (label) => (x[X.labels]! >> labels.indexOf(label) & 1) === 1 };
  const lost = unaccounted(arena);
  if (lost !== 0) return bad(s, "ledger", `${lost} packets are unaccounted for`);
  try {
    return { finding: undefined, outcome: s.check?.(end) ?? "ended" };
  } catch (e) {
    return bad(s, "check", (e as Error).message, { stack: (e as Error).stack });
  }
}

/** Nobody can go on. Who sleeps in `Atomics.wait` then would have had to be notified. */
function stuck(s: Scenario, x: Int32Array): Judgement {
  const waiting: string[] = [];
  const asleep: string[] = [];
  for (let c = 0; c < x[X.high]!; c++) {
    const name = s.threads[c]?.name ?? `operation ${c - s.threads.length}`;
    if (x[X.state + c] === STATUS.blocked) waiting.push(name);
    if (x[X.state + c] === STATUS.asleep) asleep.push(name);
  }
  if (asleep.length > 0) {
    const others = waiting.length === 0 ? "" : `; ${waiting.join(", ")} wait for it`;
    return bad(s, "lost wake-up", `${asleep.join(", ")} sleeps, and nobody is left to notify it${others}`);
  }
  return bad(
    s,
    "deadlock",
    `every thread waits: ${waiting.join(", ") || "an operation of thread 0 awaits what nobody resolves"}` +
      (s.stuck === undefined ? "" : `; ${s.stuck}`),
  );
}

/** Packets that the counters and the owner words disagree about; a scenario without packets is not scanned. */
function unaccounted(arena: Arena): number {
  let born = 0;
  for (const at of Object.values(BORN)) born += sumCpus(arena, at);
  return born === 0 ? 0 : books(arena).unaccounted;
}
