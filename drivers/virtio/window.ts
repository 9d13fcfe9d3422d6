/**
 * A virtio transport over the kernel's own memory: registers, doorbells and queues lie in the shared softc of
 * the software device, and packets are read and written where they lie. Driver and device may run on different
 * CPUs; a doorbell is a word that changes and a CPU that is woken.
 *
 * A register has one writer. The status is two words: what the driver asked for (with a sequence number) and what
 * the device made of it (with the number that it answers), so a reset is acked by the device and by nobody else.
 *
 * @module
 */
import { type Dev, type Dma, SoftcError } from "../../core/device/mod.ts";
import { CONFIG, Features, queueLayout, STATUS } from "./spec.ts";
import type { Transport } from "./transport.ts";
import { Waiters } from "./waiters.ts";

/** Queue pairs of a window. */
export const WINDOW_PAIRS = 4;
/** Entries of each queue of a window. */
export const WINDOW_ENTRIES = 256;
/** Queues: a receive and a transmit queue for each pair, and the control queue. */
export const WINDOW_QUEUES = 2 * WINDOW_PAIRS + 1;

const RINGS = queueLayout(WINDOW_ENTRIES).bytes;
/** Memory of the driver's own, in front of the queues: commands, a table, the phase of its CPUs. */
const SCRATCH = 256;

const RINGS_AT = 640 + SCRATCH;

/** Byte offsets from `dev.window` on, of words unless told: the device's, the driver's, the doorbells, each on lines of their own. Upper-case members are sizes in bytes and the magic number. Where they are registers of virtio, sections are of virtio 1.3. */
export const WINDOW = {
  /** The device's: MAGIC. */
  magic: 0,
  /** The device's: 1 while it lives; 0 = it touches nothing any more. */
  alive: 4,
  /** The device's: sequence number that it answered last. */
  answered: 8,
  /** The device's: the status that it made of what was asked, bits of `STATUS` (2.1). */
  status: 12,
  /** The device's: feature bits 0 to 31 that it offers (2.2). */
  offerLow: 16,
  /** The device's: feature bits 32 to 63 that it offers. */
  offerHigh: 20,
  /** The device's: queues that it has, the control queue included. */
  queues: 24,
  /** The device's: entries of each queue at most. */
  entries: 28,
  /** The device's: the CPU that it runs on. */
  cpu: 32,
  /** The device's: its configuration space, `CONFIG.BYTES` bytes (5.1.4). */
  config: 36,
  /** The driver's: sequence number of what it asks for. */
  asked: 128,
  /** The driver's: the status that it asks for; 0 = reset. */
  wanted: 132,
  /** The driver's: feature bits 0 to 31 that it accepts (2.2). */
  acceptLow: 136,
  /** The driver's: feature bits 32 to 63 that it accepts. */
  acceptHigh: 140,
  /** The driver's: the CPU that hears of changes. */
  driverCpu: 144,
  /** The driver's: of each queue QUEUE_BYTES, its entries, addresses of descriptors, avail and used ring, CPU. */
  queue: 148,
  /** Bytes for each queue at `queue`. */
  QUEUE_BYTES: 20,
  /** Between the CPUs of the driver: the phase that the home CPU is in. */
  phase: 336,
  /** Between the CPUs of the driver: how many have followed. */
  followed: 340,
  /** Between the CPUs of the driver: 1 = one of them found the device wrong. */
  broken: 344,
  /** Doorbells to the device: a word for each queue, then one for the status. */
  toDevice: 384,
  /** Doorbells to the driver: the same. */
  toDriver: 512,
  /** Memory of the driver's own, 256 bytes. */
  scratch: 640,
  /** The queues, one behind the other, each with room for 256 entries laid out by `queueLayout`. */
  rings: RINGS_AT as number,
  /** Bytes in all. */
  BYTES: (RINGS_AT + WINDOW_QUEUES * RINGS) as number,
  /** What `magic` reads: "virt". */
  MAGIC: 0x74726976,
} as const;

/**
 * The driver's end of a window, on one CPU.
 *
 * @example In the driver of a device that is plugged in with a `vhost` interface as its parent
 * ```ts
 * import { defineDriver } from "@softc/softc/driver";
 * import { WindowTransport } from "@softc/softc/drivers/virtio";
 *
 * export default defineDriver({
 *   name: "peek",
 *   api: 1,
 *   match: [{ bus: "virtio", device: 1 }],
 *   attach(dev) {
 *     const t = new WindowTransport(dev);
 *     dev.log.info(t.gone ? "gone" : "there");
 *     dev.ifnet({ type: "ether" });
 *     return { t };
 *   },
 *   transmit: (_sc, batch) => batch.freeAll(),
 * });
 * ```
 */
export class WindowTransport implements Transport {
  readonly dma: Dma;
  readonly bounce = false;
  readonly #dev: Dev;
  readonly #at: number;
  readonly #waiters = new Waiters();

  /** The window that `dev` was plugged in with. @throws {SoftcError} `SOFTC_DEV_GONE` when no virtio device is behind it */
  constructor(dev: Dev) {
    this.#dev = dev;
    this.dma = dev.dma;
    this.#at = dev.window;
    if (dev.window === 0 || this.#get(WINDOW.magic) !== WINDOW.MAGIC) {
      throw new SoftcError("SOFTC_DEV_GONE", "Cannot use a virtio window", {
        state: dev.window === 0 ? "the device was plugged in without a parent" : "no virtio device behind it",
        wanted: "a virtio device behind it",
        fix: "plug it in with { parent: the vhost interface }",
      });
    }
  }

  get gone(): boolean {
    return this.dma.load(this.#at + WINDOW.alive) === 0;
  }

  features(): Promise<Features> {
    return Promise.resolve(new Features(this.#get(WINDOW.offerLow), this.#get(WINDOW.offerHigh)));
  }

  accept(f: Features): Promise<void> {
    this.#set(WINDOW.acceptLow, f.low);
    this.#set(WINDOW.acceptHigh, f.high);
    return Promise.resolve();
  }

  /** What was accepted: for the other CPUs of the driver. */
  get accepted(): Features {
    return new Features(this.#get(WINDOW.acceptLow), this.#get(WINDOW.acceptHigh));
  }

  status(): Promise<number> {
    const found = this.dma.load(this.#at + WINDOW.broken) === 0 ? 0 : STATUS.NEEDS_RESET;
    return Promise.resolve(this.gone ? 0 : this.dma.load(this.#at + WINDOW.status) | found);
  }

  async setStatus(value: number): Promise<number> {
    const asked = (this.#get(WINDOW.asked) + 1) | 0;
    this.#set(WINDOW.driverCpu, this.#dev.cpu);
    if (value === 0) this.dma.store(this.#at + WINDOW.broken, 0);
    this.#set(WINDOW.wanted, value);
    this.dma.store(this.#at + WINDOW.asked, asked);
    this.#dev.kick(this.#get(WINDOW.cpu), this.#bell(WINDOW.toDevice, WINDOW_QUEUES));
    while (!this.gone && this.dma.load(this.#at + WINDOW.answered) !== asked) {
      await this.#waiters.wait();
    }
    return await this.status();
  }

  config(at: number, bytes: 1 | 2 | 4): Promise<number> {
    const { u8 } = this.dma;
    let v = 0;
    for (let i = bytes - 1; i >= 0; i--) v = v << 8 | u8[this.#at + WINDOW.config + at + i]!;
    return Promise.resolve(v >>> 0);
  }

  queueMax(i: number): Promise<number> {
    return Promise.resolve(i < this.#get(WINDOW.queues) ? this.#get(WINDOW.entries) : 0);
  }

  memory(what: string, bytes: number): number {
    const queue = /^queue (\d+)$/.exec(what);
    const at = this.#at + (queue === null ? WINDOW.scratch : WINDOW.rings + Number(queue[1]) * RINGS);
    this.dma.u8.fill(0, at, at + bytes);
    return at;
  }

  enable(i: number, n: number, desc: number, avail: number, used: number, cpu: number): Promise<void> {
    const at = WINDOW.queue + i * WINDOW.QUEUE_BYTES;
    [n, desc, avail, used, cpu].forEach((v, k) => this.#set(at + 4 * k, v));
    return Promise.resolve();
  }

  /** Where a queue is that the home CPU has enabled: entries, and the addresses of its parts. */
  queueAt(i: number): [n: number, desc: number, avail: number, used: number] {
    const at = WINDOW.queue + i * WINDOW.QUEUE_BYTES;
    return [this.#get(at), this.#get(at + 4), this.#get(at + 8), this.#get(at + 12)];
  }

  /** A CPU of the driver found the device wrong: the home CPU hears it as if the device had said so. */
  needsReset(): void {
    this.dma.store(this.#at + WINDOW.broken, 1);
    this.#dev.kick(this.#get(WINDOW.driverCpu), this.#bell(WINDOW.toDriver, WINDOW_QUEUES));
  }

  /** Home CPU, before any other follows: the first phase. */
  begin(): void {
    this.dma.store(this.#at + WINDOW.phase, 0);
  }

  /** The phase that the home CPU is in. */
  get phase(): number {
    return this.dma.load(this.#at + WINDOW.phase);
  }

  /** A CPU has followed; the home CPU hears of it. */
  follow(): void {
    this.dma.add(this.#at + WINDOW.followed, 1);
    this.#dev.kick(this.#get(WINDOW.driverCpu), this.#bell(WINDOW.toDriver, WINDOW_QUEUES));
  }

  /** Home CPU: the next phase. Resolves when `cpus` CPUs have followed, or `givenUp` says so. */
  async advance(cpus: number, waiters: Waiters, givenUp: () => boolean): Promise<void> {
    this.dma.store(this.#at + WINDOW.followed, 0);
    this.dma.add(this.#at + WINDOW.phase, 1);
    for (let k = 0; k < cpus; k++) this.#dev.kick(k, this.#bell(WINDOW.toDriver, 2 * k));
    while (this.dma.load(this.#at + WINDOW.followed) < cpus && !givenUp()) await waiters.wait();
  }

  kick(i: number): void {
    this.#dev.kick(this.#get(WINDOW.cpu), this.#bell(WINDOW.toDevice, i));
  }

  listen(pair: number, fn: () => void): void {
    this.#dev.listen(this.#bell(WINDOW.toDriver, 2 * pair), fn);
    this.#dev.listen(this.#bell(WINDOW.toDriver, 2 * pair + 1), fn);
  }

  watch(fn: () => void): void {
    this.#dev.listen(this.#bell(WINDOW.toDriver, WINDOW_QUEUES), () => {
      this.#waiters.wake();
      fn();
    });
  }

  #bell(side: number, i: number): number {
    return this.#at + side + 4 * i;
  }
  #get(offset: number): number {
    return this.dma.get(this.#at + offset);
  }
  #set(offset: number, value: number): void {
    this.dma.set(this.#at + offset, value);
  }
}

/** Writes the device's configuration space. */
export function writeConfig(
  dma: Dma,
  window: number,
  c: { mac: Uint8Array; linkUp: boolean; pairs: number; mtu: number },
): void {
  const at = window + WINDOW.config;
  dma.u8.set(c.mac, at + CONFIG.mac);
  dma.u8[at + CONFIG.status] = c.linkUp ? CONFIG.LINK_UP : 0;
  dma.u8[at + CONFIG.status + 1] = 0;
  dma.u8[at + CONFIG.maxPairs] = c.pairs;
  dma.u8[at + CONFIG.maxPairs + 1] = 0;
  dma.u8[at + CONFIG.mtu] = c.mtu & 255;
  dma.u8[at + CONFIG.mtu + 1] = c.mtu >> 8;
}
