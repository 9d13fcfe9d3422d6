/*
 * AssemblyScript: what core runs in WebAssembly, on the memory of an arena. Addresses are in bytes.
 * `deno task wasm` compiles it into core/doors/wasm_bytes.ts.
 *
 * Every function has its TypeScript twin, which is used where there is no WebAssembly and while a watch is set
 * (core/doors/arena.ts, vnet/inet/checksum.ts). Atomics are sequentially consistent, as in JavaScript.
 */

function atomicLoad(at: usize): i32 {
  return atomic.load<i32>(at);
}

function atomicStore(at: usize, value: i32): void {
  atomic.store<i32>(at, value);
}

function atomicCas(at: usize, expected: i32, value: i32): i32 {
  return atomic.cmpxchg<i32>(at, expected, value);
}

export { atomicCas as cas, atomicLoad as load, atomicStore as store };

/** Index of the first of `n` words, `stride` bytes apart, that is odd, from index `from` on; -1 when none is. */
export function firstOdd(at: usize, stride: i32, from: i32, n: i32): i32 {
  for (let i = from; i < n; i++) {
    if (atomic.load<i32>(at + <usize> (i * stride)) & 1) return i;
  }
  return -1;
}

/**
 * One's complement sum of `len` bytes as big-endian 16-bit words, in 16 bits. It is added up as the machine reads
 * words and its bytes are swapped at the end (RFC 1071, 2 B): 64 KiB do not overflow a lane.
 */
export function sum(at: usize, len: i32): i32 {
  const end = at + <usize> len;
  let lanes = i32x4.splat(0);
  for (; at + 16 <= end; at += 16) {
    lanes = i32x4.add(lanes, i32x4.extadd_pairwise_i16x8_u(v128.load(at)));
  }
  let total: u64 = <u64> <u32> i32x4.extract_lane(lanes, 0) + <u64> <u32> i32x4.extract_lane(lanes, 1) +
    <u64> <u32> i32x4.extract_lane(lanes, 2) + <u64> <u32> i32x4.extract_lane(lanes, 3);
  for (; at + 2 <= end; at += 2) total += load<u16>(at);
  if (at < end) total += load<u8>(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  const folded = <i32> total;
  return ((folded & 0xff) << 8) | (folded >> 8);
}
