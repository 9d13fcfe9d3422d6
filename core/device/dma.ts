/**
 * Memory that a driver shares with its device: byte addresses in one address space.
 *
 * In a kernel the address space is the arena itself, so that a device on another CPU reads and writes packets
 * where they lie; a device outside the process has a memory of its own, into which the driver copies (a bounce
 * region: outside peers never get pool memory). Protocol words go through the door, packet bytes do not.
 *
 * @module
 */
import { add, cas, get, load, set, store } from "../doors/arena.ts";

/**
 * Shared memory by byte address. Words are 32 bits, signed and little-endian. Addresses of words are multiples of 4, of
 * halves multiples of 2; neither that nor their range is checked.
 *
 * @example
 * ```ts
 * import { Dma } from "@softc/softc/driver";
 *
 * const dma = new Dma(new SharedArrayBuffer(64));
 * dma.set16(10, 0x1234);
 * console.log(dma.get(8).toString(16)); // 12340000
 * ```
 */
export class Dma {
  /** All bytes, for packet data. */
  readonly u8: Uint8Array;
  readonly #a: Int32Array;

  /** Memory over `length` bytes of `buffer` (all that follow unless told), from byte `offset` (a multiple of 4, 0 unless told) on. @throws {RangeError} outside `buffer` */
  constructor(buffer: ArrayBufferLike, offset: number = 0, length: number = buffer.byteLength - offset) {
    this.u8 = new Uint8Array(buffer, offset, length);
    this.#a = new Int32Array(buffer, offset, length >> 2);
  }

  /** Bytes in all. */
  get size(): number {
    return this.u8.length;
  }
  /** Atomic load (sequentially consistent, as all atomics here) of a word. */
  load(at: number): number {
    return load(this.#a, at >> 2);
  }
  /** Atomic store of a word. */
  store(at: number, value: number): void {
    store(this.#a, at >> 2, value);
  }
  /** Atomic add; returns the value before. */
  add(at: number, value: number): number {
    return add(this.#a, at >> 2, value);
  }
  /** Atomic compare and swap; returns the value before, `expected` when it swapped. */
  cas(at: number, expected: number, value: number): number {
    return cas(this.#a, at >> 2, expected, value);
  }
  /** Plain read of a word that an atomic orders. */
  get(at: number): number {
    return get(this.#a, at >> 2);
  }
  /** Plain write of a word that an atomic publishes. */
  set(at: number, value: number): void {
    set(this.#a, at >> 2, value);
  }
  /** Plain read of 16 bits, unsigned. */
  get16(at: number): number {
    return (get(this.#a, at >> 2) >>> ((at & 2) << 3)) & 0xffff;
  }
  /** Plain write of 16 bits; the other half of the word belongs to the same writer. */
  set16(at: number, value: number): void {
    const shift = (at & 2) << 3;
    const word = at >> 2;
    set(this.#a, word, (get(this.#a, word) & ~(0xffff << shift)) | (value & 0xffff) << shift);
  }
  /** Copies `len` packet bytes inside this memory, to where they do not overlap. Aligned ones up to 256 bytes by word, so up to 3 bytes after them too: a bulk copy costs 30 ns to begin. */
  copy(from: number, to: number, len: number): void {
    if (len > 256 || ((from | to) & 3) !== 0) {
      this.u8.copyWithin(to, from, from + len);
      return;
    }
    const words = this.#a;
    const end = (from + len + 3) >> 2;
    for (let i = from >> 2, o = to >> 2; i < end; i++, o++) words[o] = words[i]!;
  }
}
