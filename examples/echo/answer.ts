/**
 * A host's answers, made in place: source and destination change places, which leaves checksums as they are.
 *
 * @module
 */

/** EtherTypes, and where the headers are. */
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const L3 = 14;

const ICMP = 1;
const UDP = 17;
const ICMPV6 = 58;
const ECHO_PORT = 7;

/** Turns a frame into the answer to it; false, and the frame as it was, when there is none. */
export function answer(f: Uint8Array): boolean {
  const type = f.length < L3 ? 0 : word(f, 12);
  const answered = type === IPV4 ? ipv4(f) : type === IPV6 ? ipv6(f) : type === ARP && arp(f);
  if (answered) swap(f, 0, 6, 6);
  return answered;
}

function ipv4(f: Uint8Array): boolean {
  if (f.length < L3 + 20 || f[L3]! >> 4 !== 4) return false;
  const fragment = word(f, L3 + 6) & 0x3fff;
  const l4 = L3 + (f[L3]! & 15) * 4;
  if (fragment !== 0 || !transport(f, l4, f[L3 + 9]!, ICMP, 8, 0)) return false;
  swap(f, L3 + 12, L3 + 16, 4);
  return true;
}

function ipv6(f: Uint8Array): boolean {
  if (f.length < L3 + 40 || f[L3]! >> 4 !== 6) return false;
  if (!transport(f, L3 + 40, f[L3 + 6]!, ICMPV6, 128, 129)) return false;
  swap(f, L3 + 8, L3 + 24, 16);
  return true;
}

/** UDP to the echo port, or an echo request of the given ICMP. */
function transport(
  f: Uint8Array,
  at: number,
  protocol: number,
  icmp: number,
  request: number,
  reply: number,
): boolean {
  if (f.length < at + 8) return false;
  if (protocol === UDP && word(f, at + 2) === ECHO_PORT) {
    swap(f, at, at + 2, 2);
    return true;
  }
  if (protocol !== icmp || f[at] !== request || f[at + 1] !== 0) return false;
  f[at] = reply;
  // The sum over the header loses (request - reply) << 8, so its complement gains it (RFC 1624, 3).
  const sum = word(f, at + 2) + ((request - reply) << 8);
  const folded = sum < 0 ? sum + 0xffff : (sum & 0xffff) + (sum >> 16);
  f[at + 2] = folded >> 8;
  f[at + 3] = folded & 255;
  return true;
}

/** The host's own address: whoever is asked for, it is this one (proxy ARP). */
const MAC = Uint8Array.of(0x02, 0x65, 0x63, 0x68, 0x6f, 0x01);

/** A request for an IPv4 address (RFC 826). */
function arp(f: Uint8Array): boolean {
  const hardware = L3 + 8;
  if (f.length < L3 + 28 || word(f, L3 + 6) !== 1 || word(f, L3) !== 1 || word(f, L3 + 2) !== IPV4) {
    return false;
  }
  f[L3 + 7] = 2;
  swap(f, hardware, hardware + 10, 10);
  f.set(MAC, hardware);
  f.set(MAC, 0); // becomes the source when the frame's addresses change places
  return true;
}

function word(f: Uint8Array, at: number): number {
  return f[at]! << 8 | f[at + 1]!;
}

function swap(f: Uint8Array, x: number, y: number, n: number): void {
  for (let i = 0; i < n; i++) {
    const byte = f[x + i]!;
    f[x + i] = f[y + i]!;
    f[y + i] = byte;
  }
}
