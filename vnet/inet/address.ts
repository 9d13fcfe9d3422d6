/**
 * IP addresses: text to words and back (RFC 4291 2.2, RFC 5952), and the kinds that the stack treats apart.
 *
 * An address is four words; an IPv4 address is the first, the others are 0. So one table and one compare serve
 * both families.
 *
 * @module
 */
import { SoftcError } from "../../core/error.ts";
import { AF } from "../../core/net/domain.ts";

/** Four words, big-endian values; signed. */
export type Address = readonly [number, number, number, number];

/** No address: `0.0.0.0` and `::`. */
export const UNSPECIFIED: Address = [0, 0, 0, 0];
/** All nodes of a link (RFC 4291 2.7.1). */
export const ALL_NODES: Address = [0xff020000 | 0, 0, 0, 1];

/** The group in which a node is asked for an address that ends in `w3` (RFC 4291 2.7.1). */
export function solicitedNode(w3: number): Address {
  return [0xff020000 | 0, 0, 1, 0xff000000 | w3 & 0xffffff];
}

/** An address with its family and, after a `%`, the name of its interface. */
export interface ParsedAddress {
  readonly family: number;
  readonly address: Address;
  readonly zone: string | undefined;
}

/** A prefix or an address in one. */
export interface ParsedPrefix extends ParsedAddress {
  readonly plen: number;
}

function bad(text: unknown, wanted: string): SoftcError {
  return new SoftcError("SOFTC_INET_ARGUMENT", `Cannot read "${String(text)}"`, { wanted });
}

/** Reads `192.0.2.1`, `2001:db8::1` or `fe80::1%epair0a`. @throws {SoftcError} `SOFTC_INET_ARGUMENT` */
export function parseAddress(text: string): ParsedAddress {
  if (typeof text !== "string") throw bad(text, "an IP address");
  const percent = text.indexOf("%");
  const zone = percent < 0 ? undefined : text.slice(percent + 1);
  const plain = percent < 0 ? text : text.slice(0, percent);
  const v4 = parse4(plain);
  if (v4 !== undefined && zone === undefined) return { family: AF.inet, address: [v4, 0, 0, 0], zone };
  const v6 = v4 === undefined ? parse6(plain) : undefined;
  if (v6 === undefined || zone === "") throw bad(text, "an IPv4 or IPv6 address");
  return { family: AF.inet6, address: v6, zone };
}

/** Reads `10.0.0.1/24`; the whole address when no length is given. @throws {SoftcError} `SOFTC_INET_ARGUMENT` */
export function parsePrefix(text: string): ParsedPrefix {
  const m = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(String(text));
  if (m === null) throw bad(text, "ADDRESS/LENGTH");
  const parsed = parseAddress(m[1]!);
  const max = parsed.family === AF.inet ? 32 : 128;
  const plen = m[2] === undefined ? max : Number(m[2]);
  if (plen > max) throw bad(text, `a prefix length of at most ${max}`);
  return { ...parsed, plen };
}

function parse4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let word = 0;
  for (const p of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(p) || Number(p) > 255) return undefined;
    word = word << 8 | Number(p);
  }
  return word;
}

function parse6(text: string): Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((h) => h === "" ? [] : h.split(":"));
  const last = groups[groups.length - 1]!;
  const tail = last[last.length - 1];
  if (tail !== undefined && tail.includes(".")) {
    const v4 = parse4(tail);
    if (v4 === undefined) return undefined;
    last.splice(-1, 1, (v4 >>> 16).toString(16), (v4 & 0xffff).toString(16));
  }
  const [head, rest = []] = groups as [string[], string[]?];
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<string>(halves.length === 2 ? missing : 0).fill("0"), ...rest];
  if (!all.every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) return undefined;
  const w = (i: number): number => parseInt(all[2 * i]!, 16) << 16 | parseInt(all[2 * i + 1]!, 16);
  return [w(0), w(1), w(2), w(3)];
}

/** Writes an address as text, in its canonical form (RFC 5952). */
export function formatAddress(family: number, address: Address): string {
  if (family === AF.inet) {
    const w = address[0];
    return `${w >>> 24}.${w >>> 16 & 255}.${w >>> 8 & 255}.${w & 255}`;
  }
  const groups = address.flatMap((w) => [w >>> 16, w & 0xffff]);
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > length) [start, length] = [i, n];
  }
  const hex = (g: number[]): string => g.map((x) => x.toString(16)).join(":");
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** Word `i` of the mask of a prefix length. */
export function maskWord(plen: number, i: number): number {
  const bits = plen - 32 * i;
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

/** The address with everything behind the prefix cleared. */
export function maskAddress(address: Address, plen: number): Address {
  return [
    address[0] & maskWord(plen, 0),
    address[1] & maskWord(plen, 1),
    address[2] & maskWord(plen, 2),
    address[3] & maskWord(plen, 3),
  ];
}

/** Whether two addresses are the same. */
export function sameAddress(x: Address, y: Address): boolean {
  return x[0] === y[0] && x[1] === y[1] && x[2] === y[2] && x[3] === y[3];
}

/** The first word of an IPv6 address as it stands in a table: with the interface's index where it is link-local. */
export function scoped(w0: number, index: number): number {
  return w0 >>> 22 === 0x3fa ? w0 & 0xffff0000 | index : w0;
}

/** The first word as it stands on the wire. */
export function unscoped(w0: number): number {
  return w0 >>> 22 === 0x3fa ? w0 & 0xffff0000 : w0;
}

/** `fe80::/10` (RFC 4291 2.5.6). */
export function isLinkLocal(w0: number): boolean {
  return w0 >>> 22 === 0x3fa;
}

/** Whether the address is a group: `224.0.0.0/4` or `ff00::/8`. */
export function isMulticast(family: number, w0: number): boolean {
  return family === AF.inet ? w0 >>> 28 === 14 : w0 >>> 24 === 255;
}

/** The link-local address of a MAC address (RFC 4291 appendix A: modified EUI-64). */
export function linkLocal(mac: Uint8Array): Address {
  return [
    0xfe800000 | 0,
    0,
    (mac[0]! ^ 2) << 24 | mac[1]! << 16 | mac[2]! << 8 | 0xff,
    0xfe << 24 | mac[3]! << 16 | mac[4]! << 8 | mac[5]!,
  ];
}

/** A word of the packet. */
export function wordAt(u8: Uint8Array, at: number): number {
  return u8[at]! << 24 | u8[at + 1]! << 16 | u8[at + 2]! << 8 | u8[at + 3]!;
}

/** Writes a word into the packet. */
export function putWord(u8: Uint8Array, at: number, w: number): void {
  u8[at] = w >>> 24;
  u8[at + 1] = w >>> 16 & 255;
  u8[at + 2] = w >>> 8 & 255;
  u8[at + 3] = w & 255;
}

/** Reads an address of the packet. */
export function addressAt(u8: Uint8Array, at: number, family: number): Address {
  if (family === AF.inet) return [wordAt(u8, at), 0, 0, 0];
  return [wordAt(u8, at), wordAt(u8, at + 4), wordAt(u8, at + 8), wordAt(u8, at + 12)];
}

/** Reads an IPv6 address of a packet that came in on interface `index`, as it stands in tables. */
export function scopedAt(u8: Uint8Array, at: number, index: number): Address {
  return [scoped(wordAt(u8, at), index), wordAt(u8, at + 4), wordAt(u8, at + 8), wordAt(u8, at + 12)];
}

/** Writes an address into the packet, as it stands on the wire. */
export function putAddress(u8: Uint8Array, at: number, family: number, x: Address): void {
  if (family === AF.inet) return putWord(u8, at, x[0]);
  putWord(u8, at, unscoped(x[0]));
  for (let i = 1; i < 4; i++) putWord(u8, at + 4 * i, x[i]!);
}
