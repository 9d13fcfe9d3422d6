/**
 * An interface's addresses and groups as the data path reads them (layout.ts, 1). `data` is the interface's
 * afdata; an entry is a word offset, 0 = none.
 *
 * @module
 */
import { get, load } from "../../core/doors/arena.ts";
import { AF } from "../../core/net/domain.ts";
import { isLinkLocal, maskWord, putWord, unscoped } from "./address.ts";
import { ADDR, ADDR_KIND, ADDRS, AFDATA } from "./layout.ts";

/** The entry of a kind with an address. */
export function findAddress(
  a: Int32Array,
  data: number,
  kind: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const t = data === 0 ? 0 : load(a, data + AFDATA.addrs);
  if (t === 0) return 0;
  const n = get(a, t + ADDRS.count);
  for (let i = 0; i < n; i++) {
    const e = t + ADDRS.entries + i * ADDRS.ENTRY;
    if (
      get(a, e + ADDR.kind) === kind && get(a, e + 3) === w3 && get(a, e) === w0 && get(a, e + 1) === w1 &&
      get(a, e + 2) === w2
    ) return e;
  }
  return 0;
}

/**
 * An address of the interface to speak from to `w0..`: one of the same prefix, else one of the same scope,
 * else any (RFC 6724 in short).
 */
export function sourceOn(
  a: Int32Array,
  data: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const t = data === 0 ? 0 : load(a, data + AFDATA.addrs);
  if (t === 0) return 0;
  const n = get(a, t + ADDRS.count);
  let best = 0;
  let score = 0;
  for (let i = 0; i < n; i++) {
    const e = t + ADDRS.entries + i * ADDRS.ENTRY;
    if (get(a, e + ADDR.kind) !== ADDR_KIND.address) continue;
    const plen = get(a, e + ADDR.plen);
    const fits = covers(a, e, plen, w0, 0) && covers(a, e, plen, w1, 1) && covers(a, e, plen, w2, 2) &&
      covers(a, e, plen, w3, 3);
    const points = 1 + (fits ? 4 : 0) + (isLinkLocal(get(a, e)) === isLinkLocal(w0) ? 2 : 0);
    if (points > score) [best, score] = [e, points];
  }
  return best;
}

/** Whether word `i` of an address is within an entry's prefix. */
function covers(a: Int32Array, e: number, plen: number, w: number, i: number): boolean {
  return ((get(a, e + i) ^ w) & maskWord(plen, i)) === 0;
}

/** Writes an entry's address into a packet. */
export function putEntry(a: Int32Array, u8: Uint8Array, at: number, family: number, entry: number): void {
  putWord(u8, at, family === AF.inet ? get(a, entry) : unscoped(get(a, entry)));
  if (family === AF.inet6) { for (let i = 1; i < 4; i++) putWord(u8, at + 4 * i, get(a, entry + i)); }
}
