/**
 * The same dice in every schedule: code under test that draws random numbers must draw the same ones again, or a
 * schedule would not fit the program a second time.
 *
 * @module
 */
import { xorshift } from "./block.ts";

let seed = 1;

/** From now on `Math.random` of this thread follows a seed. */
export function loadDice(): void {
  Math.random = () => ((seed = xorshift(seed)) >>> 0) / 0x100000000;
}

/** Begins again. */
export function resetDice(thread: number): void {
  seed = xorshift(thread + 1);
}
