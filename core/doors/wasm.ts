/**
 * The kernel in WebAssembly: atomics on the memory of one arena, and the sum of the Internet checksum.
 *
 * V8 calls a builtin for each `Atomics`, about 8 ns; the same instruction in WebAssembly costs 3. Each function
 * has its twin in TypeScript, which runs where this cannot, and wherever a watch is set: so the explorer and the
 * sanitizer see every access. Orders are the same: sequentially consistent.
 *
 * @module
 */
import { WASM } from "./wasm_bytes.ts";

/** What scripts/wasm/kernel.ts exports. Addresses are in bytes. */
export interface Wasm {
  /** Atomic load of a word. */
  load(at: number): number;
  /** Atomic store of a word. */
  store(at: number, value: number): void;
  /** Atomic compare and swap of a word; returns the value before. */
  cas(at: number, expected: number, value: number): number;
  /** Index of the first of `n` words, `stride` bytes apart, that an atomic load finds odd; -1 when none is. */
  firstOdd(at: number, stride: number, from: number, n: number): number;
  /** One's complement sum of `len` bytes as big-endian 16-bit words, in 16 bits. */
  sum(at: number, len: number): number;
}

/** The kernel on a memory; `undefined` where the runtime refuses to compile (a content security policy). */
export function wasmOn(memory: WebAssembly.Memory): Wasm | undefined {
  try {
    const bytes = Uint8Array.from(atob(WASM), (c) => c.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    const { load, store, cas, firstOdd, sum } = exports as unknown as Wasm;
    // An object of our own: that of the exports is slow to look into.
    return { load, store, cas, firstOdd, sum };
  } catch {
    return undefined;
  }
}
