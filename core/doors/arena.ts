/**
 * The one door to shared memory.
 *
 * Every word that two CPUs share is reached through these functions, on word offsets of one `Int32Array`.
 * A watch that is set here sees each access before it happens: the explorer makes it a scheduling point, the
 * sanitizer checks that the word is not freed, a test counts Atomics. Without a watch the cost is one compare.
 * Who is asked once per batch passes the arena's WebAssembly, which has the same atomics for less (wasm.ts).
 *
 * @module
 */

import type { Wasm } from "./wasm.ts";

/** What an access does; a {@linkcode DoorWatch} is told it. */
export const ACCESS = { load: 0, store: 1, rmw: 2, get: 3, set: 4, wait: 5, notify: 6 } as const;
/** One value of {@linkcode ACCESS}. */
export type Access = (typeof ACCESS)[keyof typeof ACCESS];

/** Sees every access to shared memory on this thread, before it happens. */
export interface DoorWatch {
  /** Called before each access; may park the thread (explorer) or throw (sanitizer). */
  access(a: Int32Array, word: number, kind: Access): void;
  /** Replaces the blocking in {@linkcode until} and {@linkcode wait}, where the watch owns scheduling. */
  until?(a: Int32Array, words: readonly number[], ready: () => boolean): void;
  /** Called on entry of every driver hook: a scheduling point of its own. */
  hook?(label: string): void;
}

/** The door's own flag: the only mutable module state in core. */
let watch: DoorWatch | null = null;

/** Sets the watch of this thread; `null` removes it. Returns what was there, so that watches can be stacked. */
export function watchDoor(w: DoorWatch | null): DoorWatch | null {
  const before = watch;
  watch = w;
  return before;
}

/** Atomic load (sequentially consistent) of a word; here and below `word` is an index into `a`, not bytes. */
export function load(a: Int32Array, word: number, wasm?: Wasm): number {
  if (watch !== null) watch.access(a, word, ACCESS.load);
  else if (wasm !== undefined) return wasm.load(word << 2);
  return Atomics.load(a, word);
}

/** Atomic loads of `n` words, `stride` words apart, from index `from` on: the index of the first odd one, or -1. */
export function firstOdd(
  a: Int32Array,
  word: number,
  stride: number,
  from: number,
  n: number,
  wasm?: Wasm,
): number {
  if (watch === null && wasm !== undefined) return wasm.firstOdd(word << 2, stride << 2, from, n);
  for (let i = from; i < n; i++) if ((load(a, word + i * stride) & 1) === 1) return i;
  return -1;
}

/** Atomic store of a word. */
export function store(a: Int32Array, word: number, value: number, wasm?: Wasm): void {
  if (watch !== null) watch.access(a, word, ACCESS.store);
  else if (wasm !== undefined) return wasm.store(word << 2, value);
  Atomics.store(a, word, value);
}

/** Atomic add; returns the value before. */
export function add(a: Int32Array, word: number, value: number): number {
  if (watch !== null) watch.access(a, word, ACCESS.rmw);
  return Atomics.add(a, word, value);
}

/** Atomic compare and swap; returns the value before (equal to `expected` = swapped). */
export function cas(a: Int32Array, word: number, expected: number, value: number, wasm?: Wasm): number {
  if (watch !== null) watch.access(a, word, ACCESS.rmw);
  else if (wasm !== undefined) return wasm.cas(word << 2, expected, value);
  return Atomics.compareExchange(a, word, expected, value);
}

/** Atomic exchange; returns the value before. */
export function exchange(a: Int32Array, word: number, value: number): number {
  if (watch !== null) watch.access(a, word, ACCESS.rmw);
  return Atomics.exchange(a, word, value);
}

/** Plain read of a shared word: once per batch, race-free by the argument of the caller. */
export function get(a: Int32Array, word: number): number {
  if (watch !== null) watch.access(a, word, ACCESS.get);
  return a[word]!;
}

/** Plain write of a shared word. */
export function set(a: Int32Array, word: number, value: number): void {
  if (watch !== null) watch.access(a, word, ACCESS.set);
  a[word] = value;
}

/** Blocks this thread while the word holds `value`, at most `ms` milliseconds. Never on a thread that must serve an event loop. */
export function wait(a: Int32Array, word: number, value: number, ms: number): void {
  if (watch !== null) {
    watch.access(a, word, ACCESS.wait);
    if (watch.until) return watch.until(a, [word], () => Atomics.load(a, word) !== value);
  }
  Atomics.wait(a, word, value, ms);
}

/** Like {@linkcode wait} for a thread with an event loop; `undefined` when the word had changed already. */
export function waitAsync(
  a: Int32Array,
  word: number,
  value: number,
  ms: number,
): Promise<unknown> | undefined {
  if (watch !== null) watch.access(a, word, ACCESS.wait);
  const r = Atomics.waitAsync(a, word, value, ms);
  return r.async ? r.value : undefined;
}

/** Wakes all that wait on the word. */
export function notify(a: Int32Array, word: number): void {
  if (watch !== null) watch.access(a, word, ACCESS.notify);
  Atomics.notify(a, word);
}

/** Waits on this thread until `ready()`, which reads only `words`. Spins a little, then sleeps on the first word. */
export function until(a: Int32Array, words: readonly number[], ready: () => boolean): void {
  if (watch?.until) return watch.until(a, words, ready);
  const word = words[0]!;
  for (let spins = 0; !ready(); spins++) {
    if (spins > 2000) Atomics.wait(a, word, Atomics.load(a, word), 0.05);
  }
}

/** Entry of a driver hook: a scheduling point for the explorer, free otherwise. */
export function hookEntry(label: string): void {
  if (watch !== null && watch.hook) watch.hook(label);
}

/** Whether a watch is set: slow checks that only a watched run wants ask here. */
export function watched(): boolean {
  return watch !== null;
}
