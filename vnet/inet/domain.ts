/**
 * The IP domains of a vnet: what they hang off an interface, and where its packets go.
 *
 * @module
 */
import { get, load, set } from "../../core/doors/arena.ts";
import { MAIL } from "../../core/cpu/mailbox.ts";
import { IFNET, VNET } from "../../core/memory/arena.ts";
import type { PacketBatch } from "../../core/memory/batch.ts";
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { AF, afdata, type Domain, type DomainIf } from "../../core/net/domain.ts";
import { ETHER_HEADER } from "../../core/net/flags.ts";
import type { Net } from "../../core/net/net.ts";
import type { AttachedIfp, NetSection } from "../../core/net/section.ts";
import { tapDropped } from "../../core/net/tap.ts";
import { arpInput, checkArp } from "./arp.ts";
import { checkIpv4, ip4Input } from "./ip4.ts";
import { checkIpv6, ip6Input } from "./ip6.ts";
import { AFDATA, ETHERTYPE } from "./layout.ts";
import { type Notify, Stack } from "./stack.ts";
import { wordAt } from "./address.ts";

export { AFDATA } from "./layout.ts";
export { checkArp } from "./arp.ts";
export { checkIpv4 } from "./ip4.ts";
export { checkIpv6 } from "./ip6.ts";

const SITE = "input (delivered or dropped)" as const;

/** An IP domain on one CPU. */
export class InetDomain implements Domain {
  readonly name: string;
  readonly family: number;
  readonly etherTypes: readonly number[];
  readonly afdataWords: number = AFDATA.WORDS;
  /** CPU 0: ends what CPU 0 keeps about an interface. */
  onDetach: ((a: Int32Array, data: number, ifnet: DomainIf) => void) | undefined;
  /** CPU 0: takes what its own data path noticed. From the others it comes by mail. */
  onNote: Notify | undefined;
  readonly #stack: Stack;

  constructor(net: Net, family: number) {
    this.name = family === AF.inet ? "inet" : "inet6";
    this.family = family;
    this.etherTypes = family === AF.inet ? [ETHERTYPE.ipv4, ETHERTYPE.arp] : [ETHERTYPE.ipv6];
    const { cpu } = net;
    this.#stack = new Stack(net, (kind, index, id) => {
      if (cpu.id !== 0) cpu.postUp(MAIL.domain, kind, index, id);
      else this.onNote?.(kind, index, id);
    });
  }

  /** Largest payload of a frame, default hop limit (RFC 1122 3.2.1.7, RFC 8200 8.2), and whose it is. */
  ifattach(a: Int32Array, data: number, ifnet: DomainIf): void {
    set(a, data + AFDATA.mtu, ifnet.mtu);
    set(a, data + AFDATA.hopLimit, 64);
    set(a, data + AFDATA.vnet, ifnet.vnet);
  }

  ifdetach(a: Int32Array, data: number, ifnet: DomainIf): void {
    this.onDetach?.(a, data, ifnet);
  }

  input(s: NetSection, p: AttachedIfp, b: PacketBatch): void {
    const { arena } = s.net;
    const a = arena.a;
    // Read once, valid to the section's end (rule 1b).
    const data = afdata(s, p, this.family);
    const vnet = data === 0 ? 0 : get(a, data + AFDATA.vnet);
    const discard = data !== 0 && load(a, arena.vnetAt(vnet % arena.plan.config.vnets) + VNET.sockets) > 0;
    if (discard) return this.#all(s, p, b, ENDED.delivered);
    // A family without an address on the interface may still pass packets on: its vnet has routes.
    if (data === 0 || !this.#configured(a, arena.vnetAt(vnet % arena.plan.config.vnets), data)) {
      return this.#all(s, p, b, DROP.nosocket);
    }
    this.#each(s, p, b, data, vnet);
  }

  #configured(a: Int32Array, vnetAt: number, data: number): boolean {
    return load(a, data + AFDATA.neigh) !== 0 || load(a, vnetAt + VNET.inet + this.family) !== 0;
  }

  /** Every valid packet ends the same way. */
  #all(s: NetSection, p: AttachedIfp, b: PacketBatch, good: number): void {
    const { arena, cpu } = s.net;
    const tapped = get(arena.a, arena.ifnetAt(p) + IFNET.taps) !== 0;
    const { n } = b;
    let from = 0;
    for (let i = 0; i < n; i++) {
      const bad = this.#check(arena.u8, b.at(i), b.len(i));
      const end = bad === 0 ? good : bad;
      if (tapped && end !== ENDED.delivered) tapDropped(s.net, b.ids[i]!, end);
      if (bad === 0) continue;
      if (i > from) cpu.pool.end(b.ids, from, i - from, good, SITE);
      cpu.pool.end(b.ids, i, 1, bad, SITE);
      from = i + 1;
    }
    if (n > from) cpu.pool.end(b.ids, from, n - from, good, SITE);
    b.release();
  }

  /** The stack proper, packet by packet, in one section; what it sends leaves in batches. */
  #each(s: NetSection, p: AttachedIfp, b: PacketBatch, data: number, vnet: number): void {
    const st = this.#stack;
    const { arena } = s.net;
    const { a, u8 } = arena;
    const slot = arena.ifnetAt(p);
    const high = get(a, slot + IFNET.macHigh);
    const low = get(a, slot + IFNET.macLow);
    const { n, ids } = b;
    st.begin(s, vnet);
    for (let i = 0; i < n; i++) {
      const id = ids[i]!;
      const at = b.at(i);
      const bad = this.#check(u8, at, b.len(i));
      if (bad !== 0) {
        st.drop(id, bad);
        continue;
      }
      const toUs = (u8[at]! << 8 | u8[at + 1]!) === high && wordAt(u8, at + 2) === low;
      // Frames for others come in while the interface is promiscuous; they are not ours.
      if (!toUs && (u8[at]! & 1) === 0) st.drop(id, DROP.filtered);
      else if (u8[at + 12] === 0x08 && u8[at + 13] === 0x06) arpInput(st, id, p);
      else if (this.family === AF.inet) ip4Input(st, id, p, data, toUs);
      else ip6Input(st, id, p, data, toUs);
    }
    b.release();
    st.end();
  }

  #check(u8: Uint8Array, at: number, len: number): number {
    const payload = at + ETHER_HEADER;
    if (this.family === AF.inet6) return checkIpv6(u8, payload, len - ETHER_HEADER);
    const arp = u8[at + 12] === 0x08 && u8[at + 13] === 0x06;
    return arp ? checkArp(u8, payload, len - ETHER_HEADER) : checkIpv4(u8, payload, len - ETHER_HEADER);
  }
}

/** The domains of one CPU. */
export function inetDomains(net: Net): InetDomain[] {
  return [new InetDomain(net, AF.inet), new InetDomain(net, AF.inet6)];
}
