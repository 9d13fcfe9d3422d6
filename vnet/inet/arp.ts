/**
 * ARP (RFC 826) on the receiving CPU: learn, answer, and notice who else has our address (RFC 5227 2.4).
 *
 * @module
 */
import { get, load } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF, afdata } from "../../core/net/domain.ts";
import type { AttachedIfp } from "../../core/net/section.ts";
import { putWord, wordAt } from "./address.ts";
import { findAddress } from "./address_list.ts";
import { at16, put16 } from "./checksum.ts";
import { ETHER } from "./headers.ts";
import { ADDR, ADDR_KIND, AFDATA } from "./layout.ts";
import { LEARN, neighbourLearn } from "./neighbour.ts";
import { NOTE, type Stack } from "./stack.ts";

/** An ARP packet (RFC 826) for IPv4 over Ethernet; its answer is 0 or a drop reason. */
export function checkArp(u8: Uint8Array, at: number, len: number): number {
  if (len < 28) return DROP.malformed;
  const ok = u8[at] === 0 && u8[at + 1] === 1 && u8[at + 2] === 8 && u8[at + 3] === 0 && u8[at + 4] === 6 &&
    u8[at + 5] === 4;
  return ok ? 0 : DROP.malformed;
}

/** A received ARP packet whose form is right. Consumes it. */
export function arpInput(st: Stack, id: number, p: AttachedIfp): void {
  const { a, u8 } = st;
  const data = afdata(st.s, p, AF.inet);
  const t = data === 0 ? 0 : load(a, data + AFDATA.neigh);
  if (t === 0) return st.drop(id, DROP.nosocket);
  const arp = st.at(id) + ETHER;
  const op = at16(u8, arp + 6);
  const sender = wordAt(u8, arp + 14);
  const target = wordAt(u8, arp + 24);
  const high = at16(u8, arp + 8);
  const low = wordAt(u8, arp + 10);
  if ((op !== 1 && op !== 2) || sender >>> 28 >= 14 || (high & 0x100) !== 0 || (high | low) === 0) {
    return st.drop(id, DROP.malformed);
  }
  const slot = st.net.arena.ifnetAt(p);
  const own = get(a, slot + IFNET.macHigh) === high && get(a, slot + IFNET.macLow) === low;
  const mine = findAddress(a, data, ADDR_KIND.address, target, 0, 0, 0) !== 0;
  const tentative = findAddress(a, data, ADDR_KIND.tentative, target, 0, 0, 0);
  if (!own) {
    // Somebody speaks from our address, or probes for the one that we probe for (RFC 5227 2.1.1, 2.4).
    const claimed = findAddress(a, data, ADDR_KIND.address, sender, 0, 0, 0) ||
      findAddress(a, data, ADDR_KIND.tentative, sender, 0, 0, 0) ||
      (sender === 0 && op === 1 ? tentative : 0);
    if (claimed !== 0) st.notify(NOTE.duplicate, p, get(a, claimed + ADDR.id));
    else if (sender !== 0) {
      const how = LEARN.override | (mine ? LEARN.create : LEARN.known) |
        (op === 2 && mine ? LEARN.confirmed : 0);
      const e = neighbourLearn(a, t, sender, 0, 0, 0, high, low, how);
      if (e !== 0) st.sendHeld(p, e, sender, 0, 0, 0, high, low);
    }
  }
  if (op !== 1 || !mine || own) return mine || own ? st.delivered(id) : st.drop(id, DROP.nosocket);
  // The request's life ends, the reply's begins in its buffer.
  const at = arp - ETHER;
  u8.copyWithin(at, arp + 8, arp + 14);
  st.putSource(at, slot);
  u8.copyWithin(arp + 18, arp + 8, arp + 18);
  put16(u8, arp + 6, 2);
  u8.copyWithin(arp + 8, at + 6, at + 12);
  putWord(u8, arp + 14, target);
  st.setLen(id, ETHER + 28);
  st.reborn();
  st.send(id, p);
}
