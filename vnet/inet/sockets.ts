/**
 * Sockets as the data path sees them: which one wants a datagram, and the ring that it waits in for CPU 0.
 *
 * A table per vnet, copy-on-write (layout.ts, 1); a block per socket with a ring from each CPU. Closing a
 * socket publishes a table without it and frees the block after a grace period, so a section that found it
 * may still push; CPU 0 empties the rings before that.
 *
 * @module
 */
import { get, load, set } from "../../core/doors/arena.ts";
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

/** The first entry of the table with a key; -1 when there is none. */
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
  return found < 0 ? -1 : t + SOCKETS.entries + found * SOCKETS.ENTRY;
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
  let e = t === 0 ? -1 : wanted(a, t, -1, family, key, local, remote, rport, group);
  if (e < 0) return false;
  // One of several members gets the packet itself, each other one a copy (a birth).
  for (
    let next = group ? wanted(a, t, e, family, key, local, remote, rport, true) : -1;
    next >= 0;
    next = wanted(a, t, e, family, key, local, remote, rport, true)
  ) {
    copyTo(st, id, get(a, e + SOCKET.block), arrival);
    e = next;
  }
  socketPush(st, id, get(a, e + SOCKET.block), arrival);
  return true;
}

/**
 * The entry of the socket that wants a datagram: the one that fits best; to a group, the next that fits after the
 * entry `after`, or the first when that is -1. -1 = none.
 */
function wanted(
  a: Int32Array,
  t: number,
  after: number,
  family: number,
  key: number,
  local: Address,
  remote: Address,
  rport: number,
  group: boolean,
): number {
  const end = t + SOCKETS.entries + get(a, t + SOCKETS.count) * SOCKETS.ENTRY;
  let e = after < 0 ? first(a, t, key) : after + SOCKETS.ENTRY;
  if (e < 0) return -1;
  let best = -1;
  let score = 0;
  for (; e < end && get(a, e + SOCKET.key) === key; e += SOCKETS.ENTRY) {
    const points = fit(a, e, family, local, remote, rport, group);
    if (group && points > 0) return e;
    if (points > score) [best, score] = [e, points];
  }
  return best;
}

/** Blocks of the sockets that want a datagram which CPU 0 has. */
export function socketsFor(
  a: Int32Array,
  vnetAt: number,
  family: number,
  key: number,
  local: Address,
  remote: Address,
  rport: number,
  group: boolean,
): number[] {
  const t = load(a, vnetAt + VINET.sockets);
  const blocks: number[] = [];
  if (t === 0) return blocks;
  for (let e = -1;;) {
    e = wanted(a, t, e, family, key, local, remote, rport, group);
    if (e < 0) return blocks;
    blocks.push(get(a, e + SOCKET.block));
    if (!group) return blocks;
  }
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

/** Passes on what CPU 0 does. */
export function controlPush(st: Stack, id: number, arrival: number): void {
  const block = st.vnetWord(VINET.control);
  if (block === 0) return st.drop(id, DROP.nosocket);
  st.finish(id);
  socketPush(st, id, block, arrival);
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
