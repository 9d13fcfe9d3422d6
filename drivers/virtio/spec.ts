/**
 * Numbers of virtio 1.x that the driver and the device share. All of it is little-endian.
 *
 * @module
 */

/** Bits of the device status: virtio 1.3, 2.1. */
export const STATUS = {
  /** The driver has found the device. */
  ACKNOWLEDGE: 1,
  /** The driver can drive it. */
  DRIVER: 2,
  /** The driver is set up: the device may run. */
  DRIVER_OK: 4,
  /** The features are agreed on; a device that does not agree keeps it 0. */
  FEATURES_OK: 8,
  /** The device's: it cannot go on without a reset. */
  NEEDS_RESET: 64,
  /** The driver has given up. */
  FAILED: 128,
} as const;

/** Numbers of feature bits, of what driver and device know: virtio 1.3, 5.1.3 and 6. */
export const FEATURE = {
  /** The device completes partial checksums of what is sent. */
  CSUM: 0,
  /** The driver takes received packets with partial checksums. */
  GUEST_CSUM: 1,
  /** The device tells its MTU. */
  MTU: 3,
  /** The device tells its MAC address. */
  MAC: 5,
  /** A received packet may fill several buffers. */
  MRG_RXBUF: 15,
  /** The device tells its link state. */
  STATUS: 16,
  /** There is a control queue. */
  CTRL_VQ: 17,
  /** The control queue sets promiscuous and all-multicast. */
  CTRL_RX: 18,
  /** There may be several queue pairs. */
  MQ: 22,
  /** A descriptor may name a table of descriptors: 2.7.5.3. */
  INDIRECT: 28,
  /** Kicks and interrupts are asked for by index: 2.7.7, 2.7.10. */
  EVENT_IDX: 29,
  /** Virtio 1: nothing else is driven. */
  VERSION_1: 32,
} as const;
/** Name of a feature: a member of {@linkcode FEATURE}. */
export type Feature = keyof typeof FEATURE;

/**
 * A set of features: 64 bits as two words. Never changed: what it answers with is a new one.
 *
 * @example
 * ```ts
 * import { Features } from "@softc/softc/drivers/virtio";
 *
 * const offered = Features.of("MAC", "MTU", "VERSION_1");
 * console.log(offered.without("MTU").names); // ["MAC", "VERSION_1"]
 * ```
 */
export class Features {
  /** The set whose bits 0 to 31 are `low`, 32 to 63 `high`. */
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

/** Flags of a descriptor, and its size in bytes: virtio 1.3, 2.7.5. */
export const DESC = {
  /** The chain goes on. */
  NEXT: 1,
  /** The device writes this part; else it reads it. */
  WRITE: 2,
  /** This part is a table of descriptors: 2.7.5.3. */
  INDIRECT: 4,
  /** Bytes of a descriptor. */
  BYTES: 16,
} as const;

/** The header in front of every packet: lower-case members are byte offsets, upper-case ones its size and flags. Virtio 1.3, 5.1.6. */
export const HEADER = {
  /** Bytes of the header; with VERSION_1 it always has `numBuffers`. */
  BYTES: 12,
  /** 8 bits: NEEDS_CSUM, DATA_VALID. */
  flags: 0,
  /** 16 bits: byte of the frame at which a partial checksum begins. */
  csumStart: 6,
  /** 16 bits: bytes from there to the checksum field. */
  csumOffset: 8,
  /** 16 bits: buffers that a received packet fills. */
  numBuffers: 10,
  /** Flag: the checksum is partial. */
  NEEDS_CSUM: 1,
  /** Flag: the device has checked it. */
  DATA_VALID: 2,
} as const;

/** The device's configuration space: lower-case members are byte offsets. Virtio 1.3, 5.1.4. */
export const CONFIG = {
  /** 6 bytes, with MAC. */
  mac: 0,
  /** 16 bits, with STATUS: LINK_UP. */
  status: 6,
  /** 16 bits, with MQ: queue pairs at most. */
  maxPairs: 8,
  /** 16 bits, with MTU. */
  mtu: 10,
  /** Bytes of what is known here. */
  BYTES: 12,
  /** Bit of `status`. */
  LINK_UP: 1,
} as const;

/** Commands of the control queue, class and command, and its answers: virtio 1.3, 5.1.6.5. */
export const CTRL = {
  /** Class: which packets are received, 5.1.6.5.1. */
  RX: 0,
  /** Command of RX, one byte: 1 = promiscuous. */
  RX_PROMISC: 0,
  /** Command of RX, one byte: 1 = all multicast. */
  RX_ALLMULTI: 1,
  /** Class: queue pairs. */
  MQ: 4,
  /** Command of MQ, 16 bits: pairs that are used. */
  MQ_PAIRS_SET: 0,
  /** Answer, one byte: done. */
  OK: 0,
  /** Answer: not done. */
  ERR: 1,
} as const;

/**
 * Byte offsets of the parts of a split virtqueue of `n` entries (a power of two), and its size in bytes, a multiple of 64. Each part
 * starts on a word, with room for the words of EVENT_IDX. Virtio 1.3, 2.7.
 *
 * @example
 * ```ts
 * import { Virtqueue, queueLayout } from "@softc/softc/drivers/virtio";
 * import { Dma } from "@softc/softc/driver";
 *
 * const { desc, avail, used, bytes } = queueLayout(256);
 * const dma = new Dma(new SharedArrayBuffer(bytes));
 * const queue = new Virtqueue(dma, 256, desc, avail, used, { eventIdx: false });
 * console.log(queue.free); // 256
 * ```
 */
export function queueLayout(n: number): { desc: number; avail: number; used: number; bytes: number } {
  const avail = DESC.BYTES * n;
  const used = (avail + 6 + 2 * n + 3) & ~3;
  return { desc: 0, avail, used, bytes: (used + 8 + 8 * n + 63) & ~63 };
}
