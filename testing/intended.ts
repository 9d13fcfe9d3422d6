/**
 * Plain words that are raced on purpose, each with its reason. Anything else that the detector sees is a bug.
 *
 * @module
 */
import { type Arena, IFNET } from "../core/memory/arena.ts";

/** Words of an interface slot that change while it is attached: single words, read once. */
const SLOT: Readonly<Record<number, string>> = {
  [IFNET.flags]: "a single word, read once per batch; UP is admission, never the barrier",
  [IFNET.mtu]: "a single word, read once",
  [IFNET.link]: "a hint; CPU 0 compares again",
};

/** The same, of words that are only read plainly, and written by atomics. */
const HINTS: Readonly<Record<number, string>> = {
  [IFNET.xconnectGen]: "a hint, once per batch: loaded again before the other half is read",
  [IFNET.taps]: "a hint, once per batch: the list's word is loaded again before it is followed",
};

/** Why races on this word are intended; `undefined` = they are not. `write`: the plain access is a write. */
export function intendedRace(arena: Arena, word: number, write: boolean): string | undefined {
  const { plan } = arena;
  if (word < plan.ifnet || word >= plan.ifCounters) return undefined;
  const at = (word - plan.ifnet) % IFNET.WORDS;
  return SLOT[at] ?? (write ? undefined : HINTS[at]);
}
