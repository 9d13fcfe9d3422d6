/**
 * Sockets as the data path sees them: which one wants a datagram, and the ring that it waits in for CPU 0.
 *
 * A table per vnet, copy-on-write (layout.ts, 1); a block per socket with a ring from each CPU. Closing a
 * socket publishes a table without it and frees the block after a grace period, so a section that found it
 * may still push; CPU 0 empties the rings before that.
 *
 * @module
 */
import { get, set } from "../../core/doors/arena.ts";
import { MBUF } from "../../core/memory/arena.ts";
import { BORN, DROP } from "../../core/memory/counters.ts";
import { OWNER, ownerWord } from "../../core/memory/mbuf.ts";
import { ringPush, ringRoom } from "../../core/memory/ring.ts";
import type { Address } from "./address.ts";
import { ARRIVAL, SOCKBUF, sockbufRing, SOCKET, SOCKETS, VINET } from "./layout.ts";
import type { Stack } from "./stack.ts";

/** Owner word of what waits in a socket's ring: CPU 0's input. */
export const SOCKET_OWNER = ownerWord(OWNER.input, 0);

/** Key of a socket: protocol and local port (or ICMP identifier). */
export function socketKey(proto: number, port: number): number {
  return proto << 16 | port;
}

/** First entry of the table with a key; -1 when there is none. */
function first(a: Int32Array, t: number, key: number): number {
  let low = 0;
  let high = get(a, t + SOCKETS.count) - 1;
  let found = -1;
  while (low <= high) {
    const mid = (low + high) >> 1;
    const k = get(a, t + SOCKETS.entries + mid * SOCKETS.ENTRY + SOCKET.key);
    if (k === key) found = mid;
    if (k >= key) high = mid - 1;
    else low = mid + 1;
  }
  return found;
}

function any(a: Int32Array, at: number): boolean {
  return get(a, at) === 0 && get(a, at + 1) === 0 && get(a, at + 2) === 0 && get(a, at + 3) === 0;
}

function is(a: Int32Array, at: number, x: Address): boolean {
  return get(a, at) === x[0] && get(a, at + 1) === x[1] && get(a, at + 2) === x[2] && get(a, at + 3) === x[3];
}

/** How well a socket fits a datagram; 0 = not at all. */
function fit(
  a: Int32Array,
  e: number,
  family: number,
  local: Address,
  remote: Address,
  rport: number,
  group: boolean,
): number {
  if (get(a, e + SOCKET.family) !== family) return 0;
  let points = 1;
  if (!any(a, e + SOCKET.laddr)) {
    if (is(a, e + SOCKET.laddr, local)) points += 1;
    // A socket that is bound to an address of the interface hears broadcasts too, as in FreeBSD.
    else if (!group) return 0;
  }
  if (get(a, e + SOCKET.rport) !== 0) {
    if (get(a, e + SOCKET.rport) !== rport) return 0;
    points += 1;
  }
  if (!any(a, e + SOCKET.raddr)) {
    if (!is(a, e + SOCKET.raddr, remote)) return 0;
    points += 1;
  }
  return points;
}

/**
 * Gives a datagram to the socket that fits best, or a copy to each when it went to a group. Consumes it and
 * returns true, or returns false when nobody wants it.
 */
export function socketInput(
  st: Stack,
  id: number,
  family: number,
  key: number,
  local: Address,
  remote: Address,
  rport: number,
  group: boolean,
  arrival: number = ARRIVAL.data,
): boolean {
  const { a } = st;
  const t = st.vnetWord(VINET.sockets);
  let i = t === 0 ? -1 : first(a, t, key);
  if (i < 0) return false;
  const n = get(a, t + SOCKETS.count);
  let best = 0;
  let score = 0;
  for (; i < n; i++) {
    const e = t + SOCKETS.entries + i * SOCKETS.ENTRY;
    if (get(a, e + SOCKET.key) !== key) break;
    const points = fit(a, e, family, local, remote, rport, group);
    if (points === 0) continue;
    // One of several members gets the packet itself, each other one a copy (a birth).
    if (group && best !== 0) copyTo(st, id, get(a, best + SOCKET.block), arrival);
    if (group || points > score) [best, score] = [e, points];
  }
  if (best === 0) return false;
  socketPush(st, id, get(a, best + SOCKET.block), arrival);
  return true;
}

/** Puts a packet into a socket's ring; a full one drops and counts it. */
export function socketPush(st: Stack, id: number, block: number, arrival: number): void {
  const { a } = st;
  const { cpu } = st.net;
  const ring = sockbufRing(block, cpu.id);
  if (ringRoom(a, ring, 1) < 1) {
    st.count(block + SOCKBUF.dropped);
    return st.drop(id, DROP.full);
  }
  st.handOver(id, cpu.pool.mine, SOCKET_OWNER);
  ringPush(a, ring, st.single(id), 0, 1, arrival);
  cpu.ring(0);
}

function copyTo(st: Stack, id: number, block: number, arrival: number): void {
  const len = st.len(id);
  const copy = st.alloc(len, BORN.copy);
  if (copy < 0) return st.count(block + SOCKBUF.dropped);
  const from = st.at(id);
  st.u8.copyWithin(st.at(copy), from, from + len);
  const { pool } = st.net.cpu;
  for (const w of [MBUF.rcvIndex, MBUF.rcvGen]) setHeader(st, pool.headerAt(copy) + w, pool.headerAt(id) + w);
  socketPush(st, copy, block, arrival);
}

function setHeader(st: Stack, to: number, from: number): void {
  set(st.a, to, get(st.a, from));
}
