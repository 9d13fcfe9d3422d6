/**
 * Route tables: longest prefix first (RFC 1812 5.2.4.3), immutable once published (layout.ts, 1).
 *
 * A directory lists the prefix lengths that occur, longest first, each with its mask and its run of entries;
 * within a run entries are sorted by prefix. A look-up masks once per length and searches binarily.
 *
 * @module
 */
import { get, set } from "../../core/doors/arena.ts";
import { type Address, maskAddress, maskWord, sameAddress } from "./address.ts";
import { ROUTE, ROUTES } from "./layout.ts";

/** A route as CPU 0 keeps it. */
export interface RouteRow {
  readonly prefix: Address;
  readonly plen: number;
  readonly flags: number;
  /** The interface, as a weak name; 0 for a route that rejects. */
  readonly index: number;
  readonly gencnt: number;
  readonly gateway: Address;
  /** Source address of what is sent along it. */
  readonly source: Address;
}

function compare(x: Address, y: Address): number {
  for (let i = 0; i < 4; i++) if (x[i] !== y[i]) return (x[i]! >>> 0) - (y[i]! >>> 0);
  return 0;
}

/** Of several routes to one prefix the first counts. */
function sorted(rows: readonly RouteRow[]): RouteRow[] {
  const all = rows.map((r, i) => ({ r: { ...r, prefix: maskAddress(r.prefix, r.plen) }, i }));
  all.sort((x, y) => y.r.plen - x.r.plen || compare(x.r.prefix, y.r.prefix) || x.i - y.i);
  return all.map(({ r }) => r).filter((r, i, list) =>
    i === 0 || list[i - 1]!.plen !== r.plen || !sameAddress(list[i - 1]!.prefix, r.prefix)
  );
}

/** Words that a table of these routes needs. */
export function routeWords(rows: readonly RouteRow[]): number {
  return ROUTES.directory + new Set(rows.map((r) => r.plen)).size * ROUTES.DIR + rows.length * ROUTES.ENTRY;
}

/** Fills a table that nobody can see yet. */
export function writeRoutes(a: Int32Array, t: number, rows: readonly RouteRow[]): void {
  const list = sorted(rows);
  const lengths = [...new Set(list.map((r) => r.plen))];
  const entries = t + ROUTES.directory + lengths.length * ROUTES.DIR;
  set(a, t + ROUTES.lengths, lengths.length);
  set(a, t + ROUTES.count, list.length);
  set(a, t + ROUTES.entries, entries);
  lengths.forEach((plen, k) => {
    const d = t + ROUTES.directory + k * ROUTES.DIR;
    set(a, d, list.findIndex((r) => r.plen === plen));
    set(a, d + 1, list.filter((r) => r.plen === plen).length);
    for (let i = 0; i < 4; i++) set(a, d + 2 + i, maskWord(plen, i));
  });
  list.forEach((r, k) => {
    const e = entries + k * ROUTES.ENTRY;
    for (let i = 0; i < 4; i++) {
      set(a, e + ROUTE.prefix + i, r.prefix[i]!);
      set(a, e + ROUTE.gateway + i, r.gateway[i]!);
      set(a, e + ROUTE.source + i, r.source[i]!);
    }
    set(a, e + ROUTE.plen, r.plen);
    set(a, e + ROUTE.flags, r.flags);
    set(a, e + ROUTE.index, r.index);
    set(a, e + ROUTE.gencnt, r.gencnt);
  });
}

/** Word offset of the route with the longest prefix that covers the address; 0 when there is none. */
export function routeLookup(
  a: Int32Array,
  t: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const lengths = get(a, t + ROUTES.lengths);
  const entries = get(a, t + ROUTES.entries);
  for (let k = 0; k < lengths; k++) {
    const d = t + ROUTES.directory + k * ROUTES.DIR;
    const m0 = w0 & get(a, d + 2);
    const m1 = w1 & get(a, d + 3);
    const m2 = w2 & get(a, d + 4);
    const m3 = w3 & get(a, d + 5);
    let low = get(a, d);
    let high = low + get(a, d + 1) - 1;
    while (low <= high) {
      const mid = (low + high) >> 1;
      const e = entries + mid * ROUTES.ENTRY;
      const order = compareAt(a, e + ROUTE.prefix, m0, m1, m2, m3);
      if (order === 0) return e;
      if (order < 0) low = mid + 1;
      else high = mid - 1;
    }
  }
  return 0;
}

function compareAt(a: Int32Array, at: number, w0: number, w1: number, w2: number, w3: number): number {
  const x = get(a, at);
  if (x !== w0) return (x >>> 0) - (w0 >>> 0);
  const y = get(a, at + 1);
  if (y !== w1) return (y >>> 0) - (w1 >>> 0);
  const z = get(a, at + 2);
  if (z !== w2) return (z >>> 0) - (w2 >>> 0);
  return (get(a, at + 3) >>> 0) - (w3 >>> 0);
}
