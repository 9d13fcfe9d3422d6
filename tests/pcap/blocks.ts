/**
 * Builds pcapng blocks word by word, right or wrong on purpose, in either byte order: what no tool at hand
 * writes any more (simple and old packet blocks, odd clocks), and broken files.
 *
 * @module
 */

/** An option: its code and its value. */
export type RawOption = readonly [code: number, value: Uint8Array | string];

/** Writes blocks of one byte order. */
export class Blocks {
  readonly #parts: Uint8Array[] = [];

  constructor(readonly littleEndian = true) {}

  /** Words of 8, 16, 32 or 64 bits, one after another. */
  words(...values: (readonly [bits: 8 | 16 | 32 | 64, value: number | bigint])[]): Uint8Array {
    const bytes = new Uint8Array(values.reduce((n, [bits]) => n + bits / 8, 0));
    const view = new DataView(bytes.buffer);
    let at = 0;
    for (const [bits, value] of values) {
      if (bits === 8) view.setUint8(at, Number(value));
      if (bits === 16) view.setUint16(at, Number(value), this.littleEndian);
      if (bits === 32) view.setUint32(at, Number(value), this.littleEndian);
      if (bits === 64) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), this.littleEndian);
      at += bits / 8;
    }
    return bytes;
  }

  /** Any block; the lengths at its ends are right unless given. */
  block(type: number, body: Uint8Array, options: RawOption[] = [], length?: number, again = length): this {
    const parts = [pad(body)];
    for (const [code, text] of options) {
      const value = typeof text === "string" ? new TextEncoder().encode(text) : text;
      parts.push(this.words([16, code], [16, value.length]), pad(value));
    }
    if (options.length > 0) parts.push(this.words([16, 0], [16, 0]));
    const right = parts.reduce((n, p) => n + p.length, 12);
    this.#parts.push(
      this.words([32, type], [32, length ?? right]),
      ...parts,
      this.words([32, again ?? right]),
    );
    return this;
  }

  section(length: bigint = -1n, major = 1, minor = 0): this {
    return this.block(0x0a0d0d0a, this.words([32, 0x1a2b3c4d], [16, major], [16, minor], [64, length]));
  }

  iface(linkType = 1, snapLength = 0, options: RawOption[] = []): this {
    return this.block(1, this.words([16, linkType], [16, 0], [32, snapLength]), options);
  }

  enhanced(
    id: number,
    ticks: bigint,
    data: Uint8Array,
    options: RawOption[] = [],
    captured = data.length,
  ): this {
    const original = Math.max(captured, data.length);
    const head = this.words([32, id], [32, ticks >> 32n], [32, ticks & 0xffffffffn], [32, captured], [
      32,
      original,
    ]);
    return this.block(6, join([head, data]), options);
  }

  /** The obsolete packet block. */
  old(id: number, lost: number, ticks: bigint, data: Uint8Array, options: RawOption[] = []): this {
    const head = this.words(
      [16, id],
      [16, lost],
      [32, ticks >> 32n],
      [32, ticks & 0xffffffffn],
      [32, data.length],
      [32, data.length],
    );
    return this.block(2, join([head, data]), options);
  }

  simple(originalLength: number, data: Uint8Array): this {
    return this.block(3, join([this.words([32, originalLength]), data]));
  }

  /** Any bytes at all. */
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  bytes(): Uint8Array {
    return join(this.#parts);
  }
}

/** Concatenates. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function pad(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return padded;
}

/** A broadcast ARP request, 42 bytes. */
export const ARP: Uint8Array = Uint8Array.from(
  "ffffffffffff02000000000a0806000108000604000102000000000ac0000201000000000000c0000202".match(/../g)!,
  (hex) => parseInt(hex, 16),
);

/**
 * A file with what old and odd recorders write, in one byte order: three clocks (2^-20 s with an offset of an
 * hour, microseconds by default, tenths of a nanosecond), old and simple packet blocks, blocks of unknown types.
 */
export function oddFile(littleEndian: boolean): Uint8Array {
  const b = new Blocks(littleEndian);
  const second = 1_700_000_000n;
  return b.section()
    .iface(1, 60, [
      [2, "binary"],
      [9, Uint8Array.of(0x80 | 20)],
      [14, b.words([64, 3600])],
    ])
    .block(0x0bad, b.words([32, 32473], [32, 1]))
    .iface(1)
    .iface(1, 0, [[9, Uint8Array.of(10)], [1, "no name"]])
    .enhanced(0, second << 20n | 1n << 19n, ARP, [[2, b.words([32, 1])]])
    .old(1, 3, second * 1_000_000n + 7n, ARP, [[2, b.words([32, 2])]])
    .old(1, 0xffff, second * 1_000_000n + 8n, ARP)
    .simple(100, join([ARP, new Uint8Array(18)]))
    .enhanced(2, (second * 1_000_000_000n + 123n) * 10n + 9n, ARP, [[1, "one"], [1, "two"]])
    .block(4, b.words([16, 0], [16, 0]))
    .bytes();
}
