/**
 * The words through which the explorer's coordinator and its threads hand the turn to each other.
 *
 * One thread holds the turn; it alone touches these words, and it hands everything over with one atomic store
 * of the next one's turn word. So all but the turn words are plain.
 *
 * Who may run is a *choice*: a number. Threads come first; then the fibers of thread 0, which are the waits of
 * its structural operations. All choices fit in one mask.
 *
 * @module
 */
import { load, notify, store, wait } from "../core/doors/arena.ts";

/** Threads of a scenario at most. */
export const MAX_THREADS = 4;
/** Choices at most: threads and fibers. */
export const MAX_CHOICES = 24;
/** Place of the coordinator among the turn words. */
export const COORDINATOR = MAX_THREADS;

const LINE = 32;
const BASE = (MAX_THREADS + 1) * LINE;
/** Words of a wait: how many, then which. */
export const WAIT_WORDS = 24;
/** Decisions of a schedule at most. */
export const MAX_DECISIONS = 4096;
/** Points of a schedule at most. */
export const MAX_STEPS = 8192;
/** Words of a trace entry. */
export const ENTRY = 6;

/** Where things lie. */
export const X = {
  /** Points so far: the length of the trace. */
  steps: BASE,
  decisions: BASE + 1,
  nextDecision: BASE + 2,
  verdict: BASE + 3,
  mode: BASE + 4,
  random: BASE + 5,
  limit: BASE + 6,
  /** 1: keep source positions. */
  positions: BASE + 7,
  labels: BASE + 8,
  threads: BASE + 9,
  /** Choice of the fiber that thread 0 is inside of, plus one; 0 = it is between fibers. */
  busy: BASE + 10,
  /** Choices in use: the highest plus one. */
  high: BASE + 11,
  /** 1: a thread posted an error. */
  error: BASE + 12,
  /** Lowest priority that PCT has given out. */
  lowest: BASE + 13,
  state: BASE + LINE,
  priority: BASE + 2 * LINE,
  waits: BASE + 3 * LINE,
  plan: BASE + 3 * LINE + MAX_CHOICES * WAIT_WORDS,
  trace: BASE + 3 * LINE + MAX_CHOICES * WAIT_WORDS + 2 * MAX_DECISIONS,
  WORDS: BASE + 3 * LINE + MAX_CHOICES * WAIT_WORDS + 2 * MAX_DECISIONS + MAX_STEPS * ENTRY,
} as const;

/** State of a choice. */
export const STATUS = { absent: 0, ready: 1, blocked: 2, done: 3, asleep: 4 } as const;
/** How a schedule ended. */
export const VERDICT = { running: 0, ended: 1, deadlock: 2, livelock: 3, diverged: 4, threw: 5 } as const;
/** How the next one is chosen. */
export const MODE = { plan: 0, random: 1, pct: 2 } as const;

/** Kinds of trace entries beyond the door's accesses (0 to 6). */
export const POINT = {
  start: 8,
  wait: 9,
  blocked: 10,
  hook: 11,
  step: 12,
  end: 13,
  freed: 14,
  /** Added to an access that a waiting predicate made: no point, only a fact. */
  quiet: 32,
} as const;

/** What is put into a turn word: a choice plus one, or one of these. */
export const TURN = { none: 0, prepare: 100, abort: 101, stop: 102, notes: 103 } as const;

/** Hands the turn to a thread (or the coordinator). Door unwatched. */
export function give(x: Int32Array, to: number, what: number): void {
  store(x, to * LINE, what);
  notify(x, to * LINE);
}

/** Takes one's turn: spins a little, then sleeps. 0 when `ms` passed first. Door unwatched. */
export function take(x: Int32Array, me: number, spins: number, ms: number): number {
  const word = me * LINE;
  let what = load(x, word);
  for (let i = 0; what === TURN.none && i < spins; i++) what = load(x, word);
  for (let left = ms; what === TURN.none && left > 0; left -= 1000) {
    wait(x, word, TURN.none, Math.min(1000, left));
    what = load(x, word);
  }
  if (what !== TURN.none) store(x, word, TURN.none);
  return what;
}

/** A step of the generator of random schedules (xorshift32); never 0. */
export function xorshift(seed: number): number {
  let s = seed | 0 || 1;
  s ^= s << 13;
  s ^= s >>> 17;
  s ^= s << 5;
  return s;
}

/** The lowest choice of a mask. */
export function lowest(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
