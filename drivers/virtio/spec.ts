/**
 * Numbers of virtio 1.x that the driver and the device share. All of it is little-endian.
 *
 * @module
 */

/** Bits of the device status: virtio 1.2, 2.1. */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Numbers of feature bits, of what driver and device know: virtio 1.2, 5.1.3 and 6. */
export const FEATURE = {
  CSUM: 0,
  GUEST_CSUM: 1,
  MTU: 3,
  MAC: 5,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  MQ: 22,
  INDIRECT: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
} as const;
/** Name of a feature. */
export type Feature = keyof typeof FEATURE;

/** A set of features: 64 bits as two words. */
export class Features {
  /** Makes one. */
  constructor(readonly low: number, readonly high: number) {}

  /** All that driver and device know. */
  static readonly known: Features = Features.of(...Object.keys(FEATURE) as Feature[]);

  /** The set of the named ones. */
  static of(...names: Feature[]): Features {
    let low = 0;
    let high = 0;
    for (const n of names) {
      if (FEATURE[n] < 32) low |= 1 << FEATURE[n];
      else high |= 1 << (FEATURE[n] - 32);
    }
    return new Features(low, high);
  }
  /** Whether a feature is in it. */
  has(name: Feature): boolean {
    const bit = FEATURE[name];
    return ((bit < 32 ? this.low >>> bit : this.high >>> (bit - 32)) & 1) === 1;
  }
  /** What is in both. */
  and(o: Features): Features {
    return new Features(this.low & o.low, this.high & o.high);
  }
  /** Without the named ones. */
  without(...names: Feature[]): Features {
    const no = Features.of(...names);
    return new Features(this.low & ~no.low, this.high & ~no.high);
  }
  /** Whether the two are the same set. */
  equals(o: Features): boolean {
    return this.low === o.low && this.high === o.high;
  }
  /** Names of what is in it, of those known here. */
  get names(): Feature[] {
    return (Object.keys(FEATURE) as Feature[]).filter((n) => this.has(n));
  }
}

/** Flags of a descriptor, and its size in bytes: virtio 1.2, 2.7.5. */
export const DESC = { NEXT: 1, WRITE: 2, INDIRECT: 4, BYTES: 16 } as const;

/** The header in front of every packet, 12 bytes with VERSION_1: byte offsets and flags. virtio 1.2, 5.1.6. */
export const HEADER = {
  BYTES: 12,
  flags: 0,
  csumStart: 6,
  csumOffset: 8,
  numBuffers: 10,
  NEEDS_CSUM: 1,
  DATA_VALID: 2,
} as const;

/** The device's configuration space, byte offsets: virtio 1.2, 5.1.4. */
export const CONFIG = { mac: 0, status: 6, maxPairs: 8, mtu: 10, BYTES: 12, LINK_UP: 1 } as const;

/** Commands of the control queue, class and command, and its answers: virtio 1.2, 5.1.6.5. */
export const CTRL = {
  RX: 0,
  RX_PROMISC: 0,
  RX_ALLMULTI: 1,
  MQ: 4,
  MQ_PAIRS_SET: 0,
  OK: 0,
  ERR: 1,
} as const;

/** Byte offsets of the parts of a split virtqueue of `n` entries, and its size. Each part starts on a word. virtio 1.2, 2.7. */
export function queueLayout(n: number): { desc: number; avail: number; used: number; bytes: number } {
  const avail = DESC.BYTES * n;
  const used = (avail + 6 + 2 * n + 3) & ~3;
  return { desc: 0, avail, used, bytes: (used + 8 + 8 * n + 63) & ~63 };
}
