/**
 * Writes pcapng: several interfaces, nanoseconds, direction, drop reason, comments, statistics.
 *
 * @module
 */

import {
  BLOCK,
  BYTE_ORDER_MAGIC,
  DIRECTIONS,
  DROP_COMMENT,
  LINKTYPE_ETHERNET,
  OPTION,
  pad4,
} from "./format.ts";
import type { Direction } from "./format.ts";
import { SoftcError } from "../../core/device/mod.ts";

/** The longest value of an option. */
const OPTION_MAX = 0xffff;
/** 10^-9 s. */
const TSRESOL_NANOSECONDS = 9;

/** An interface to describe. */
export interface InterfaceRecord {
  /** Name that tools show. */
  name: string;
  /** LINKTYPE number of what its frames start with, 0 to 65535; Ethernet unless given. */
  linkType?: number;
  /** Bytes of a frame to record at most; 0, the default, is all of it. */
  snapLength?: number;
  /** What it is. */
  description?: string;
}

/** A frame to record. */
export interface FrameRecord {
  /** Number that {@linkcode PcapngWriter.addInterface} gave. */
  interface: number;
  /** When, in nanoseconds since 1970 UTC. */
  at: bigint;
  /** The frame, or its recorded part. */
  bytes: Uint8Array;
  /** Bytes on the wire, if `bytes` is not all of it. */
  originalLength?: number;
  /** Which way it went; "unknown" unless given. */
  direction?: Direction;
  /** Why it was dropped, if it was. */
  dropReason?: string;
  /** Packets lost before this one, that are not in the file; 0 unless given. */
  lost?: number;
  /** A comment. */
  comment?: string;
}

interface Described {
  readonly snapLength: number;
  received: bigint;
  dropped: bigint;
}

/**
 * Makes the bytes of one pcapng section; where they go is the caller's affair.
 *
 * What is written collects inside until {@linkcode PcapngWriter.take} hands it over; whole blocks only, so that
 * a file is readable after each append. Little-endian, nanoseconds, as draft-ietf-opsawg-pcapng-03 has it.
 *
 * @example
 * ```ts
 * import { PcapngWriter } from "@softc/softc/drivers/pcap";
 *
 * const w = new PcapngWriter();
 * const epair0a = w.addInterface({ name: "epair0a" });
 * const at = BigInt(Date.now()) * 1_000_000n;
 * w.frame({ interface: epair0a, at, bytes: new Uint8Array(60), direction: "in" });
 * console.log(w.take().length % 4); // 0: whole blocks, ready to be appended to a file
 * ```
 */
export class PcapngWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #interfaces: Described[] = [];
  readonly #encoder = new TextEncoder();

  /** Starts the section; `application` is the program that tools show as its writer. */
  constructor(application = "softc") {
    const start = this.#begin(BLOCK.sectionHeader);
    this.#u32(BYTE_ORDER_MAGIC);
    this.#u16(1);
    this.#u16(0);
    this.#u64(-1n); // length of the section: not known
    this.#textOption(OPTION.shbApplication, application);
    this.#end(start, true);
  }

  /** Bytes waiting to be taken. */
  get pending(): number {
    return this.#length;
  }

  /** Hands over what was written since the last take: append it to the file. */
  take(): Uint8Array<ArrayBuffer> {
    const chunk = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return chunk;
  }

  /** Describes an interface; its number is what frames name it by, 0 for the first. @throws {SoftcError} `SOFTC_PCAP_ARGUMENT` */
  addInterface(record: InterfaceRecord): number {
    const { name, linkType = LINKTYPE_ETHERNET, snapLength = 0, description } = record;
    checkWord(linkType, 0xffff, "linkType");
    checkWord(snapLength, 0xffffffff, "snapLength");
    const start = this.#begin(BLOCK.interfaceDescription);
    this.#u16(linkType);
    this.#u16(0);
    this.#u32(snapLength);
    this.#textOption(OPTION.ifName, name);
    if (description !== undefined) this.#textOption(OPTION.ifDescription, description);
    this.#optionHead(OPTION.ifTsresol, 1);
    this.#put(TSRESOL_NANOSECONDS);
    this.#align();
    this.#end(start, true);
    return this.#interfaces.push({ snapLength, received: 0n, dropped: 0n }) - 1;
  }

  /** Records a frame, cut to its interface's `snapLength`. @throws {SoftcError} `SOFTC_PCAP_ARGUMENT` */
  frame(record: FrameRecord): void {
    const { bytes, originalLength = bytes.length, direction = "unknown", dropReason, lost = 0, comment } =
      record;
    const described = this.#described(record.interface);
    const captured = Math.min(bytes.length, described.snapLength || bytes.length);
    checkWord(originalLength, 0xffffffff, "originalLength", bytes.length);
    checkWord(lost, Number.MAX_SAFE_INTEGER, "lost");
    checkTime(record.at);

    const start = this.#begin(BLOCK.enhancedPacket);
    this.#u32(record.interface);
    this.#time(record.at);
    this.#u32(captured);
    this.#u32(originalLength);
    this.#append(captured === bytes.length ? bytes : bytes.subarray(0, captured));
    this.#align();
    const flags = DIRECTIONS.indexOf(direction);
    if (flags > 0) {
      this.#optionHead(OPTION.packetFlags, 4);
      this.#u32(flags);
    }
    if (lost > 0) {
      this.#optionHead(OPTION.epbDropcount, 8);
      this.#u64(BigInt(lost));
    }
    if (dropReason !== undefined) this.#textOption(OPTION.comment, DROP_COMMENT + dropReason);
    if (comment !== undefined) this.#textOption(OPTION.comment, comment);
    this.#end(start, flags > 0 || lost > 0 || dropReason !== undefined || comment !== undefined);

    described.received += BigInt(lost) + 1n;
    described.dropped += BigInt(lost) + (dropReason === undefined ? 0n : 1n);
  }

  /**
   * Records what an interface has counted so far: by default what was told to this writer, frames and lost ones;
   * the driver's own counters if it has better. Tools keep the last. `at` is in nanoseconds since 1970 UTC.
   * @throws {SoftcError} `SOFTC_PCAP_ARGUMENT`
   */
  statistics(id: number, at: bigint, counted: { received?: bigint; dropped?: bigint } = {}): void {
    const described = this.#described(id);
    checkTime(at);
    const start = this.#begin(BLOCK.interfaceStatistics);
    this.#u32(id);
    this.#time(at);
    this.#optionHead(OPTION.isbReceived, 8);
    this.#u64(counted.received ?? described.received);
    this.#optionHead(OPTION.isbDropped, 8);
    this.#u64(counted.dropped ?? described.dropped);
    this.#end(start, true);
  }

  #described(id: number): Described {
    const described = this.#interfaces[id];
    if (described) return described;
    throw new SoftcError(
      "SOFTC_PCAP_ARGUMENT",
      `Cannot write to the capture: interface ${id} is not one of its ${this.#interfaces.length}`,
    );
  }

  /** Opens a block; the length is filled in at its end. */
  #begin(type: number): number {
    const start = this.#length;
    this.#u32(type);
    this.#u32(0);
    return start;
  }

  #end(start: number, options: boolean): void {
    if (options) this.#optionHead(OPTION.end, 0);
    const length = this.#length - start + 4;
    this.#u32(length);
    this.#view.setUint32(start + 4, length, true);
  }

  #optionHead(code: number, length: number): void {
    this.#u16(code);
    this.#u16(length);
  }

  #textOption(code: number, text: string): void {
    const value = this.#encoder.encode(text);
    // Cut a text that is too long where a character starts.
    let length = Math.min(value.length, OPTION_MAX);
    if (length < value.length) { while ((value[length]! & 0xc0) === 0x80) length--; }
    this.#optionHead(code, length);
    this.#append(value.subarray(0, length));
    this.#align();
  }

  /** High word first, in either byte order: two words, not one of 64 bits. */
  #time(at: bigint): void {
    this.#u32(Number(at >> 32n));
    this.#u32(Number(at & 0xffffffffn));
  }

  #align(): void {
    const end = pad4(this.#length);
    this.#room(end - this.#length);
    this.#bytes.fill(0, this.#length, end);
    this.#length = end;
  }

  #append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #put(byte: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = byte;
  }

  #u16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  #u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  #u64(value: bigint): void {
    this.#room(8);
    this.#view.setBigInt64(this.#length, value, true);
    this.#length += 8;
  }

  #room(length: number): void {
    if (this.#length + length <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + length));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}

function checkWord(value: number, max: number, name: string, min = 0): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new SoftcError(
    "SOFTC_PCAP_ARGUMENT",
    `Cannot write to the capture: ${name} is ${value}, not an integer from ${min} to ${max}`,
  );
}

function checkTime(at: bigint): void {
  if (at >= 0n && at < 1n << 64n) return;
  throw new SoftcError(
    "SOFTC_PCAP_ARGUMENT",
    `Cannot write to the capture: the time is ${at}, not nanoseconds since 1970 in 64 bits`,
  );
}
