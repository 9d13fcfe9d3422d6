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

/** Why races on this word are intended; `undefined` = they are not. */
export function intendedRace(arena: Arena, word: number): string | undefined {
  const { plan } = arena;
  if (word < plan.ifnet || word >= plan.ifCounters) return undefined;
  return SLOT[(word - plan.ifnet) % IFNET.WORDS];
}
