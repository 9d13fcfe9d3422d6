/**
 * Reads the pcapng format: sections of blocks, each section with a byte order and interfaces of its own.
 *
 * @module
 */

import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  type Capture,
  type CapturedFrame,
  type CaptureInterface,
  DIRECTIONS,
  DROP_COMMENT,
  OPTION,
  pad4,
} from "./format.ts";
import type { Source } from "./_source.ts";

/** Shortest whole block of each kind that is read; the others are skipped. */
const SHORTEST: ReadonlyMap<number, number> = new Map([
  [BLOCK.sectionHeader, 28],
  [BLOCK.interfaceDescription, 20],
  [BLOCK.packet, 32],
  [BLOCK.simplePacket, 16],
  [BLOCK.interfaceStatistics, 24],
  [BLOCK.enhancedPacket, 32],
]);

/** Packets lost, in an old packet block that does not know. */
const LOST_UNKNOWN = 0xffff;

const NO_COMMENTS: readonly string[] = [];

type Growing<T> = { -readonly [K in keyof T]: T[K] };

/** An interface and its clock: nanoseconds = ticks * multiply / divide + offset. */
interface Recorder {
  readonly iface: Growing<CaptureInterface>;
  multiply: bigint;
  divide: bigint;
  offset: bigint;
}

/** Reads a file that starts with a section header block. */
export function readPcapng(source: Source): Capture {
  return new PcapngReader(source).read();
}

class PcapngReader {
  readonly #source: Source;
  readonly #recorders: Recorder[] = [];
  readonly #frames: CapturedFrame[] = [];
  /** Position of the current section's first interface. */
  #first = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  read(): Capture {
    const source = this.#source;
    let offset = 0;
    while (offset < source.bytes.length) {
      source.need(offset, 12, "block");
      const type = source.u32(offset);
      if (type === BLOCK.sectionHeader) this.#byteOrder(offset);
      const length = source.u32(offset + 4);
      const shortest = SHORTEST.get(type) ?? 12;
      if (length < shortest) {
        source.bad(offset + 4, `the block says that it has ${length} bytes, its type needs ${shortest}`);
      }
      if (length % 4 !== 0) source.bad(offset + 4, `the block's length ${length} is no multiple of 4`);
      source.need(offset, length, "block");
      const again = source.u32(offset + length - 4);
      if (again !== length) {
        source.bad(
          offset + length - 4,
          `the block's length is ${length} at its start and ${again} at its end`,
        );
      }
      this.#block(type, offset, length);
      offset += length;
    }
    return { interfaces: this.#recorders.map((r) => r.iface), frames: this.#frames };
  }

  #block(type: number, offset: number, length: number): void {
    const end = offset + length - 4;
    switch (type) {
      case BLOCK.sectionHeader:
        return this.#sectionHeader(offset, length);
      case BLOCK.interfaceDescription:
        return this.#interfaceDescription(offset, end);
      case BLOCK.enhancedPacket:
        return this.#packet(offset, end, this.#source.u32(offset + 8), 0n);
      case BLOCK.packet: {
        const lost = this.#source.u16(offset + 10);
        return this.#packet(
          offset,
          end,
          this.#source.u16(offset + 8),
          lost === LOST_UNKNOWN ? 0n : BigInt(lost),
        );
      }
      case BLOCK.simplePacket:
        return this.#simplePacket(offset, end);
      case BLOCK.interfaceStatistics:
        return this.#statistics(offset, end);
    }
  }

  #byteOrder(offset: number): void {
    const source = this.#source;
    source.littleEndian = true;
    if (source.u32(offset + 8) === BYTE_ORDER_MAGIC) return;
    source.littleEndian = false;
    if (source.u32(offset + 8) === BYTE_ORDER_MAGIC) return;
    source.bad(offset + 8, "the section header has no byte-order magic");
  }

  #sectionHeader(offset: number, length: number): void {
    const source = this.#source;
    const major = source.u16(offset + 12), minor = source.u16(offset + 14);
    // Some writers put 1.2 on files of version 1.0.
    if (major !== 1 || (minor !== 0 && minor !== 2)) {
      source.bad(offset + 12, `pcapng version ${major}.${minor} is not supported, only 1.0`);
    }
    // -1 = not known. A known length shows a file that was cut between two blocks.
    const section = source.i64(offset + 16);
    const left = BigInt(source.bytes.length - offset - length);
    if (section > left) source.bad(offset, `the section is cut short: ${section} bytes wanted, ${left} left`);
    this.#first = this.#recorders.length;
  }

  #interfaceDescription(offset: number, end: number): void {
    const source = this.#source;
    const recorder: Recorder = {
      iface: {
        name: `if${this.#recorders.length}`,
        linkType: source.u16(offset + 8),
        snapLength: source.u32(offset + 12),
        fcsLength: 0,
      },
      multiply: 1_000n,
      divide: 1n,
      offset: 0n,
    };
    this.#options(offset + 16, end, (code, at, length) => {
      if (code === OPTION.ifName) recorder.iface.name = source.text(at, length);
      if (code === OPTION.ifDescription) recorder.iface.description = source.text(at, length);
      if (code === OPTION.ifFcslen) recorder.iface.fcsLength = this.#byteOption(at, length);
      if (code === OPTION.ifTsresol) setResolution(recorder, this.#byteOption(at, length));
      if (code === OPTION.ifTsoffset) recorder.offset = this.#wordOption(at, length, true) * 1_000_000_000n;
    });
    this.#recorders.push(recorder);
  }

  /** An enhanced packet block, or the old packet block: the same from offset 12 on. */
  #packet(offset: number, end: number, id: number, lost: bigint): void {
    const source = this.#source;
    const recorder = this.#recorder(offset + 8, id);
    const captured = source.u32(offset + 20), originalLength = source.u32(offset + 24);
    const bytes = this.#data(offset, offset + 28, captured, originalLength, end);
    const ticks = (BigInt(source.u32(offset + 12)) << 32n) | BigInt(source.u32(offset + 16));
    let flags = 0;
    let comments: string[] | undefined;
    let dropReason: string | undefined;
    this.#options(offset + 28 + pad4(captured), end, (code, at, length) => {
      if (code === OPTION.packetFlags) flags = this.#flagsOption(at, length);
      if (code === OPTION.epbDropcount && source.u32(offset) === BLOCK.enhancedPacket) {
        lost = this.#wordOption(at, length, false);
      }
      if (code === OPTION.comment) {
        const comment = source.text(at, length);
        if (comment.startsWith(DROP_COMMENT)) dropReason = comment.slice(DROP_COMMENT.length);
        else (comments ??= []).push(comment);
      }
    });
    this.#frames.push({
      at: ticks * recorder.multiply / recorder.divide + recorder.offset,
      interface: this.#first + id,
      bytes,
      originalLength,
      direction: DIRECTIONS[flags & 3] ?? "unknown",
      lost,
      comments: comments ?? NO_COMMENTS,
      ...(dropReason === undefined ? undefined : { dropReason }),
    });
  }

  /** A simple packet block has no interface (it is the first), no options and no time: the frame before lends it. */
  #simplePacket(offset: number, end: number): void {
    const { iface } = this.#recorder(offset, 0);
    const originalLength = this.#source.u32(offset + 8);
    const captured = iface.snapLength === 0 ? originalLength : Math.min(originalLength, iface.snapLength);
    const bytes = this.#data(offset, offset + 12, captured, originalLength, end);
    if (offset + 12 + pad4(captured) !== end) {
      this.#source.bad(offset + 8, `the block has room for more than the packet's ${captured} bytes`);
    }
    this.#frames.push({
      at: this.#frames.at(-1)?.at ?? 0n,
      interface: this.#first,
      bytes,
      originalLength,
      direction: "unknown",
      lost: 0n,
      comments: NO_COMMENTS,
    });
  }

  #statistics(offset: number, end: number): void {
    const { iface } = this.#recorder(offset + 8, this.#source.u32(offset + 8));
    this.#options(offset + 20, end, (code, at, length) => {
      if (code === OPTION.isbReceived) iface.received = this.#wordOption(at, length, false);
      if (code === OPTION.isbDropped) iface.dropped = this.#wordOption(at, length, false);
    });
  }

  #recorder(offset: number, id: number): Recorder {
    const recorder = this.#recorders[this.#first + id];
    if (recorder) return recorder;
    return this.#source.bad(
      offset,
      `the block is of interface ${id}, the section has described ${this.#recorders.length - this.#first}`,
    );
  }

  #data(block: number, offset: number, captured: number, original: number, end: number): Uint8Array {
    if (captured > original) {
      this.#source.bad(block, `the packet has ${captured} bytes recorded of ${original}`);
    }
    if (captured > end - offset) {
      this.#source.bad(
        block,
        `the packet's ${captured} bytes do not fit the block, which has room for ${end - offset}`,
      );
    }
    return this.#source.slice(offset, captured);
  }

  #options(from: number, end: number, option: (code: number, at: number, length: number) => void): void {
    const source = this.#source;
    for (let at = from; at < end;) {
      // All is aligned to 4 bytes, so a code and a length are there.
      const code = source.u16(at), length = source.u16(at + 2);
      if (code === OPTION.end) return;
      if (pad4(length) > end - at - 4) {
        source.bad(at, `option ${code} has ${length} bytes, the block has room for ${end - at - 4}`);
      }
      option(code, at + 4, length);
      at += 4 + pad4(length);
    }
  }

  #byteOption(at: number, length: number): number {
    this.#optionLength(at, length, 1);
    return this.#source.bytes[at]!;
  }

  #flagsOption(at: number, length: number): number {
    this.#optionLength(at, length, 4);
    return this.#source.u32(at);
  }

  #wordOption(at: number, length: number, signed: boolean): bigint {
    this.#optionLength(at, length, 8);
    return signed ? this.#source.i64(at) : this.#source.u64(at);
  }

  #optionLength(at: number, length: number, wanted: number): void {
    if (length !== wanted) this.#source.bad(at - 4, `the option has ${length} bytes instead of ${wanted}`);
  }
}

/** if_tsresol: a negative power of 2 (top bit set) or of 10. */
function setResolution(recorder: Recorder, resolution: number): void {
  recorder.multiply = 1_000_000_000n;
  recorder.divide = (resolution & 0x80 ? 2n : 10n) ** BigInt(resolution & 0x7f);
}
