/**
 * What the IP stack keeps in the arena, by word offsets. All of it is reached from an interface's slot or a
 * vnet's slot, inside a section.
 *
 * 1. Address lists, route tables and socket tables are copy-on-write: CPU 0 alone makes them, replaces one by
 *    one atomic store of the word that leads to it, and frees the old one in an epoch callback. A reader loads
 *    that word once in its section; nothing behind it changes (rule 1b).
 * 2. Neighbour tables change in place (neighbour.ts). They are freed where the interface's afdata is: after the
 *    grace period that follows unlink.
 * 3. An address is four words, an IPv4 address the first and three zeros. A link-local IPv6 address carries the
 *    index of its interface in its second 16 bits while it is in a table (as KAME's scope), never on the wire.
 *
 * @module
 */
import { LINE, ringWords } from "../../core/memory/arena.ts";

/** An address family's data of an interface (`if_afdata`). */
export const AFDATA = {
  /** Link MTU: bytes of payload of a frame. */
  mtu: 0,
  /** Hop limit of what the stack sends. */
  hopLimit: 1,
  vnet: 2,
  /** The address list; 0 = none. */
  addrs: 3,
  /** The neighbour table; 0 = the family is not configured on the interface. */
  neigh: 4,
  WORDS: 16,
} as const;

/** A vnet's words, from its slot's `inet` on. */
export const VINET = {
  /** Route table of each family. */
  routes: 0,
  sockets: 2,
  /** One bit per family: packets for others are forwarded. */
  forwarding: 3,
  /** The socket block that takes what CPU 0 does for this vnet: fragments, messages about groups. */
  control: 4,
} as const;

/** An address list: a count, then entries. */
export const ADDRS = { count: 0, entries: 8, ENTRY: 8 } as const;
/** One entry of an address list: the address, what it is, its prefix length, the number that CPU 0 knows it by. */
export const ADDR = { address: 0, kind: 4, plen: 5, id: 6 } as const;
/** What an entry of an address list is. */
export const ADDR_KIND = { address: 1, tentative: 2, group: 3 } as const;

/** A neighbour table: a lock that writers take, then entries. */
export const NEIGH = {
  lock: 0,
  entries: LINE,
  COUNT: 64,
  WINDOW: 8,
  ENTRY: 16,
  WORDS: LINE + 64 * 16,
} as const;
/** One neighbour. */
export const LLE = {
  version: 0,
  state: 1,
  hold: 2,
  macHigh: 3,
  macLow: 4,
  /** Set by who uses a stale entry; CPU 0 asks the neighbour again. */
  used: 5,
  /** Set by who heard of the neighbour; CPU 0 counts its age from there. */
  heard: 6,
  router: 7,
  address: 8,
} as const;

/** A route table: counts, a directory of prefix lengths, then entries sorted within each length. */
export const ROUTES = { lengths: 0, count: 1, entries: 2, directory: 8, DIR: 8, ENTRY: 16 } as const;
/** One route. */
export const ROUTE = { prefix: 0, plen: 4, flags: 5, index: 6, gencnt: 7, gateway: 8, source: 12 } as const;
/** What a route is. */
export const RTF = { local: 1, gateway: 2, broadcast: 4, reject: 8 } as const;

/** A socket table: a count, then entries sorted by protocol and local port. */
export const SOCKETS = { count: 0, entries: 8, ENTRY: 16 } as const;
/** One socket. Zero addresses and a zero remote port match any. */
export const SOCKET = { key: 0, family: 1, rport: 2, block: 3, laddr: 4, raddr: 8 } as const;

/** Entries of a socket's ring from each CPU. */
export const SOCKET_RING = 128;
/** A socket's block: drops, then a ring from each CPU. */
export const SOCKBUF = { dropped: 0, rings: LINE } as const;

/** Words of a socket's block. */
export function sockbufWords(cpus: number): number {
  return SOCKBUF.rings + cpus * ringWords(SOCKET_RING);
}

/** Word offset of the ring from CPU `k`. */
export function sockbufRing(block: number, k: number): number {
  return block + SOCKBUF.rings + k * ringWords(SOCKET_RING);
}

/** What a ring's entry is: a datagram or an ICMP error for a socket; for CPU 0 a fragment or a message about groups, plus its family. */
export const ARRIVAL = { data: 0, error: 1, fragment: 2, group: 4 } as const;

/** IP protocol numbers (IANA). */
export const IPPROTO = { icmp: 1, igmp: 2, udp: 17, icmp6: 58 } as const;
/** What an IPv6 "next header" names besides protocols (IANA). */
export const NEXT = { hopByHop: 0, routing: 43, fragment: 44, none: 59, destination: 60 } as const;
/** EtherTypes. */
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
