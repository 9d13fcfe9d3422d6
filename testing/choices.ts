/**
 * Who may run: the state of every choice, in the block. Only the holder of the turn calls these.
 *
 * A blocked choice waits for words and becomes a candidate again when one of them is written. One that sleeps in
 * `Atomics.wait` becomes one when it is notified, and at no other time.
 *
 * @module
 */
import { lowest, MODE, STATUS, VERDICT, WAIT_WORDS, X, xorshift } from "./block.ts";

/** Choices that may run now, as a mask. */
export function enabled(x: Int32Array): number {
  const threads = x[X.threads]!;
  const high = x[X.high]!;
  const busy = x[X.busy]! - 1;
  let mask = 0;
  for (let c = 0; c < threads; c++) if (x[X.state + c] === STATUS.ready) mask |= 1 << c;
  for (let c = threads; c < high; c++) {
    const state = x[X.state + c];
    // Inside a fiber thread 0 is that fiber; between fibers it may become any that is ready.
    const ready = busy >= 0
      ? busy === c && state !== STATUS.blocked && state !== STATUS.asleep
      : state === STATUS.ready;
    if (ready) mask |= 1 << c;
  }
  return mask;
}

/** Whether every thread has ended. */
export function allDone(x: Int32Array): boolean {
  for (let t = 0; t < x[X.threads]!; t++) if (x[X.state + t] !== STATUS.done) return false;
  return true;
}

/** The choice waits for these words. */
export function block(x: Int32Array, choice: number, words: readonly number[], status: number): void {
  const at = X.waits + choice * WAIT_WORDS;
  if (words.length >= WAIT_WORDS) throw new Error("A wait reads too many words for the explorer");
  x[at] = words.length;
  for (let i = 0; i < words.length; i++) x[at + 1 + i] = words[i]!;
  x[X.state + choice] = status;
}

/** Those that wait for this word are candidates again. */
export function wake(x: Int32Array, word: number): void {
  const high = x[X.high]!;
  for (let c = 0; c < high; c++) {
    if (x[X.state + c] !== STATUS.blocked) continue;
    const at = X.waits + c * WAIT_WORDS;
    for (let i = x[at]!; i > 0; i--) if (x[at + i] === word) x[X.state + c] = STATUS.ready;
  }
}

/** `Atomics.notify`: those that sleep on this word are candidates again. */
export function rouse(x: Int32Array, word: number): void {
  for (let c = 0; c < x[X.high]!; c++) {
    if (x[X.state + c] === STATUS.asleep && x[X.waits + c * WAIT_WORDS + 1] === word) {
      x[X.state + c] = STATUS.ready;
    }
  }
}

/** Who runs next at point `s`: as the plan or the dice say, else whoever runs now (`stay`, -1 = nobody), else the first. */
export function nextChoice(x: Int32Array, s: number, mask: number, stay: number): number {
  const expected = stay >= 0 ? stay : lowest(mask);
  if (x[X.mode] !== MODE.plan) {
    return (mask & (mask - 1)) === 0 ? expected : draw(x, s, mask, expected, stay >= 0);
  }
  const d = x[X.nextDecision]!;
  if (d >= x[X.decisions]! || x[X.plan + 2 * d] !== s) return expected;
  x[X.nextDecision] = d + 1;
  const wanted = x[X.plan + 2 * d + 1]!;
  if ((mask >> wanted & 1) === 1) return wanted;
  x[X.verdict] = VERDICT.diverged;
  return expected;
}

/** The next choice of a random or PCT schedule; `next` is the expected one, `stays` that it runs now. */
function draw(x: Int32Array, s: number, mask: number, next: number, stays: boolean): number {
  if (x[X.mode] === MODE.random) {
    const r = x[X.random] = xorshift(x[X.random]!);
    if (stays && (r & 3) !== 0) return next;
    let n = (r >>> 2) % popcount(mask);
    let m = mask;
    while (n-- > 0) m &= m - 1;
    return lowest(m);
  }
  // PCT: the runnable choice of highest priority runs; at a change point the running one gets the lowest.
  const d = x[X.nextDecision]!;
  if (d < x[X.decisions]! && x[X.plan + 2 * d]! <= s) {
    x[X.nextDecision] = d + 1;
    x[X.priority + next] = --x[X.lowest]!;
  }
  let best = -1;
  for (let m = mask; m !== 0; m &= m - 1) {
    const c = lowest(m);
    if (best < 0 || x[X.priority + c]! > x[X.priority + best]!) best = c;
  }
  return best;
}

function popcount(mask: number): number {
  let n = 0;
  for (let m = mask; m !== 0; m &= m - 1) n++;
  return n;
}
