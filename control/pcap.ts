/** Writes a capture as classic pcap with nanoseconds, in pieces: every tool reads it from a pipe. @module */

/** The file's header; `snap` is the longest part of a packet that is kept. */
export function pcapHeader(snap: number): Uint8Array {
  const bytes = new Uint8Array(24);
  const v = new DataView(bytes.buffer);
  v.setUint32(0, 0xa1b23c4d, true); // nanoseconds
  v.setUint16(4, 2, true);
  v.setUint16(6, 4, true);
  v.setUint32(16, snap, true);
  v.setUint32(20, 1, true); // LINKTYPE_ETHERNET
  return bytes;
}

/** One packet; `at` is milliseconds since 1970, with a fraction. */
export function pcapPacket(at: number, packet: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(16 + packet.length);
  const v = new DataView(bytes.buffer);
  const seconds = Math.floor(at / 1000);
  v.setUint32(0, seconds, true);
  v.setUint32(4, Math.floor((at - seconds * 1000) * 1e6), true);
  v.setUint32(8, packet.length, true);
  v.setUint32(12, length, true);
  bytes.set(packet, 16);
  return bytes;
}
