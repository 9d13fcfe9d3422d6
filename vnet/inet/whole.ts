/**
 * A datagram that was put together, on CPU 0: to its sockets, or answered, or refused as one that came in one piece.
 *
 * @module
 */
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import { ifnetByHandle } from "../../core/net/section.ts";
import { type Address, isMulticast, scoped } from "./address.ts";
import { addressSum, at16, checksum } from "./checksum.ts";
import { walk } from "./extensions.ts";
import { ICMP, ICMP6, icmp6Error, icmpError, UNREACH, UNREACH6 } from "./icmp.ts";
import { IPPROTO } from "./layout.ts";
import type { Whole } from "./reassembly.ts";
import { sendDatagram } from "./send.ts";
import { socketKey, socketsFor } from "./sockets.ts";
import type { Stack } from "./stack.ts";
import type { VnetInet } from "./vnet_inet.ts";

/** Delivers a datagram; answers how its life ends. `first` is its first fragment, which errors quote. */
export function deliverWhole(v: VnetInet, w: Whole, first: number): number {
  const { upper } = v.inet.stack;
  const { payload } = w;
  let { proto } = w;
  let at = 0;
  if (w.family === AF.inet6) {
    const bad = walk(payload, proto, 0, 0, payload.length, upper);
    if (bad !== 0) return bad;
    ({ proto, at } = upper);
  }
  const body = payload.subarray(at);
  if (proto === IPPROTO.udp) return udp(v, w, body, first);
  if (proto === (w.family === AF.inet ? IPPROTO.icmp : IPPROTO.icmp6)) return icmp(v, w, body);
  return refuse(v, w, first, DROP.noproto, UNREACH.protocol);
}

function udp(v: VnetInet, w: Whole, b: Uint8Array, first: number): number {
  const len = b.length < 8 ? 0 : at16(b, 4);
  if (len < 8 || len > b.length) return DROP.malformed;
  const four = w.family === AF.inet;
  const sum = at16(b, 6);
  // IPv6 has no datagrams without a checksum (RFC 8200 8.1).
  if (sum === 0 ? !four : !rightSum(w, b.subarray(0, len), IPPROTO.udp)) return DROP.checksum;
  const group = isMulticast(w.family, w.destination[0]) || (four && w.destination[0] === -1);
  const datagram = { ...w, payload: b.subarray(0, len) };
  const how = toSockets(v, datagram, socketKey(IPPROTO.udp, at16(b, 2)), at16(b, 0), group);
  return how === DROP.nosocket && !group ? refuse(v, w, first, how, UNREACH.port) : how;
}

/** Hands a datagram to the sockets that want it. */
function toSockets(v: VnetInet, w: Whole, key: number, rport: number, group: boolean): number {
  const index = v.inet.ifs.find(w.received)?.index ?? 0;
  const scope = (x: Address): Address => w.family === AF.inet ? x : [scoped(x[0], index), x[1], x[2], x[3]];
  let how: number = DROP.nosocket;
  const { destination: d, source: s } = w;
  for (const block of socketsFor(v.inet.stack.a, v.at, w.family, key, scope(d), scope(s), rport, group)) {
    const end = v.sockets.find((x) => x.buffer.block === block)?.whole?.(w) ?? DROP.nosocket;
    if (how !== ENDED.delivered) how = end;
  }
  return how;
}

function icmp(v: VnetInet, w: Whole, b: Uint8Array): number {
  const four = w.family === AF.inet;
  const types = four ? ICMP : ICMP6;
  const proto = four ? IPPROTO.icmp : IPPROTO.icmp6;
  if (b.length < 8) return DROP.malformed;
  if (four ? checksum(b, 0, b.length) !== 0 : !rightSum(w, b, proto)) return DROP.checksum;
  if (b[0] === types.echoReply) {
    return toSockets(v, { ...w, payload: b }, socketKey(proto, at16(b, 4)), 0, false);
  }
  if (b[0] !== types.echo) return DROP.nosocket;
  const group = isMulticast(w.family, w.destination[0]);
  // A broadcast ping is not answered (RFC 1122 3.2.2.6); one to an IPv6 group is (RFC 4443 4.2).
  if (four && (group || w.destination[0] === -1)) return DROP.filtered;
  b[0] = types.echoReply;
  inSection(v, w, (st, ifp) =>
    sendDatagram(st, {
      family: w.family,
      destination: four ? w.source : [scoped(w.source[0], ifp), w.source[1], w.source[2], w.source[3]],
      source: group ? undefined : w.destination,
      proto,
      ttl: 64,
      dontFragment: false,
      via: undefined,
      broadcast: false,
      payload: b,
      ident: v.nextIdent(),
      pathMtu: v.pathMtu(w.family, w.source),
    }));
  return ENDED.delivered;
}

/** Tells the source why its datagram is refused; answers the reason. */
function refuse(v: VnetInet, w: Whole, first: number, why: number, code: number): number {
  inSection(v, w, (st, ifp) => {
    if (w.family === AF.inet) icmpError(st, first, ICMP.unreachable, code);
    else if (code === UNREACH.port) icmp6Error(st, first, ifp, ICMP6.unreachable, UNREACH6.port);
    else icmp6Error(st, first, ifp, ICMP6.parameter, 1, 40);
  });
  return why;
}

function inSection(v: VnetInet, w: Whole, fn: (st: Stack, ifp: number) => void): void {
  v.inet.inSection(v, (st) => {
    const p = ifnetByHandle(st.s, w.received);
    if (p !== undefined) fn(st, p);
  });
}

/** Whether a checksum that covers the addresses is right. */
function rightSum(w: Whole, b: Uint8Array, proto: number): boolean {
  return checksum(b, 0, b.length, addressSum(w.family, w.source, w.destination, proto, b.length)) === 0;
}
