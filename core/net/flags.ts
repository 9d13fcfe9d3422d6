/** Interface flags, types and link states: FreeBSD's numbers where it has one. @module */

/** Interface flags, bits: IFF_* of FreeBSD's net/if.h (MULTICAST is another bit in Linux). */
export const IFF = {
  UP: 0x1,
  BROADCAST: 0x2,
  LOOPBACK: 0x8,
  PROMISC: 0x100,
  ALLMULTI: 0x200,
  MULTICAST: 0x8000,
} as const;

/** Interface types: numbers of IANA's ifType, as IFT_* of FreeBSD's net/if_types.h. */
export const IFT = { ether: 6, loop: 24 } as const;
/** Name of an interface type. */
export type IfType = keyof typeof IFT;

/** What an interface can do for the stack, as IFCAP_* of ifnet(9): "txcsum" completes partial checksums of what it sends. */
export type IfCap = "txcsum";
/** Bits of capabilities. */
export const IFCAP: Readonly<Record<IfCap, number>> = { txcsum: 0x2 };

/** Link states: LINK_STATE_* of FreeBSD's net/if.h. */
export const LINK_STATE = { unknown: 0, down: 1, up: 2 } as const;
/** Name of a link state. */
export type LinkState = keyof typeof LINK_STATE;

/** Where received packets are dispatched. Numbers from 0 on name a CPU. */
export const DISPATCH = { direct: -1, flow: -2 } as const;

/** Bytes of an Ethernet header. Every interface carries Ethernet frames; a loopback's have zero addresses, as in Linux. */
export const ETHER_HEADER = 14;
