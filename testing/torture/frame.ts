/** Frames that carry the vnet that sent them: a driver can tell one that leaves under another. @module */

/** An EtherType for experiments (IEEE 802, local experimental 1). */
const ETHERTYPE = 0x88b5;
const MAGIC = 0x544f5254;
const AT = { type: 12, magic: 16, vnet: 20 } as const;

/** A frame of vnet number `vnet`. */
export function taggedFrame(vnet: number, len: number): Uint8Array {
  const f = new Uint8Array(len);
  const v = new DataView(f.buffer);
  f.fill(0xff, 0, 6);
  f.set([2, 0, 0, 0, 0, 1], 6);
  v.setUint16(AT.type, ETHERTYPE);
  v.setUint32(AT.magic, MAGIC);
  v.setUint32(AT.vnet, vnet);
  return f;
}

/** The vnet that a frame names; undefined for any other frame. */
export function tagOf(f: Uint8Array): number | undefined {
  if (f.length < 24) return undefined;
  const v = new DataView(f.buffer, f.byteOffset, f.length);
  if (v.getUint16(AT.type) !== ETHERTYPE || v.getUint32(AT.magic) !== MAGIC) return undefined;
  return v.getUint32(AT.vnet);
}
