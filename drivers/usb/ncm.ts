/**
 * NCM 1.0 transfer blocks of 16 bits: many frames in one transfer.
 *
 * The reader trusts nothing: a bad header refuses the block, a bad pair skips its frame, and nothing is read
 * outside the block. Its pointers to further tables must go forward, so it always ends.
 *
 * @module
 */

const NTH16 = 0x484d434e; // "NCMH"
const NDP16 = 0x304d434e; // "NCM0"
const NTH_BYTES = 12;
const NDP_BYTES = 8;
/** Bytes of the smallest frame. */
const MIN_FRAME = 14;

/** What {@linkcode readBlock} found. */
export interface BlockResult {
  /** Frames that were given. */
  frames: number;
  /** Pairs that named something outside the block, too short (under 14 bytes), or too long. */
  skipped: number;
  /** Why the block was refused; frames given before stay given. */
  refused: string | undefined;
}

const u16 = (b: Uint8Array, at: number): number => b[at]! | b[at + 1]! << 8;
const u32 = (b: Uint8Array, at: number): number => (u16(b, at) | u16(b, at + 2) << 16) >>> 0;

/** Reads the NTB-16 block in the first `length` bytes (CDC NCM 1.0, 3); calls `frame` with the byte offset and length of each frame of 14 to `max` bytes. Never throws. */
export function readBlock(
  b: Uint8Array,
  length: number,
  max: number,
  frame: (at: number, len: number) => void,
): BlockResult {
  const r: BlockResult = { frames: 0, skipped: 0, refused: undefined };
  const refuse = (why: string): BlockResult => {
    r.refused = why;
    return r;
  };
  if (length > b.length || length < NTH_BYTES + NDP_BYTES) return refuse(`${length} bytes are no block`);
  if (u32(b, 0) !== NTH16) return refuse("no NCMH signature");
  if (u16(b, 4) !== NTH_BYTES) return refuse(`header of ${u16(b, 4)} bytes`);
  // 0: the block ends with the transfer.
  const block = u16(b, 8) === 0 ? length : u16(b, 8);
  if (block > length) return refuse(`block of ${block} bytes in a transfer of ${length}`);
  let at = u16(b, 10);
  for (let before = NTH_BYTES - 1; at !== 0;) {
    if (at <= before || at % 4 !== 0 || at + NDP_BYTES + 4 > block) {
      return refuse(`table at ${at} of ${block}`);
    }
    if (u32(b, at) !== NDP16) return refuse("no NCM0 signature");
    const size = u16(b, at + 4);
    if (size < NDP_BYTES + 8 || size % 4 !== 0 || at + size > block) return refuse(`table of ${size} bytes`);
    for (let p = at + NDP_BYTES; p + 4 <= at + size; p += 4) {
      const from = u16(b, p);
      const len = u16(b, p + 2);
      if (from === 0 || len === 0) break;
      if (from < NTH_BYTES || len < MIN_FRAME || len > max || from + len > block) r.skipped++;
      else {
        r.frames++;
        frame(from, len);
      }
    }
    before = at + size - 1;
    at = u16(b, at + 6);
  }
  return r;
}

/** What a device says of the blocks that it gives and takes (GET_NTB_PARAMETERS: NCM 1.0, 6.2.1), with what is nonsense made harmless. */
export interface BlockLimits {
  /** Bytes of a block from the device at most, 2048 or more. */
  readonly inSize: number;
  /** Bytes of a block to the device at most, 2048 or more. */
  readonly outSize: number;
  /** Frames lie at this alignment in bytes, a power of two from 4 to 1024, */
  readonly divisor: number;
  /** and this remainder. */
  readonly remainder: number;
  /** Alignment of the table in bytes, a power of two from 4 to 1024. */
  readonly alignment: number;
  /** Frames in a block to it at most, 1 to 64. */
  readonly frames: number;
}

/**
 * Reads the 28 bytes of NTB parameters (CDC NCM 1.0, 6.2.1), blocks of at most `most` bytes; undefined when they are none, without 16-bit blocks, or with blocks under 2048 bytes.
 *
 * @example
 * ```ts
 * import { parseLimits, SoftNic, SoftPort, USB } from "@softc/softc/drivers/usb";
 *
 * const port = new SoftPort(new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }));
 * await port.control({ type: 0, request: USB.SET_CONFIGURATION, value: 1, index: 0 });
 * const wanted = { type: 0xa1, request: USB.GET_NTB_PARAMETERS, value: 0, index: 0, length: 28 };
 * console.log(parseLimits(await port.control(wanted), 16384));
 * ```
 */
export function parseLimits(b: Uint8Array, most: number): BlockLimits | undefined {
  if (b.length < 28 || u16(b, 0) < 28 || (u16(b, 2) & 1) === 0) return undefined;
  const power = (n: number, least: number): number =>
    n >= least && n <= 1024 && (n & (n - 1)) === 0 ? n : least;
  const divisor = power(u16(b, 20), 4);
  const frames = u16(b, 26);
  const [inSize, outSize] = [Math.min(u32(b, 4), most), Math.min(u32(b, 16), most)];
  if (inSize < 2048 || outSize < 2048) return undefined;
  return {
    inSize,
    outSize,
    divisor,
    remainder: u16(b, 22) % divisor,
    alignment: power(u16(b, 24), 4),
    frames: frames === 0 ? 64 : Math.min(frames, 64),
  };
}

/**
 * Builds NTB-16 blocks (CDC NCM 1.0, 3): header, frames, then one table. The caller copies each frame to where `place` says.
 *
 * @example
 * ```ts
 * import { BlockWriter, readBlock } from "@softc/softc/drivers/usb";
 *
 * const block = new Uint8Array(2048);
 * const limits = { inSize: 2048, outSize: 2048, divisor: 4, remainder: 0, alignment: 4, frames: 32 };
 * const writer = new BlockWriter(limits);
 * block.set(new Uint8Array(60).fill(1), writer.place(60));
 * const bytes = writer.finish(block);
 * const { frames } = readBlock(block, bytes, 1984, (at, len) => console.log(at, len)); // 14 60
 * console.log(bytes, frames); // 92 1
 * ```
 */
export class BlockWriter {
  /** Frames in the block. */
  frames = 0;
  #end = NTH_BYTES;
  #sequence = 0;
  readonly #pairs: Int32Array;

  /** Starts with an empty block, within what the device takes. */
  constructor(readonly limits: BlockLimits) {
    this.#pairs = new Int32Array(2 * limits.frames);
  }

  /** Starts a new block: forgets the frames, keeps the sequence number. */
  reset(): void {
    this.frames = 0;
    this.#end = NTH_BYTES;
  }

  /** Byte offset at which the next frame of `len` bytes goes, counted as placed; -1 when it does not fit. */
  place(len: number): number {
    const { divisor, remainder, frames, outSize } = this.limits;
    if (this.frames >= frames) return -1;
    // The payload after the 14 bytes of the Ethernet header is what is aligned.
    const at = this.#end + ((remainder - this.#end - 14) % divisor + divisor) % divisor;
    const table = NDP_BYTES + 4 * (this.frames + 2);
    if (align(at + len, this.limits.alignment) + table > outSize) return -1;
    this.#pairs[2 * this.frames] = at;
    this.#pairs[2 * this.frames + 1] = len;
    this.frames++;
    this.#end = at + len;
    return at;
  }

  /** Writes header and table into `b`, `outSize` bytes or more, where the frames lie; how many bytes the block has. */
  finish(b: Uint8Array): number {
    const table = align(this.#end, this.limits.alignment);
    b.fill(0, this.#end, table);
    const size = NDP_BYTES + 4 * (this.frames + 1);
    const total = table + size;
    put32(b, 0, NTH16);
    put16(b, 4, NTH_BYTES);
    put16(b, 6, this.#sequence++);
    put16(b, 8, total);
    put16(b, 10, table);
    put32(b, table, NDP16);
    put16(b, table + 4, size);
    put16(b, table + 6, 0);
    for (let i = 0; i < 2 * this.frames; i++) put16(b, table + NDP_BYTES + 2 * i, this.#pairs[i]!);
    put32(b, total - 4, 0);
    return total;
  }
}

function align(n: number, to: number): number {
  return (n + to - 1) & ~(to - 1);
}
function put16(b: Uint8Array, at: number, v: number): void {
  b[at] = v;
  b[at + 1] = v >> 8;
}
function put32(b: Uint8Array, at: number, v: number): void {
  put16(b, at, v);
  put16(b, at + 2, v >>> 16);
}
