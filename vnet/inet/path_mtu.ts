/**
 * ICMP errors about what sockets of a vnet sent, on CPU 0, and what they say of the way: the largest packet that
 * it takes (RFC 1191, RFC 8201).
 *
 * @module
 */
import { AF } from "../../core/net/domain.ts";
import { type Address, addressAt, formatAddress, scopedAt, wordAt } from "./address.ts";
import { at16 } from "./checksum.ts";
import { walk } from "./extensions.ts";
import { ETHER } from "./headers.ts";
import { ICMP, ICMP6, UNREACH } from "./icmp.ts";
import type { UdpError } from "./udp.ts";
import type { VnetInet } from "./vnet_inet.ts";

/** Destinations that are remembered; milliseconds that they are (RFC 1191 6.3, RFC 8201 4). */
const MOST = 64;
const LIFE = 600_000;
/** No way is believed to take less: Linux's least for IPv4, what every IPv6 link takes (RFC 8200 5). */
const LEAST = [552, 1280] as const;

/** What the ways to some destinations take; the oldest is forgotten for a new one. */
export class PathMtus {
  readonly #known = new Map<string, { mtu: number; until: number }>();

  /** A router says that a packet was too big: it only ever lowers what is known. */
  learn(family: number, to: Address, mtu: number, now: number): void {
    const value = Math.max(mtu, LEAST[family]!);
    if (mtu === 0 || value >= this.of(family, to, now)) return;
    const key = formatAddress(family, to);
    this.#known.delete(key);
    if (this.#known.size >= MOST) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, { mtu: value, until: now + LIFE });
  }

  /** Largest packet to a destination; `Infinity` when only the link says. */
  of(family: number, to: Address, now: number): number {
    if (this.#known.size === 0) return Infinity;
    const key = formatAddress(family, to);
    const known = this.#known.get(key);
    if (known === undefined || now < known.until) return known?.mtu ?? Infinity;
    this.#known.delete(key);
    return Infinity;
  }
}

/** Reads an error that a socket was given (its quoted packet is whole: icmp.ts), and learns from it. */
export function takeError(v: VnetInet, id: number, family: number): UdpError & { ttl: number } {
  const { stack: st, net } = v.inet;
  const { u8, upper } = st;
  const ip = st.at(id) + ETHER;
  const six = family === AF.inet6;
  if (six) walk(u8, u8[ip + 6]!, ip + 40, ip + 6, ip + 40 + at16(u8, ip + 4), upper);
  const body = six ? upper.at : ip + (u8[ip]! & 15) * 4;
  const type = u8[body]!;
  const code = u8[body + 1]!;
  const mtu = six ? wordAt(u8, body + 4) >>> 0 : at16(u8, body + 6);
  if (six ? type === ICMP6.tooBig : type === ICMP.unreachable && code === UNREACH.needFragment) {
    const on = v.inet.receivedOn(id, family);
    const to = six ? scopedAt(u8, body + 32, on?.e.index ?? 0) : addressAt(u8, body + 24, family);
    v.pathMtus.learn(family, to, mtu, net.cpu.clock.now());
  }
  const from = formatAddress(family, addressAt(u8, ip + (six ? 8 : 12), family));
  return { type, code, mtu, from, ttl: u8[ip + (six ? 7 : 8)]! };
}
