/**
 * The IP domains of a vnet: what they hang off an interface, and the check of what comes in.
 *
 * @module
 */
import { get, load, set } from "../../core/doors/arena.ts";
import { VNET } from "../../core/memory/arena.ts";
import type { PacketBatch } from "../../core/memory/batch.ts";
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { AF, afdata, type Domain, type DomainIf } from "../../core/net/domain.ts";
import { ETHER_HEADER } from "../../core/net/flags.ts";
import type { AttachedIfp, NetSection } from "../../core/net/section.ts";
import { checksum } from "./checksum.ts";

/** Words of an address family's data of an interface. */
export const AFDATA = { mtu: 0, hopLimit: 1, vnet: 2, WORDS: 16 } as const;
const SITE = "input (delivered or dropped)" as const;

/** Largest payload of a frame, default hop limit (RFC 1122 3.2.1.7, RFC 8200 8.2), and whose it is. */
function ifattach(a: Int32Array, data: number, ifnet: DomainIf): void {
  set(a, data + AFDATA.mtu, ifnet.mtu);
  set(a, data + AFDATA.hopLimit, 64);
  set(a, data + AFDATA.vnet, ifnet.vnet);
}

/** Checks one packet; its answer is 0 or a drop reason. */
type Check = (u8: Uint8Array, at: number, len: number) => number;

/** A domain whose valid packets go to the vnet's sockets. */
function ipDomain(name: string, family: number, etherTypes: readonly number[], check: Check): Domain {
  return {
    name,
    family,
    etherTypes,
    afdataWords: AFDATA.WORDS,
    ifattach,
    input(s: NetSection, p: AttachedIfp, b: PacketBatch): void {
      const { arena, cpu } = s.net;
      const a = arena.a;
      // Read once, valid to the section's end (rule 1b).
      const data = afdata(s, p, family);
      const wanted = data !== 0 &&
        load(a, arena.vnetAt(get(a, data + AFDATA.vnet) % arena.plan.config.vnets) + VNET.sockets) > 0;
      const good = wanted ? ENDED.delivered : DROP.nosocket;
      const { n } = b;
      let from = 0;
      for (let i = 0; i < n; i++) {
        const bad = check(arena.u8, b.at(i) + ETHER_HEADER, b.len(i) - ETHER_HEADER);
        if (bad === 0) continue;
        if (i > from) cpu.pool.end(b.ids, from, i - from, good, SITE);
        cpu.pool.end(b.ids, i, 1, bad, SITE);
        from = i + 1;
      }
      if (n > from) cpu.pool.end(b.ids, from, n - from, good, SITE);
      b.release();
    },
  };
}

/** An IPv4 header (RFC 791 3.1): version, header length, total length, checksum. */
export function checkIpv4(u8: Uint8Array, at: number, len: number): number {
  if (len < 20 || u8[at]! >> 4 !== 4) return DROP.malformed;
  const header = (u8[at]! & 15) * 4;
  const total = u8[at + 2]! << 8 | u8[at + 3]!;
  if (header < 20 || header > total || total > len) return DROP.malformed;
  return checksum(u8, at, header) === 0 ? 0 : DROP.checksum;
}

/** An IPv6 header (RFC 8200 3): version and payload length. */
export function checkIpv6(u8: Uint8Array, at: number, len: number): number {
  if (len < 40 || u8[at]! >> 4 !== 6) return DROP.malformed;
  return 40 + (u8[at + 4]! << 8 | u8[at + 5]!) > len ? DROP.malformed : 0;
}

/** An ARP packet (RFC 826) for IPv4 over Ethernet. */
export function checkArp(u8: Uint8Array, at: number, len: number): number {
  if (len < 28) return DROP.malformed;
  const ok = u8[at] === 0 && u8[at + 1] === 1 && u8[at + 2] === 8 && u8[at + 3] === 0 && u8[at + 4] === 6 &&
    u8[at + 5] === 4;
  return ok ? 0 : DROP.malformed;
}

const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

/** The domains of one CPU. */
export function inetDomains(): Domain[] {
  return [
    ipDomain("inet", AF.inet, [ETHERTYPE.ipv4, ETHERTYPE.arp], (u8, at, len) => {
      const arp = u8[at - 2] === 0x08 && u8[at - 1] === 0x06;
      return arp ? checkArp(u8, at, len) : checkIpv4(u8, at, len);
    }),
    ipDomain("inet6", AF.inet6, [ETHERTYPE.ipv6], checkIpv6),
  ];
}
