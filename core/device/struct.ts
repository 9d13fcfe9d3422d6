/**
 * The part of a softc that several CPUs share: fields by name, in the arena.
 *
 * @module
 */
import { add, cas, get, load, set, store } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";

/** Fields: `"i32"` is one signed word of 4 bytes, `["i32", n]` is n of them, 1 to 1048576. */
export type Fields = Readonly<Record<string, "i32" | readonly ["i32", number]>>;

/** A layout: the offset and size of each field, in words. */
export interface Struct<F extends Fields> {
  /** The fields as declared. */
  readonly fields: F;
  /** Words in all. */
  readonly words: number;
  /** Word offset of each field. */
  readonly offsets: Readonly<Record<keyof F, number>>;
}

/**
 * Lays out shared fields. Each field starts on a word; arrays are consecutive.
 *
 * @example
 * ```ts
 * import { struct } from "@softc/softc/driver";
 *
 * const shared = struct({ seen: "i32", byCpu: ["i32", 16] });
 * console.log(shared.words); // 17
 * ```
 * @throws {SoftcError} `SOFTC_DRIVER_SHAPE` for an array of no, or too many, words
 */
export function struct<const F extends Fields>(fields: F): Struct<F> {
  const offsets: Record<string, number> = {};
  let words = 0;
  for (const [name, type] of Object.entries(fields)) {
    const n = type === "i32" ? 1 : type[1];
    if (!(Number.isInteger(n) && n > 0 && n <= 1 << 20)) {
      throw new SoftcError("SOFTC_DRIVER_SHAPE", `Cannot lay out the shared field "${name}"`, {
        state: `${n} words`,
        wanted: "1 to 1048576 words",
      });
    }
    offsets[name] = words;
    words += n;
  }
  return { fields, words, offsets: offsets as Record<keyof F, number> };
}

/**
 * The shared part of one softc: `dev.shared`, zero at first. Words are 32 bits, signed; element `i` of an array is 0 unless
 * told, and not checked against its length. In debug mode every call after it was freed throws `SOFTC_ARENA_FREED`.
 */
export class Shared<F extends Fields> {
  readonly #a: Int32Array;
  readonly #at: number;
  readonly #struct: Struct<F>;

  /** Made by the framework. */
  constructor(a: Int32Array, at: number, layout: Struct<F>) {
    this.#a = a;
    this.#at = at;
    this.#struct = layout;
  }

  /** Atomic load (sequentially consistent, as all atomics here) of a field. */
  load(field: keyof F, i = 0): number {
    return load(this.#a, this.#word(field, i));
  }

  /** Atomic store of a field. */
  store(field: keyof F, value: number, i = 0): void {
    store(this.#a, this.#word(field, i), value);
  }

  /** Atomic add; returns the value before. */
  add(field: keyof F, value: number, i = 0): number {
    return add(this.#a, this.#word(field, i), value);
  }

  /** Atomic compare and swap; returns the value before, `expected` when it swapped. */
  cas(field: keyof F, expected: number, value: number, i = 0): number {
    return cas(this.#a, this.#word(field, i), expected, value);
  }

  /** Plain read: of a word that one CPU writes, or that an atomic orders. */
  get(field: keyof F, i = 0): number {
    return get(this.#a, this.#word(field, i));
  }

  /** Plain write: of a word that this CPU alone writes, or that an atomic publishes. */
  set(field: keyof F, value: number, i = 0): void {
    set(this.#a, this.#word(field, i), value);
  }

  #word(field: keyof F, i: number): number {
    return this.#at + this.#struct.offsets[field] + i;
  }
}
