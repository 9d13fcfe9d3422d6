/**
 * virtio-net: the driver proper. Queue pairs on the home CPU (`virtio-net`), or one on every CPU
 * (`virtio-net-mq`, for devices that have a pair for each).
 *
 * A packet that was given to the device belongs to the device until the queue gives it back, or the device has
 * acked a reset: then every buffer comes back exactly once (queue.ts, 5). A device that never acks keeps them.
 *
 * @module
 */
import { defineDriver, type Dev, type Driver, SoftcError } from "../../core/device/mod.ts";
import { ControlQueue } from "./control.ts";
import { QueuePair } from "./pair.ts";
import { CONFIG, CTRL, type Feature, Features, queueLayout, STATUS } from "./spec.ts";
import { Virtqueue } from "./queue.ts";
import type { Transport } from "./transport.ts";
import { Waiters } from "./waiters.ts";
import { WindowTransport } from "./window.ts";

/** Options of the driver, given when the device is plugged in. */
export interface VirtioNetOptions {
  /** Features not to use; none unless told. */
  readonly without?: readonly Feature[];
  /** Entries of each queue; as many as the device has, at most 256, unless told. */
  readonly entries?: number;
  /** Queue pairs on the home CPU, where the device has them (MQ): 1 to 4; 1 unless told. */
  readonly pairs?: number;
  /** Bytes of a receive buffer; a whole packet, 1984, unless told. Less needs MRG_RXBUF. */
  readonly rxBuffer?: number;
}

const ENTRIES = 256;
/** Output queues, and so pairs, of `virtio-net` at most. */
const PAIRS = 4;
const MTU_MAX = 1958;

/** A virtio network device: what its home CPU keeps. The pairs are those of this CPU. */
export class VirtioNet {
  readonly pairs: QueuePair[] = [];
  features: Features = new Features(0, 0);
  mac: Uint8Array | undefined;
  mtu = 1500;
  /** Pairs that the device has. */
  maxPairs = 1;
  #control: ControlQueue | undefined;
  readonly waiters = new Waiters();
  /** Pairs that were started. */
  started = 0;
  #recovery: Promise<void> | undefined;
  stopped = false;
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
    let f = features.and(Features.known).without(...this.dev.options?.without ?? []);
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
      const cpu = this.cpuOf(k);
      const [rx, tx] = [await this.queue(2 * k, cpu), await this.queue(2 * k + 1, cpu)];
      this.pairs[k]?.use(rx, tx, features, dev.options?.rxBuffer ?? 1984);
    }
    if (features.has("CTRL_VQ")) {
      const index = 2 * this.maxPairs;
      const queue = await this.queue(index, dev.cpu);
      this.#control = new ControlQueue(t, queue, index, features.has("INDIRECT"), this.waiters, dev.signal);
    }
    const status = STATUS.ACKNOWLEDGE | STATUS.DRIVER | STATUS.FEATURES_OK | STATUS.DRIVER_OK;
    if ((await t.setStatus(status) & STATUS.DRIVER_OK) === 0 && !t.gone) this.#refuse("it does not start");
    if (pairs > 1 && !await this.command(CTRL.MQ, CTRL.MQ_PAIRS_SET, [pairs & 255, pairs >> 8])) {
      this.#refuse(`it refuses ${pairs} pairs`);
    }
    this.started = pairs;
    await this.#link();
  }

  /** The CPU that runs pair `k`. */
  cpuOf(_k: number): number {
    return this.dev.cpu;
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
    const { mac, mtu, features } = this;
    this.dev.ifnet({
      type: "ether",
      mtu: Math.min(mtu, 1500),
      ...(mac === undefined ? {} : { mac }),
      ...(this.pairs.length === 0 ? {} : { queues: this.pairs.length }),
      capabilities: features.has("CSUM") ? ["txcsum"] : [],
    });
  }

  /** Sends a command through the control queue; whether the device said OK. */
  async command(cls: number, cmd: number, data: readonly number[]): Promise<boolean> {
    return await this.#control?.command(cls, cmd, data) ?? false;
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
    this.stopped = true;
    await this.#recovery;
    await this.#reset();
    await this.release();
  }

  /** The device has acked its reset: buffers come back on every CPU. */
  release(): void | Promise<void> {
    this.dev.count("buffers_returned", this.pairs.reduce((n, p) => n + p.release(), 0));
  }

  /** The device runs: every CPU gives it buffers. */
  run(): void | Promise<void> {
    for (const p of this.pairs) p.start();
  }

  /** Something is wrong with the device: reset, and start again. */
  recover(why: string): void {
    if (this.#recovery !== undefined || this.stopped) return;
    this.dev.log.warn(`reset: ${why}`);
    this.dev.count("resets");
    this.#recovery = this.dev.task(async () => {
      await this.#reset();
      await this.release();
      if (this.stopped || this.t.gone) return;
      await this.negotiate();
      await this.start(this.started);
      await this.run();
    }).catch((e: Error) => this.dev.log.warn(`reset failed: ${e.message}`)).finally(() => {
      this.#recovery = undefined;
    });
  }

  #changed(): void {
    this.waiters.wake();
    if (!this.stopped && this.#recovery === undefined && !this.t.gone) {
      this.dev.task(() => this.#configChanged()).catch(() => {});
    }
  }

  async #configChanged(): Promise<void> {
    if (this.started === 0) return;
    if ((await this.t.status() & STATUS.NEEDS_RESET) !== 0) this.recover("the device asks for it");
    else await this.#link();
  }

  async #link(): Promise<void> {
    const up = !this.features.has("STATUS") || (await this.t.config(CONFIG.status, 2) & CONFIG.LINK_UP) !== 0;
    this.dev.link(up);
  }

  async #reset(): Promise<void> {
    this.#control?.end();
    while (!this.t.gone && await this.t.setStatus(0) !== 0) {
      await this.waiters.wait();
    }
  }

  #refuse(why: string): never {
    throw new SoftcError(
      "SOFTC_DEV_GONE",
      `Cannot drive the virtio device of ${this.dev.id.address}: ${why}`,
    );
  }
}

/** The driver with its pairs on its home CPU. */
export const virtioNet: Driver<VirtioNetOptions | undefined> = defineDriver({
  name: "virtio-net",
  api: 1,
  cloner: "vtnet",
  match: [{ bus: "virtio", device: 1 }],
  queues: PAIRS,
  async attach(dev: Dev<VirtioNetOptions | undefined>) {
    const sc = new VirtioNet(dev, dev.resource as Transport | undefined ?? new WindowTransport(dev as Dev));
    try {
      await sc.negotiate();
      const pairs = Math.max(1, Math.min(dev.options?.pairs ?? 1, sc.maxPairs, PAIRS));
      for (let k = 0; k < pairs; k++) {
        sc.pairs.push(new QueuePair(dev as Dev, sc.t, k, (why) => sc.recover(why)));
      }
      await sc.start(pairs);
      sc.declare();
      await sc.run();
      return sc;
    } catch (e) {
      await sc.stop();
      throw e;
    }
  },
  set: (sc, change) => sc.set(change),
  transmit: (sc, b, queue) => sc.pairs[queue]!.transmit(b),
  stop: (sc) => sc.stop(),
});
