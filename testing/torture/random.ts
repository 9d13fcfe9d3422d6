/** Decisions of a torture run: the same seed gives the same ones. @module */
import { xorshift } from "../block.ts";

/** A generator of decisions. */
export class Random {
  #x: number;

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
    x = Math.imul(x ^ x >>> 13, 0xc2b2ae35);
    this.#x = (x ^ x >>> 16) || 1;
  }

  /** From 0 up to but not 1. */
  next(): number {
    this.#x = xorshift(this.#x);
    return (this.#x >>> 0) / 0x1_0000_0000;
  }

  /** A whole number from 0 up to but not `n`. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p;
  }

  /** One of a list. */
  pick<T>(list: readonly [T, ...T[]]): T;
  pick<T>(list: readonly T[]): T | undefined;
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }
}

/** A seed of a part's own, from the whole's. */
export function mix(seed: number, part: number): number {
  return Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(part + 1, 0x85ebca77);
}
