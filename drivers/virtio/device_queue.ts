/**
 * A split virtqueue, the device's side, and strict: every index, head, descriptor and address that the driver
 * wrote is checked before it is used, and a mistake is named. After one the device wants a reset.
 *
 * A chain is read once into memory of this side, so a driver that changes it afterwards changes nothing.
 *
 * @module
 */
import type { Dma } from "../../core/device/mod.ts";
import { DESC } from "./spec.ts";

const NOTHING = -1;

/** What the device's side is told. */
export interface DeviceQueueOptions {
  /** EVENT_IDX was negotiated. */
  readonly eventIdx: boolean;
  /** INDIRECT was negotiated. */
  readonly indirect: boolean;
  /** Whether the driver may name the `len` bytes at byte address `at`. */
  valid(at: number, len: number): boolean;
  /** Told of the driver's mistake, once. */
  mistake(what: string): void;
}

/** The device's side of a queue. */
export class DeviceQueue {
  /** The chain that `next` read: byte address of each part, readable parts first. */
  readonly at: number[] = [];
  /** Bytes of each part. */
  readonly len: number[] = [];
  /** Parts of it that the device reads; the rest it writes. */
  readable = 0;
  /** Parts in all. */
  parts = 0;
  /** The driver made a mistake: nothing is read any more. */
  broken = false;
  /** Heads that the device has. */
  readonly #held: Uint8Array;
  #seen = 0;
  #known = 0;
  #used = 0;
  #published = 0;
  #flags = 0;

  /** A queue of `n` entries (a power of two) whose parts lie at byte addresses of `dma`: virtio 1.3, 2.7. */
  constructor(
    readonly dma: Dma,
    readonly n: number,
    readonly desc: number,
    readonly avail: number,
    readonly used: number,
    readonly o: DeviceQueueOptions,
  ) {
    this.#held = new Uint8Array(n);
  }

  /** Chains that wait, as far as is known. */
  get waiting(): number {
    if (this.#seen === this.#known) this.#look();
    return this.broken ? 0 : (this.#known - this.#seen) & 0xffff;
  }

  /** Reads the next chain; its head, or -1 when there is none or the driver made a mistake. */
  next(): number {
    if (this.broken) return NOTHING;
    if (this.#seen === this.#known && !this.#look()) return NOTHING;
    const head = this.dma.get16(this.avail + 4 + 2 * (this.#seen & (this.n - 1)));
    if (head >= this.n) return this.#mistake(`head ${head} of a queue of ${this.n} is available`);
    if (this.#held[head] === 1) return this.#mistake(`head ${head} is available while the device has it`);
    if (!this.#read(head)) return NOTHING;
    this.#held[head] = 1;
    this.#seen = (this.#seen + 1) & 0xffff;
    return head;
  }

  /** Puts the chain back that `next` gave last: the device has no use for it now. */
  unread(head: number): void {
    this.#held[head] = 0;
    this.#seen = (this.#seen - 1) & 0xffff;
  }

  /** Gives the chain of `head` back, `len` bytes written. Not seen by the driver until `publish`. */
  complete(head: number, len: number): void {
    this.#held[head] = 0;
    const at = this.used + 4 + 8 * (this.#used & (this.n - 1));
    this.dma.set(at, head);
    this.dma.set(at + 4, len);
    this.#used = (this.#used + 1) & 0xffff;
  }

  /** Shows the driver what is complete; true when it wants an interrupt. */
  publish(): boolean {
    const { dma } = this;
    const old = this.#published;
    if (old === this.#used) return false;
    this.#published = this.#used;
    dma.store(this.used, this.#used << 16 | this.#flags);
    const avail = dma.load(this.avail);
    if (!this.o.eventIdx) return (avail & 1) === 0;
    const event = dma.load(this.avail + 4 + 2 * this.n) & 0xffff;
    return ((this.#used - event - 1) & 0xffff) < ((this.#used - old) & 0xffff);
  }

  /** Asks for a kick; true when a chain waits already: look again. */
  enable(): boolean {
    if (this.broken) return false;
    if (this.o.eventIdx) this.dma.store(this.used + 4 + 8 * this.n, this.#seen);
    else {
      this.#flags = 0;
      this.dma.store(this.used, this.#published << 16);
    }
    return this.#look();
  }

  /** Asks for no kick. */
  disable(): void {
    if (this.o.eventIdx || this.#flags === 1) return;
    this.#flags = 1;
    this.dma.store(this.used, this.#published << 16 | 1);
  }

  /** Whether a chain waits. */
  #look(): boolean {
    const word = this.dma.load(this.avail);
    const known = word >>> 16;
    if (((known - this.#seen) & 0xffff) > this.n) {
      this.#mistake(`available index jumped from ${this.#seen} to ${known}`);
      return false;
    }
    if ((word & 0xffff) > 1) this.#mistake(`available flags are ${word & 0xffff}`);
    this.#known = known;
    return known !== this.#seen && !this.broken;
  }

  #read(head: number): boolean {
    this.parts = this.readable = 0;
    let table = this.desc;
    let size = this.n;
    let slot = head;
    let indirect = false;
    for (let steps = 0;; steps++) {
      if (steps >= size) return this.#no(`looped descriptor in the chain of head ${head}`);
      const d = table + slot * DESC.BYTES;
      const at = this.dma.get(d);
      const len = this.dma.get(d + 8) >>> 0;
      const last = this.dma.get(d + 12);
      const flags = last & 0xffff;
      if (this.dma.get(d + 4) !== 0 || !this.o.valid(at >>> 0, len)) {
        return this.#no(`descriptor ${slot} names ${len} bytes at ${at >>> 0}, outside the driver's memory`);
      }
      if ((flags & ~7) !== 0) return this.#no(`descriptor ${slot} has unknown flags ${flags}`);
      if ((flags & DESC.INDIRECT) !== 0) {
        if (!this.o.indirect) return this.#no("an indirect descriptor that was not negotiated");
        if (indirect) return this.#no("an indirect table inside an indirect table");
        if ((flags & DESC.NEXT) !== 0) return this.#no("an indirect descriptor with a next one");
        if (len === 0 || len % DESC.BYTES !== 0) return this.#no(`an indirect table of ${len} bytes`);
        indirect = true;
        table = at;
        size = len / DESC.BYTES;
        slot = 0;
        steps = -1;
        continue;
      }
      if (len === 0) return this.#no(`descriptor ${slot} is empty`);
      if ((flags & DESC.WRITE) === 0) {
        if (this.parts > this.readable) return this.#no("a readable part after a writable one");
        this.readable++;
      }
      this.at[this.parts] = at;
      this.len[this.parts++] = len;
      if ((flags & DESC.NEXT) === 0) return true;
      slot = last >>> 16;
      if (slot >= size) return this.#no(`next descriptor ${slot} of a table of ${size}`);
    }
  }

  #no(what: string): false {
    this.#mistake(what);
    return false;
  }

  #mistake(what: string): -1 {
    if (!this.broken) this.o.mistake(what);
    this.broken = true;
    return NOTHING;
  }
}
