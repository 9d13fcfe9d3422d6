/**
 * What a capture is, and the numbers of the two file formats that hold one: pcap and pcapng.
 *
 * @see https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html
 * @see https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html
 *
 * @module
 */

/** Frames start with a 4-byte address family in the byte order of the machine that recorded them. */
export const LINKTYPE_NULL = 0;
/** Frames are Ethernet, without the frame check sequence. */
export const LINKTYPE_ETHERNET = 1;
/** Frames are bare IPv4 or IPv6 packets. */
export const LINKTYPE_RAW = 101;
/** Frames start with a 4-byte address family in network byte order. */
export const LINKTYPE_LOOP = 108;

/** Which way a frame crossed its interface. */
export type Direction = "in" | "out" | "unknown";

/** An interface that frames of a capture were recorded on. */
export interface CaptureInterface {
  /** The recorded name, or `if` and its number in the capture where none is recorded. */
  readonly name: string;
  /** LINKTYPE number (tcpdump.org/linktypes.html): what the frames start with. */
  readonly linkType: number;
  /** Bytes of a frame that were recorded at most; 0 = no limit. */
  readonly snapLength: number;
  /** Bytes of frame check sequence at the end of each frame; 0 = none. */
  readonly fcsLength: number;
  /** The recorded description. */
  readonly description?: string;
  /** Packets that the recorder says it received (the last interface statistics). */
  readonly received?: bigint;
  /** Packets that the recorder says were dropped (the last interface statistics). */
  readonly dropped?: bigint;
}

/** One recorded frame. */
export interface CapturedFrame {
  /** When, in nanoseconds since 1970 UTC. */
  readonly at: bigint;
  /** Where: a position in {@linkcode Capture.interfaces}. */
  readonly interface: number;
  /** What was recorded of it: a view into the file's bytes, not a copy. */
  readonly bytes: Uint8Array;
  /** Its bytes on the wire, at least `bytes.length`. */
  readonly originalLength: number;
  /** Which way it went. */
  readonly direction: Direction;
  /** Why it was dropped, where a softc recorder says that it was. */
  readonly dropReason?: string;
  /** Packets that the recorder lost since the frame before this one on the same interface. */
  readonly lost: bigint;
  /** Comments, in file order. */
  readonly comments: readonly string[];
}

/** A capture file, read. */
export interface Capture {
  /** Interfaces of all sections, in file order. */
  readonly interfaces: readonly CaptureInterface[];
  /** Frames of all sections, in file order, which is not always the order of time. */
  readonly frames: readonly CapturedFrame[];
}

/** A comment with this prefix says why the frame was dropped; there is no option for it. */
export const DROP_COMMENT = "dropped: ";

/** Bits 0 and 1 of epb_flags, as numbered by the format. */
export const DIRECTIONS: readonly Direction[] = ["unknown", "in", "out"];

/** First word of a pcap file; its byte order is the file's. */
export const PCAP_MAGIC = {
  microseconds: 0xa1b2c3d4,
  nanoseconds: 0xa1b23c4d,
} as const;

/** First word of a section's body; its byte order is the section's. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** pcapng block types. The section header reads the same in both byte orders. */
export const BLOCK = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  packet: 2,
  simplePacket: 3,
  interfaceStatistics: 5,
  enhancedPacket: 6,
} as const;

/** pcapng option codes; those above `comment` mean something in one kind of block only. */
export const OPTION = {
  end: 0,
  comment: 1,
  shbApplication: 4,
  ifName: 2,
  ifDescription: 3,
  ifTsresol: 9,
  ifFcslen: 13,
  ifTsoffset: 14,
  packetFlags: 2,
  epbDropcount: 4,
  isbReceived: 4,
  isbDropped: 5,
} as const;

/** Rounds up to the 4 bytes that blocks and options are aligned to. */
export function pad4(length: number): number {
  return Math.ceil(length / 4) * 4;
}
