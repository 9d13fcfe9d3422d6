/**
 * The way through a packet's IPv6 extension headers to what it carries (RFC 8200 4).
 *
 * @module
 */
import { DROP } from "../../core/memory/counters.ts";
import { at16 } from "./checksum.ts";
import { NEXT } from "./layout.ts";

/** Extension headers that a packet may have. */
const MAX_EXTENSIONS = 8;
/** Codes of "parameter problem" (RFC 4443 3.4). */
export const PROBLEM = { field: 0, nextHeader: 1, option: 2, chain: 3 } as const;

/** Where the extension headers end. */
export class Upper {
  /** What stands there: a protocol, a fragment header, or "none". */
  proto = 0;
  /** Its offset, and that of the byte which names it. */
  at = 0;
  field = 0;
  /** When the walk failed: code of the parameter problem that its source is told, at `field`; -1 = nothing. */
  problem = -1;
}

/**
 * Walks from the header `next` at `at`, which the byte at `field` names. 0 = arrived; else a drop reason. A
 * fragment that is the whole packet is no end (RFC 6946).
 */
export function walk(
  u8: Uint8Array,
  next: number,
  at: number,
  field: number,
  end: number,
  to: Upper,
): number {
  to.problem = -1;
  for (let k = 0; k <= MAX_EXTENSIONS; k++) {
    to.proto = next;
    to.at = at;
    to.field = field;
    const options = next === NEXT.hopByHop || next === NEXT.destination;
    if (!options && next !== NEXT.routing && next !== NEXT.fragment) return 0;
    // Only the first may be for every hop.
    if (end - at < 8 || (next === NEXT.hopByHop && k > 0)) return DROP.malformed;
    if (next === NEXT.fragment && (at16(u8, at + 2) & 0xfff9) !== 0) return 0;
    const size = next === NEXT.fragment ? 8 : (u8[at + 1]! + 1) * 8;
    if (at + size > end) return DROP.malformed;
    // A routing header with hops left would make a router of every host (RFC 5095).
    if (next === NEXT.routing && u8[at + 3] !== 0) {
      to.problem = PROBLEM.field;
      to.field = at + 2;
      return DROP.filtered;
    }
    if (options && !optionsFine(u8, at + 2, at + size, to)) return DROP.filtered;
    next = u8[at]!;
    field = at;
    at += size;
  }
  return DROP.malformed;
}

/** Options that are unknown say themselves whether they may be skipped, and whether the source is told (RFC 8200 4.2). */
function optionsFine(u8: Uint8Array, from: number, end: number, to: Upper): boolean {
  for (let at = from; at < end;) {
    const type = u8[at]!;
    if (type === 0) {
      at++;
      continue;
    }
    if (at + 2 > end || at + 2 + u8[at + 1]! > end) return false;
    if (type >> 6 !== 0) {
      if (type >> 6 > 1) to.problem = PROBLEM.option;
      to.field = at;
      return false;
    }
    at += 2 + u8[at + 1]!;
  }
  return true;
}
