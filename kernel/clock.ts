/** A clock that a test moves by hand: its time lives in the arena, so that every CPU reads the same. @module */
import { add, load, store } from "../core/doors/arena.ts";
import type { Clock } from "../core/doors/clock.ts";
import { type Arena, HEADER } from "../core/memory/arena.ts";

const HALF = 2 ** 32;

/** The virtual clock of an arena: microseconds in two words. */
export function virtualClock(arena: Arena): Clock {
  const { a } = arena;
  return {
    virtual: true,
    now: () => {
      // Odd while the two words are written: never a time torn at 2^32 us.
      for (;;) {
        const version = load(a, HEADER.timeVersion);
        const us = (load(a, HEADER.timeLow) >>> 0) + load(a, HEADER.timeHigh) * HALF;
        if ((version & 1) === 0 && load(a, HEADER.timeVersion) === version) return us / 1000;
      }
    },
  };
}

/** Moves it by `ms`. Ring every CPU afterwards. */
export function advanceClock(arena: Arena, ms: number): void {
  const us = Math.round(virtualClock(arena).now() * 1000 + ms * 1000);
  add(arena.a, HEADER.timeVersion, 1);
  store(arena.a, HEADER.timeHigh, Math.floor(us / HALF));
  store(arena.a, HEADER.timeLow, us % HALF | 0);
  add(arena.a, HEADER.timeVersion, 1);
}
