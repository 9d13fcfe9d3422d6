/**
 * A software USB network adapter, CDC-NCM or CDC-ECM: the other side of the driver. What the host sends comes out
 * of its cable; what is put into the cable goes to the host.
 *
 * @module
 */
import type { UsbFunction } from "./controller.ts";
import { USB } from "./descriptors.ts";
import { type BlockLimits, BlockWriter, readBlock } from "./ncm.ts";
import type { Setup } from "./transfer.ts";

/** What the adapter is. */
export interface NicOptions {
  /** NCM or ECM. */
  readonly kind: "ecm" | "ncm";
  /** 6 bytes. */
  readonly mac: Uint8Array;
  /** Serial number; none unless told. */
  readonly serial?: string;
  /** Frames that wait for the host at most; 256 unless told. */
  readonly queue?: number;
}

const NOTIFY = 0x81;
const BULK_IN = 0x82;
const BULK_OUT = 0x03;
const BLOCK = 16384;
const PACKET = 512;

/**
 * The adapter: plug it into a {@linkcode SoftPort}.
 *
 * @example
 * ```ts
 * import { SoftNic } from "@softc/softc/drivers/usb";
 *
 * const nic = new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
 * console.log(nic.send(new Uint8Array(60)), nic.dropped); // false 1: no driver has opened it
 * ```
 */
export class SoftNic implements UsbFunction {
  wake: (address: number) => void = () => {};
  /** Where frames from the host go: the other end of the cable. */
  onFrame: (frame: Uint8Array) => void = () => {};
  /** Frames from the host. */
  received = 0;
  /** Frames to the host that had no room, or came before it had set the interface up. */
  dropped = 0;
  /** Blocks and frames of the host that were wrong. */
  mistakes = 0;
  /** Packet filter that the host has set: bits of ECM 1.2, 6.2.4. */
  filter = 0;
  /** What it is. */
  readonly options: NicOptions;
  readonly #queue: Uint8Array[] = [];
  readonly #notes: Uint8Array[] = [];
  #configured = false;
  #setting = 0;
  #inSize = BLOCK;
  #linkUp = true;
  #zero = false;

  /** Makes one. */
  constructor(options: NicOptions) {
    this.options = options;
  }

  /** Puts a frame into the cable, to the host; false when it was dropped. */
  send(frame: Uint8Array): boolean {
    if (this.#queue.length >= (this.options.queue ?? 256) || this.#setting === 0) {
      this.dropped++;
      return false;
    }
    this.#queue.push(frame);
    this.wake(BULK_IN);
    return true;
  }

  /** The cable is in, or out. */
  link(up: boolean): void {
    this.#linkUp = up;
    this.#notes.push(Uint8Array.of(0xa1, USB.NOTIFY_CONNECTION, up ? 1 : 0, 0, 0, 0, 0, 0));
    this.wake(NOTIFY);
  }

  control(s: Setup, data: Uint8Array): Uint8Array | undefined {
    const none = new Uint8Array(0);
    if (s.type === 0x80 && s.request === USB.GET_DESCRIPTOR) {
      return this.#descriptor(s.value >> 8, s.value & 255);
    }
    if (s.type === 0 && s.request === USB.SET_CONFIGURATION) {
      this.#configured = s.value === 1;
      this.#setting = 0;
      return this.#configured ? none : undefined;
    }
    if (!this.#configured) return undefined;
    if (s.type === 1 && s.request === USB.SET_INTERFACE && s.index === 1 && s.value <= 1) {
      this.#setting = s.value;
      this.#queue.length = 0;
      if (s.value === 1) this.link(this.#linkUp);
      return none;
    }
    if (s.type === 2 && s.request === USB.CLEAR_FEATURE) return none;
    if (s.type === 0x21 && s.request === USB.SET_PACKET_FILTER) {
      this.filter = s.value;
      return none;
    }
    if (this.options.kind !== "ncm") return undefined;
    if (s.type === 0xa1 && s.request === USB.GET_NTB_PARAMETERS) return NTB_PARAMETERS;
    if (s.type === 0x21 && s.request === USB.SET_NTB_INPUT_SIZE && data.length === 4) {
      this.#inSize = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
      return none;
    }
    return undefined;
  }

  in(address: number, max: number): Uint8Array | undefined {
    if (address === NOTIFY) return this.#notes.shift();
    if (this.#zero) {
      this.#zero = false;
      return new Uint8Array(0);
    }
    if (this.#queue.length === 0) return undefined;
    if (this.options.kind === "ecm") return this.#queue.shift();
    const block = new Uint8Array(Math.min(max, this.#inSize));
    this.#writer ??= new BlockWriter({ ...LIMITS, outSize: block.length });
    const w = this.#writer;
    w.reset();
    while (this.#queue.length > 0) {
      const at = w.place(this.#queue[0]!.length);
      if (at < 0) break;
      block.set(this.#queue.shift()!, at);
    }
    return block.subarray(0, w.finish(block));
  }

  out(address: number, bytes: Uint8Array): boolean {
    if (address !== BULK_OUT || this.#setting === 0) return true;
    if (this.options.kind === "ecm") {
      if (bytes.length < 14) this.mistakes++;
      else this.#frame(bytes.slice());
      return true;
    }
    const { refused, skipped } = readBlock(
      bytes,
      bytes.length,
      2048,
      (at, len) => this.#frame(bytes.slice(at, at + len)),
    );
    this.mistakes += skipped + (refused === undefined ? 0 : 1);
    return true;
  }

  #writer: BlockWriter | undefined;

  #frame(frame: Uint8Array): void {
    this.received++;
    this.onFrame(frame);
  }

  #descriptor(type: number, index: number): Uint8Array | undefined {
    const { kind, mac, serial } = this.options;
    if (type === USB.DEVICE) {
      return Uint8Array.of(
        18,
        1,
        0,
        2,
        2,
        0,
        0,
        64,
        0x25,
        0x05,
        kind === "ncm" ? 0xa1 : 0xa4,
        0xa4,
        0,
        1,
        0,
        0,
        serial === undefined ? 0 : 2,
        1,
      );
    }
    if (type === USB.CONFIGURATION && index === 0) return configuration(kind);
    if (type !== USB.STRING) return undefined;
    if (index === 0) return Uint8Array.of(4, 3, 9, 4);
    if (index === 1) return text([...mac].map((b) => b.toString(16).padStart(2, "0").toUpperCase()).join(""));
    return index === 2 && serial !== undefined ? text(serial) : undefined;
  }
}

const LIMITS: BlockLimits = {
  inSize: BLOCK,
  outSize: BLOCK,
  divisor: 4,
  remainder: 0,
  alignment: 4,
  frames: 32,
};

/** GET_NTB_PARAMETERS of the adapter (NCM 1.0, table 6-3). */
const NTB_PARAMETERS = Uint8Array.of(
  28,
  0,
  1,
  0,
  /* in */ 0,
  0x40,
  0,
  0,
  4,
  0,
  0,
  0,
  4,
  0,
  0,
  0,
  /* out */ 0,
  0x40,
  0,
  0,
  4,
  0,
  0,
  0,
  4,
  0,
  32,
  0,
);

function text(s: string): Uint8Array {
  const d = new Uint8Array(2 + 2 * s.length);
  d.set([d.length, USB.STRING]);
  for (let i = 0; i < s.length; i++) d[2 + 2 * i] = s.charCodeAt(i);
  return d;
}

/** Control interface 0 with its class descriptors, data interface 1 with a setting without endpoints and one with two. */
function configuration(kind: "ecm" | "ncm"): Uint8Array {
  const body = [
    ...[9, 4, 0, 0, 1, 2, kind === "ncm" ? USB.NCM : USB.ECM, 0, 0],
    ...[5, 0x24, 0, 0x10, 1],
    ...[5, 0x24, USB.UNION, 0, 1],
    ...[13, 0x24, USB.ETHERNET, 1, 0, 0, 0, 0, 0xea, 5, 0, 0, 0],
    ...(kind === "ncm" ? [6, 0x24, USB.NCM_FUNCTION, 0, 1, 1] : []),
    ...[7, 5, NOTIFY, USB.INTERRUPT, 16, 0, 9],
    ...[9, 4, 1, 0, 0, 10, 0, kind === "ncm" ? 1 : 0, 0],
    ...[9, 4, 1, 1, 2, 10, 0, kind === "ncm" ? 1 : 0, 0],
    ...[7, 5, BULK_IN, USB.BULK, PACKET & 255, PACKET >> 8, 0],
    ...[7, 5, BULK_OUT, USB.BULK, PACKET & 255, PACKET >> 8, 0],
  ];
  const total = body.length + 9;
  return Uint8Array.of(9, USB.CONFIGURATION, total & 255, total >> 8, 2, 1, 0, 0x80, 50, ...body);
}
