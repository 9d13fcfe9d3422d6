/**
 * The ages of neighbours, on CPU 0: who is asked again, who is believed no longer, who is given up and what
 * becomes of the packets that wait for him (RFC 4861 7.3.3, 7.2.2; ARP the same way). neighbour.ts says why this
 * may run beside CPUs that learn and park.
 *
 * @module
 */
import { exchange, load, store } from "../../core/doors/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import type { Address } from "./address.ts";
import type { InetControl } from "./control.ts";
import { ICMP, ICMP6, icmp6Error, icmpError, UNREACH, UNREACH6 } from "./icmp.ts";
import type { IfInet } from "./if_inet.ts";
import { LLE } from "./layout.ts";
import { everySlot, ND, neighbourAge, neighbourRead, NeighbourView } from "./neighbour.ts";
import { solicit } from "./solicit.ts";

/** How long each entry of a table has been in its state, and how often its neighbour was asked. */
export type NeighbourAges = Map<number, { ms: number; probes: number }>;

/** Milliseconds between looks at the neighbours. */
export const TICK = 250;
/** Milliseconds between questions (RFC 4861 10: RETRANS_TIMER), and how often a neighbour is asked. */
const RETRANS = 1000;
const MAX_SOLICITS = 3;
/** Milliseconds that an answer is believed, that a stale neighbour is kept, and until one in use is asked again. */
const REACHABLE = 30_000;
const STALE_LIFE = 1_200_000;
const DELAY = 5_000;

/** Looks at the neighbours of one interface. */
export function ageNeighbours(inet: InetControl, i: IfInet): void {
  const { a } = inet.arena;
  for (const e of everySlot(i.neigh)) {
    if (load(a, e + LLE.state) === ND.none) {
      i.ages.delete(e);
      // Parked in the moment when the entry was given up.
      if (load(a, e + LLE.hold) !== 0) inet.stack.dropHeld(i.e.index, e, DROP.unresolved, false);
    } else age(inet, i, e);
  }
}

function age(inet: InetControl, i: IfInet, e: number): void {
  const { a } = inet.arena;
  const known = i.ages.get(e);
  if (known === undefined || exchange(a, e + LLE.heard, 0) === 1) {
    if (known === undefined) store(a, e + LLE.heard, 0);
    i.ages.set(e, { ms: 0, probes: 0 });
    return;
  }
  known.ms += TICK;
  const state = load(a, e + LLE.state);
  if (state > ND.incomplete && load(a, e + LLE.hold) !== 0) release(inet, i, e);
  if (state === ND.incomplete || state === ND.probe) {
    if (known.ms < RETRANS) return;
    known.ms = 0;
    // The first question to an unknown neighbour was asked by the CPU that needed the answer.
    const asked = ++known.probes + (state === ND.incomplete ? 1 : 0);
    if (asked <= MAX_SOLICITS) ask(inet, i, e, state === ND.probe);
    else giveUp(inet, i, e, state);
  } else if (state === ND.reachable && known.ms >= REACHABLE) {
    known.ms = 0;
    neighbourAge(a, i.neigh, e, ND.reachable, ND.stale);
  } else if (state === ND.stale) {
    if (load(a, e + LLE.used) === 0) {
      if (known.ms >= STALE_LIFE) neighbourAge(a, i.neigh, e, ND.stale, ND.none);
    } else if (known.ms >= DELAY) {
      i.ages.set(e, { ms: RETRANS, probes: 0 });
      neighbourAge(a, i.neigh, e, ND.stale, ND.probe);
    }
  }
}

/** Sends what was parked in the moment when the entry was aged (neighbour.ts, 5). */
function release(inet: InetControl, i: IfInet, e: number): void {
  inet.inSection(i.vnet, (st) => {
    const p = inet.ifp(st, i);
    const { state, macHigh, macLow } = neighbourView(inet, i, e);
    if (p !== undefined && state > ND.incomplete) {
      st.sendHeld(p, e, ...neighbourKey(inet, e), macHigh, macLow);
    }
  });
}

function ask(inet: InetControl, i: IfInet, e: number, unicast: boolean): void {
  inet.inSection(i.vnet, (st) => {
    const p = inet.ifp(st, i);
    if (p === undefined) return;
    solicit(st, p, i.family, ...neighbourKey(inet, e), unicast ? neighbourView(inet, i, e) : undefined);
  });
}

/** A neighbour that does not answer: what waits for it is dropped and its sender told (RFC 4861 7.2.2). */
function giveUp(inet: InetControl, i: IfInet, e: number, state: number): void {
  if (!neighbourAge(inet.arena.a, i.neigh, e, state, ND.none)) return;
  i.ages.delete(e);
  inet.inSection(i.vnet, (st) => {
    const p = inet.ifp(st, i);
    st.dropHeld(i.e.index, e, DROP.unresolved, false, (id) => {
      if (p === undefined) return;
      // The frame's destination was never written.
      st.u8.fill(0, st.at(id), st.at(id) + 6);
      if (i.family === AF.inet) icmpError(st, id, ICMP.unreachable, UNREACH.host);
      else icmp6Error(st, id, p, ICMP6.unreachable, UNREACH6.address);
    });
  });
}

/** The address of an entry. */
export function neighbourKey(inet: InetControl, e: number): Address {
  const { a } = inet.arena;
  const w = (k: number): number => load(a, e + LLE.address + k);
  return [w(0), w(1), w(2), w(3)];
}

/** What is known of a neighbour. */
export function neighbourView(inet: InetControl, i: IfInet, e: number): NeighbourView {
  const view = new NeighbourView();
  neighbourRead(inet.arena.a, i.neigh, ...neighbourKey(inet, e), view);
  return view;
}
