/**
 * A small generator of random numbers (xorshift32): the same seed gives the same faults.
 *
 * @module
 */

/** Numbers from 0 up to but not 1. */
export function random(seed: number): () => number {
  let x = (seed | 0) || 0x9e3779b9;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 0x100000000;
  };
}
