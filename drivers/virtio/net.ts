/**
 * virtio-net: the driver proper. One queue pair on the home CPU (`virtio-net`), or one on every CPU
 * (`virtio-net-mq`, for devices that have a pair for each).
 *
 * A packet that was given to the device belongs to the device until the queue gives it back, or the device has
 * acked a reset: then every buffer comes back exactly once (queue.ts, 5). A device that never acks keeps them.
 *
 * @module
 */
import { type Batch, defineDriver, type Dev, type Driver, SoftcError } from "../../core/device/mod.ts";
import { BounceBuffers, type Buffers, PacketBuffers } from "./buffers.ts";
import { completeChecksum } from "./checksum.ts";
import { CONFIG, CTRL, type Feature, Features, HEADER, queueLayout, STATUS } from "./spec.ts";
import type { Transport } from "./transport.ts";
import { Virtqueue } from "./queue.ts";
import { Waiters } from "./waiters.ts";
import { WindowTransport } from "./window.ts";

/** Options of the driver, given when the device is plugged in. */
export interface VirtioNetOptions {
  /** Features not to use. */
  readonly without?: readonly Feature[];
  /** Entries of each queue; as many as the device has, at most 256, unless told. */
  readonly entries?: number;
  /** Bytes of a receive buffer; a whole packet unless told. Less needs MRG_RXBUF. */
  readonly rxBuffer?: number;
}

const WANTED: readonly Feature[] = [
  "CSUM",
  "GUEST_CSUM",
  "MTU",
  "MAC",
  "MRG_RXBUF",
  "STATUS",
  "CTRL_VQ",
  "CTRL_RX",
  "MQ",
  "INDIRECT",
  "EVENT_IDX",
  "VERSION_1",
];
const ENTRIES = 256;
const MTU_MAX = 1958;
const RX_BUDGET = 64;

/** One pair of queues, on one CPU. */
export class QueuePair {
  running = false;
  #rx: Virtqueue | undefined;
  #tx: Virtqueue | undefined;
  #buffers: Buffers | undefined;
  #features = new Features(0, 0);
  #parts: number[] = [];
  readonly #again;

  constructor(
    readonly dev: Dev,
    readonly t: Transport,
    readonly pair: number,
    readonly trouble: (what: string) => void,
  ) {
    this.#again = dev.interrupt(() => this.interrupt());
    t.listen(pair, () => this.interrupt());
  }

  /** Takes queues into use: the device may not run yet. */
  use(rx: Virtqueue, tx: Virtqueue, features: Features, rxBuffer: number): void {
    const name = `buffers ${this.pair}`;
    this.#buffers = this.t.bounce
      ? new BounceBuffers(this.dev, this.t, name, rx.n + tx.n, rxBuffer)
      : new PacketBuffers(this.dev, rxBuffer);
    [this.#rx, this.#tx, this.#features] = [rx, tx, features];
  }

  /** The device runs: gives it buffers to receive into. */
  start(): void {
    this.running = true;
    this.#tx!.disable();
    this.#refill();
    if (this.#rx!.enable()) this.#again.ring();
    this.dev.txWake(this.pair);
  }

  /** Sends from the front of the batch; returns how many. */
  transmit(b: Batch): number {
    if (!this.running) return 0;
    const tx = this.#tx!;
    const n = b.length;
    if (tx.free < n) this.#reclaim();
    let sent = 0;
    for (; sent < n && tx.free > 0; sent++) {
      this.#buffers!.send(b, sent);
      tx.add(this.#buffers!.at, this.#buffers!.size, false, this.#buffers!.cookie);
    }
    if (tx.publish()) this.t.kick(2 * this.pair + 1);
    // No room: hear of the next completion. One that came meanwhile is taken up in the next turn.
    if (sent < n && tx.enable()) this.#again.ring();
    return sent;
  }

  /** Completions may wait. */
  interrupt(): void {
    if (!this.running) return;
    if (this.#reclaim() > 0) {
      this.#tx!.disable();
      this.dev.txWake(this.pair);
    }
    const n = this.#receive();
    if (n > 0) this.#refill();
    if (n === RX_BUDGET || this.#rx!.enable()) this.#again.ring();
    const broken = this.#rx!.broken ?? this.#tx!.broken;
    if (broken !== undefined) {
      this.running = false;
      this.trouble(broken);
    }
  }

  /** The device has acked its reset: every buffer comes back. */
  release(): number {
    this.running = false;
    if (this.#parts.length > 0) this.#dropParts();
    const back = (this.#tx?.drain((c) => this.#buffers!.drop(c)) ?? 0) +
      (this.#rx?.drain((c) => this.#buffers!.drop(c)) ?? 0);
    this.#buffers?.dropSpare();
    this.#rx = this.#tx = this.#buffers = undefined;
    return back;
  }

  #reclaim(): number {
    const tx = this.#tx!;
    let n = 0;
    for (let c = tx.take(); c >= 0; c = tx.take(), n++) this.#buffers!.sent(c);
    return n;
  }

  #refill(): void {
    const rx = this.#rx!;
    const buffers = this.#buffers!;
    while (rx.free > 0 && buffers.post()) rx.add(buffers.at, buffers.size, true, buffers.cookie);
    if (rx.publish()) this.t.kick(2 * this.pair);
  }

  #receive(): number {
    const rx = this.#rx!;
    const b = this.dev.gather();
    let taken = 0;
    for (; taken < RX_BUDGET; taken++) {
      const cookie = rx.take();
      if (cookie < 0) break;
      if (this.#parts.length > 0) this.#part(b, cookie, rx.len);
      else this.#packet(b, cookie, rx.len);
    }
    if (b.length > 0) this.dev.ifInput(b, this.pair);
    return taken;
  }

  /** A packet, or the first part of one. */
  #packet(b: Batch, cookie: number, len: number): void {
    const { dma } = this.t;
    const at = this.#buffers!.address(cookie);
    const buffers = len < HEADER.BYTES
      ? 0
      : dma.u8[at + HEADER.numBuffers]! | dma.u8[at + HEADER.numBuffers + 1]! << 8;
    const wanted = this.#features.has("MRG_RXBUF") ? buffers : 1;
    if (len < HEADER.BYTES + 14 && wanted <= 1 || wanted === 0) return this.#bad(cookie);
    if (dma.u8[at + HEADER.flags]! & HEADER.NEEDS_CSUM && wanted === 1) {
      if (
        !this.#features.has("GUEST_CSUM") ||
        !completeChecksum(dma.u8, at, at + HEADER.BYTES, len - HEADER.BYTES)
      ) return this.#bad(cookie);
    }
    if (wanted > 1) this.#parts = [cookie, len, wanted - 1, len];
    else this.#buffers!.deliver(b, cookie, len - HEADER.BYTES);
  }

  /** A further part: appended to the first, whose buffer holds a whole packet. [cookie, bytes, parts to come] */
  #part(b: Batch, cookie: number, len: number): void {
    const parts = this.#parts;
    const { u8 } = this.t.dma;
    const first = this.#buffers!.address(parts[0]!);
    const from = this.#buffers!.address(cookie);
    if (parts[1]! + len <= HEADER.BYTES + 1984) u8.copyWithin(first + parts[1]!, from, from + len);
    parts[1]! += len;
    parts[2]!--;
    this.#buffers!.drop(cookie);
    if (parts[2]! > 0) return;
    this.#parts = [];
    const whole = parts[1]! - HEADER.BYTES;
    const csum = (u8[first + HEADER.flags]! & HEADER.NEEDS_CSUM) !== 0;
    if (whole > 1984 || whole < 14 || (csum && !completeChecksum(u8, first, first + HEADER.BYTES, whole))) {
      return this.#bad(parts[0]!);
    }
    this.#buffers!.deliver(b, parts[0]!, whole);
  }

  #bad(cookie: number): void {
    this.dev.count("rx_bad");
    this.#buffers!.drop(cookie);
  }

  #dropParts(): void {
    this.#buffers!.drop(this.#parts[0]!);
    this.#parts = [];
  }
}

/** A virtio network device: what its home CPU keeps. */
export class VirtioNet {
  readonly pairs: QueuePair[] = [];
  features: Features = new Features(0, 0);
  mac: Uint8Array | undefined;
  mtu = 1500;
  /** Pairs that the device has. */
  maxPairs = 1;
  #ctrl: { queue: Virtqueue; at: number; index: number } | undefined;
  readonly #waiters = new Waiters();
  #recovering = false;
  #stopped = false;
  readonly entries: number;

  constructor(readonly dev: Dev<VirtioNetOptions | undefined>, readonly t: Transport) {
    this.entries = dev.options?.entries ?? ENTRIES;
    t.watch(() => this.#changed());
  }

  /** Brings the device up to FEATURES_OK: what it is, is known then. */
  async negotiate(): Promise<void> {
    const { t } = this;
    const features = t.gone ? this.#refuse("it is gone") : await this.#reset().then(() => t.features());
    await t.setStatus(STATUS.ACKNOWLEDGE);
    await t.setStatus(STATUS.ACKNOWLEDGE | STATUS.DRIVER);
    if (!features.has("VERSION_1")) this.#refuse("it is not virtio 1");
    let f = features.and(Features.of(...WANTED)).without(...this.dev.options?.without ?? []);
    if (!f.has("CTRL_VQ")) f = f.without("CTRL_RX", "MQ");
    if (f.has("MTU")) {
      const mtu = await t.config(CONFIG.mtu, 2);
      if (mtu < 72) f = f.without("MTU");
      else this.mtu = Math.min(mtu, MTU_MAX);
    }
    await t.accept(f);
    const status = await t.setStatus(STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FEATURES_OK);
    if ((status & STATUS.FEATURES_OK) === 0) this.#refuse("it does not accept the features");
    this.features = f;
    if (f.has("MAC")) {
      const [low, high] = [await t.config(CONFIG.mac, 4), await t.config(CONFIG.mac + 4, 2)];
      this.mac = Uint8Array.of(low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8);
    }
    this.maxPairs = f.has("MQ") ? Math.max(1, await t.config(CONFIG.maxPairs, 2)) : 1;
  }

  /** Makes the queues of `pairs` pairs known and starts the device. */
  async start(pairs: number): Promise<void> {
    const { t, dev, features } = this;
    for (let k = 0; k < pairs; k++) {
      const cpu = pairs > 1 ? k : dev.cpu;
      const [rx, tx] = [await this.queue(2 * k, cpu), await this.queue(2 * k + 1, cpu)];
      this.pairs[k]?.use(rx, tx, features, dev.options?.rxBuffer ?? 1984);
    }
    if (features.has("CTRL_VQ")) {
      const index = 2 * this.maxPairs;
      this.#ctrl = { queue: await this.queue(index, dev.cpu), at: t.memory("commands", 256), index };
    }
    const status = STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FEATURES_OK | STATUS.DRIVER_OK;
    if ((await t.setStatus(status) & STATUS.DRIVER_OK) === 0 && !t.gone) this.#refuse("it does not start");
    if (pairs > 1 && !await this.command(CTRL.MQ, CTRL.MQ_PAIRS_SET, [pairs & 255, pairs >> 8])) {
      this.#refuse(`it refuses ${pairs} pairs`);
    }
    await this.#link();
  }

  /** Queue `i` in fresh memory. */
  async queue(i: number, cpu: number): Promise<Virtqueue> {
    const n = Math.min(this.entries, await this.t.queueMax(i));
    if (n < 2 || (n & (n - 1)) !== 0) this.#refuse(`its queue ${i} has ${n} entries`);
    const { avail, used, bytes } = queueLayout(n);
    const at = this.t.memory(`queue ${i}`, bytes);
    await this.t.enable(i, n, at, at + avail, at + used, cpu);
    return new Virtqueue(this.t.dma, n, at, at + avail, at + used, {
      eventIdx: this.features.has("EVENT_IDX"),
    });
  }

  /** Declares the interface. */
  declare(): void {
    const { mac, mtu } = this;
    this.dev.ifnet({ type: "ether", mtu: Math.min(mtu, 1500), ...(mac === undefined ? {} : { mac }) });
  }

  /** Sends a command through the control queue; whether the device said OK. One at a time. */
  async command(cls: number, cmd: number, data: readonly number[]): Promise<boolean> {
    const c = this.#ctrl;
    if (c === undefined) return false;
    const { u8 } = this.t.dma;
    const [body, ack, table] = [c.at + 64, c.at + 128, c.at + 160];
    u8.set([cls, cmd], c.at);
    u8.set(data, body);
    u8[ack] = CTRL.ERR;
    c.queue.addChain(
      [{ at: c.at, len: 2, write: false }, { at: body, len: data.length, write: false }, {
        at: ack,
        len: 1,
        write: true,
      }],
      0,
      this.features.has("INDIRECT") ? table : undefined,
    );
    if (c.queue.publish()) this.t.kick(c.index);
    // A device that has gone answers no more: asked again, never spun on.
    while (c.queue.take() < 0) {
      if (this.t.gone || c.queue.broken !== undefined || this.dev.signal.aborted) return false;
      if (!c.queue.enable()) await this.#waiters.wait();
    }
    return u8[ack] === CTRL.OK;
  }

  /** A change of flags. */
  async set(change: { promisc?: boolean; allmulti?: boolean }): Promise<void> {
    if (!this.features.has("CTRL_RX")) return;
    if (change.promisc !== undefined) await this.command(CTRL.RX, CTRL.RX_PROMISC, [Number(change.promisc)]);
    if (change.allmulti !== undefined) {
      await this.command(CTRL.RX, CTRL.RX_ALLMULTI, [Number(change.allmulti)]);
    }
  }

  /** Resets the device, then takes every buffer back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const p of this.pairs) p.running = false;
    await this.#reset();
    const back = this.pairs.reduce((n, p) => n + p.release(), 0);
    this.dev.count("buffers_returned", back);
  }

  /** Something is wrong with the device: reset, and start again. */
  recover(why: string): void {
    if (this.#recovering || this.#stopped) return;
    this.#recovering = true;
    this.dev.log.warn(`reset: ${why}`);
    this.dev.count("resets");
    void this.dev.task(async () => {
      for (const p of this.pairs) p.running = false;
      await this.#reset();
      for (const p of this.pairs) p.release();
      if (!this.#stopped && !this.t.gone) {
        await this.negotiate();
        await this.start(this.pairs.length);
        // Stopped meanwhile: the way out takes the queues back.
        if (!this.#stopped) { for (const p of this.pairs) p.start(); }
      }
    }).catch((e: Error) => this.dev.log.warn(`reset failed: ${e.message}`)).then(() => {
      this.#recovering = false;
    });
  }

  #changed(): void {
    this.#waiters.wake();
    if (!this.#stopped && !this.#recovering && !this.t.gone) {
      this.dev.task(() => this.#configChanged()).catch(() => {});
    }
  }

  async #configChanged(): Promise<void> {
    if (!this.pairs.some((p) => p.running)) return;
    if ((await this.t.status() & STATUS.NEEDS_RESET) !== 0) this.recover("the device asks for it");
    else await this.#link();
  }

  async #link(): Promise<void> {
    const up = !this.features.has("STATUS") || (await this.t.config(CONFIG.status, 2) & CONFIG.LINK_UP) !== 0;
    this.dev.link(up);
  }

  async #reset(): Promise<void> {
    while (!this.t.gone && await this.t.setStatus(0) !== 0) {
      await this.#waiters.wait();
    }
  }

  #refuse(why: string): never {
    throw new SoftcError(
      "SOFTC_DEV_GONE",
      `Cannot drive the virtio device of ${this.dev.id.address}: ${why}`,
    );
  }
}

/** The transport of a device: a live object, or the window of a software device. */
function transport(dev: Dev<VirtioNetOptions | undefined>): Transport {
  return dev.resource as Transport | undefined ?? new WindowTransport(dev as Dev);
}

/** The driver with one pair, on its home CPU. */
export const virtioNet: Driver<VirtioNetOptions | undefined> = defineDriver({
  name: "virtio-net",
  api: 1,
  cloner: "vtnet",
  match: [{ bus: "virtio", device: 1 }],
  async attach(dev: Dev<VirtioNetOptions | undefined>) {
    const sc = new VirtioNet(dev, transport(dev));
    try {
      await sc.negotiate();
      sc.pairs.push(new QueuePair(dev as Dev, sc.t, 0, (why) => sc.recover(why)));
      await sc.start(1);
      sc.declare();
      sc.pairs[0]!.start();
      return sc;
    } catch (e) {
      await sc.stop();
      throw e;
    }
  },
  set: (sc, change) => sc.set(change),
  transmit: (sc, b) => sc.pairs[0]!.transmit(b),
  stop: (sc) => sc.stop(),
});
