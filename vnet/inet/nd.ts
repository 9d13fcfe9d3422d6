/**
 * Neighbour discovery (RFC 4861) on the receiving CPU: solicitations and advertisements, and what they say
 * about an address that we are about to use (RFC 4862 5.4).
 *
 * @module
 */
import { get, load } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF, afdata } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { type Address, ALL_NODES, sameAddress, scopedAt, UNSPECIFIED, wordAt } from "./address.ts";
import { findAddress } from "./address_list.ts";
import { at16 } from "./checksum.ts";
import { ADDR, ADDR_KIND, AFDATA } from "./layout.ts";
import { LEARN, neighbourLearn } from "./neighbour.ts";
import { sendAdvertisement } from "./solicit.ts";
import { NOTE, type Stack } from "./stack.ts";

const SOLICITATION = 135;
/** Flags of an advertisement. */
const NA = { solicited: 0x40, override: 0x20 } as const;
/** Options that carry a link-layer address. */
const OPTION = { source: 1, target: 2 } as const;

/** A neighbour solicitation or advertisement with a right checksum. Consumes it. */
export function ndInput(st: Stack, id: number, p: AttachedIfp, ip: number, body: number, len: number): void {
  const { a, u8 } = st;
  const data = afdata(st.s, p, AF.inet6);
  const t = data === 0 ? 0 : load(a, data + AFDATA.neigh);
  if (t === 0) return st.drop(id, DROP.nosocket);
  const want = u8[body] === SOLICITATION ? OPTION.source : OPTION.target;
  const option = len < 24 ? -1 : linkOption(u8, body + 24, body + len, want);
  // RFC 4861 7.1.1 and 7.1.2: nothing that crossed a router, and nothing odd.
  if (u8[ip + 7] !== 255 || u8[body + 1] !== 0 || option < 0 || u8[body + 8] === 255) {
    return st.drop(id, DROP.malformed);
  }
  const target = scopedAt(u8, body + 8, p);
  if (u8[body] === SOLICITATION) solicited(st, id, p, ip, data, t, target, option);
  else advertised(st, id, p, body, data, t, target, option, ip);
}

/** Offset of the address in the option of a type; 0 = there is none, -1 = the options are wrong. */
function linkOption(u8: Uint8Array, from: number, end: number, want: number): number {
  let found = 0;
  for (let at = from; at < end;) {
    const n = end - at < 8 ? 0 : u8[at + 1]! * 8;
    if (n === 0 || at + n > end) return -1;
    if (u8[at] === want && n === 8) found = at + 2;
    at += n;
  }
  return found;
}

function solicited(
  st: Stack,
  id: number,
  p: AttachedIfp,
  ip: number,
  data: number,
  t: number,
  target: Address,
  option: number,
): void {
  const { a, u8 } = st;
  const from = scopedAt(u8, ip + 8, p);
  const anonymous = sameAddress(from, UNSPECIFIED);
  if (anonymous && (option !== 0 || u8[ip + 24] !== 255)) return st.drop(id, DROP.malformed);
  const tentative = findAddress(a, data, ADDR_KIND.tentative, ...target);
  if (tentative !== 0) {
    // Another one asks for the address that we ask for; who speaks normally is only looking for us.
    if (anonymous && !fromSelf(st, id, p)) st.notify(NOTE.duplicate, p, get(a, tentative + ADDR.id));
    return st.delivered(id);
  }
  if (findAddress(a, data, ADDR_KIND.address, ...target) === 0) return st.drop(id, DROP.nosocket);
  if (option !== 0 && !anonymous) {
    const high = at16(u8, option);
    const low = wordAt(u8, option + 2);
    const e = neighbourLearn(a, t, ...from, high, low, LEARN.create | LEARN.override);
    if (e !== 0) st.sendHeld(p, e, ...from, high, low);
  }
  st.delivered(id);
  const flags = NA.override | (anonymous ? 0 : NA.solicited);
  sendAdvertisement(st, p, flags, target, anonymous ? ALL_NODES : from);
}

function advertised(
  st: Stack,
  id: number,
  p: AttachedIfp,
  body: number,
  data: number,
  t: number,
  target: Address,
  option: number,
  ip: number,
): void {
  const { a, u8 } = st;
  const flags = u8[body + 4]!;
  if (u8[ip + 24] === 255 && (flags & NA.solicited) !== 0) return st.drop(id, DROP.malformed);
  const ours = findAddress(a, data, ADDR_KIND.tentative, ...target) ||
    findAddress(a, data, ADDR_KIND.address, ...target);
  if (ours !== 0) {
    if (!fromSelf(st, id, p)) st.notify(NOTE.duplicate, p, get(a, ours + ADDR.id));
    return st.delivered(id);
  }
  if (option !== 0) {
    const high = at16(u8, option);
    const low = wordAt(u8, option + 2);
    const how = LEARN.known | ((flags & NA.solicited) !== 0 ? LEARN.confirmed : 0) |
      ((flags & NA.override) !== 0 ? LEARN.override : 0);
    const e = neighbourLearn(a, t, ...target, high, low, how);
    if (e !== 0) st.sendHeld(p, e, ...target, high, low);
  }
  st.delivered(id);
}

/** Our own message, which the link gave back to us. */
function fromSelf(st: Stack, id: number, p: AttachedIfp): boolean {
  const slot = st.net.arena.ifnetAt(p);
  const at = st.at(id) + 6;
  return at16(st.u8, at) === get(st.a, slot + IFNET.macHigh) &&
    wordAt(st.u8, at + 2) === get(st.a, slot + IFNET.macLow);
}
