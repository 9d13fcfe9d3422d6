/**
 * The bytes of a capture file, read with bounds: what is not there is an error that names file and offset.
 *
 * @module
 */

import { SoftcError } from "../../core/device/mod.ts";

/** A file that is being read. */
export class Source {
  /** Byte order of the file, or of the section that is being read. */
  littleEndian = true;
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array, readonly name: string) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Refuses the file. */
  bad(offset: number, reason: string, fix?: string): never {
    throw new SoftcError(
      "SOFTC_PCAP_BAD",
      `Cannot read capture "${this.name}" at offset ${offset}: ${reason}`,
      {
        fix,
      },
    );
  }

  /** Checks that `length` bytes are there before any of them is looked at. */
  need(offset: number, length: number, what: string): void {
    const left = this.bytes.length - offset;
    if (length > left) {
      this.bad(
        offset,
        `the ${what} is cut short: ${length} bytes wanted, ${left} left`,
        "record or copy the file again, or keep its whole packets with `editcap IN OUT`",
      );
    }
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, this.littleEndian);
  }

  u64(offset: number): bigint {
    return this.#view.getBigUint64(offset, this.littleEndian);
  }

  i64(offset: number): bigint {
    return this.#view.getBigInt64(offset, this.littleEndian);
  }

  /** A view, not a copy. */
  slice(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }

  /** UTF-8 (from a copy: not every runtime decodes shared memory); some recorders count a closing NUL in. */
  text(offset: number, length: number): string {
    return new TextDecoder().decode(this.bytes.slice(offset, offset + length)).replace(/\0+$/, "");
  }
}
