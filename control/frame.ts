/** Frames for traffic: UDP in IPv4 in Ethernet, with right checksums. @module */

/** What a stream's frames carry. */
export interface FrameOptions {
  /** Length of the frame without its check sequence, 60 to 1514. */
  readonly bytes: number;
  /** Destination, "02:00:00:00:00:01"; broadcast unless given. */
  readonly mac?: string | undefined;
  /** IPv4 addresses; those of TEST-NET-1 unless given (RFC 5737). */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Makes one frame. Its port is discard (RFC 863). */
export function udpFrame(o: FrameOptions): Uint8Array {
  const f = new Uint8Array(o.bytes);
  const v = new DataView(f.buffer);
  f.set((o.mac ?? "ff:ff:ff:ff:ff:ff").split(":").map((x) => parseInt(x, 16)), 0);
  f.set([2, 0, 0, 0, 0, 0xfe], 6);
  v.setUint16(12, 0x0800);
  f.set([0x45, 0], 14);
  v.setUint16(16, o.bytes - 14);
  f.set([64, 17], 22);
  f.set(octets(o.from ?? "192.0.2.1"), 26);
  f.set(octets(o.to ?? "192.0.2.2"), 30);
  v.setUint16(24, sum(v, 14, 34, 0));
  v.setUint16(34, 9);
  v.setUint16(36, 9);
  v.setUint16(38, o.bytes - 34);
  // Pseudo header: addresses, protocol, length.
  let pseudo = 17 + o.bytes - 34;
  for (let at = 26; at < 34; at += 2) pseudo += v.getUint16(at);
  v.setUint16(40, sum(v, 34, o.bytes, pseudo) || 0xffff);
  return f;
}

function octets(address: string): number[] {
  return address.split(".").map(Number);
}

/** The Internet checksum (RFC 1071). */
function sum(v: DataView, from: number, to: number, start: number): number {
  let s = start;
  for (let at = from; at < to; at += 2) s += at + 1 < to ? v.getUint16(at) : v.getUint8(at) << 8;
  while (s > 0xffff) s = (s & 0xffff) + (s >>> 16);
  return ~s & 0xffff;
}
