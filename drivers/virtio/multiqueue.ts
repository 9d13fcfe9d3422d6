/**
 * virtio-net with a queue pair on every CPU: each sends through its own queue and takes its own interrupts, and
 * shares nothing with the others but the device.
 *
 * A reset concerns all of them. The home CPU resets the device, then goes to the next phase: each CPU takes its
 * buffers back and says so; when the device runs again, the phase after that starts them.
 *
 * @module
 */
import { type Batch, defineDriver, type Dev, type Driver, SoftcError } from "../../core/device/mod.ts";
import { VirtioNet, type VirtioNetOptions } from "./net.ts";
import { QueuePair } from "./pair.ts";
import { Virtqueue } from "./queue.ts";
import { WindowTransport } from "./window.ts";

/** The home CPU's part. */
class MultiQueue extends VirtioNet {
  /** Once every CPU has opened its part, they follow the phases. */
  opened = false;
  declare readonly t: WindowTransport;

  override cpuOf(k: number): number {
    return k;
  }

  override async release(): Promise<void> {
    if (this.opened && !this.stopped) await this.#advance();
  }

  override async run(): Promise<void> {
    if (this.opened) await this.#advance();
  }

  async #advance(): Promise<void> {
    await this.t.advance(this.dev.cpus, this.waiters, () => this.stopped || this.t.gone);
  }
}

/** One CPU's part. */
class CpuPair {
  readonly pair: QueuePair;
  readonly #t: WindowTransport;
  readonly #rxBuffer: number;
  #phase: number;

  constructor(dev: Dev<VirtioNetOptions | undefined>, cpu: number) {
    this.#t = new WindowTransport(dev as Dev);
    this.#phase = this.#t.phase;
    this.#rxBuffer = dev.options?.rxBuffer ?? 1984;
    // Trouble with the queue is the home CPU's business: it hears of it as the device would tell it.
    this.pair = new QueuePair(dev as Dev, this.#t, cpu, (why) => {
      dev.log.warn(why);
      this.#t.needsReset();
    }, () => this.#follow());
    const phase = this.#phase;
    // Not in `open`: were it to throw half-way, nobody would take back what the device has by then; `close` does.
    dev.interrupt(() => {
      if (this.#phase === phase) this.#start();
    }).ring();
  }

  /** Follows the home CPU: odd phases end, even ones begin. False when there is nothing else to do now. */
  #follow(): boolean {
    const { phase } = this.#t;
    if (phase === this.#phase) return true;
    this.#phase = phase;
    if ((phase & 1) === 1) this.pair.release();
    else this.#start();
    this.#t.follow();
    return false;
  }

  #start(): void {
    const t = this.#t;
    const features = t.accepted;
    const queue = (i: number): Virtqueue =>
      new Virtqueue(t.dma, ...t.queueAt(i), { eventIdx: features.has("EVENT_IDX") });
    this.pair.use(queue(2 * this.pair.pair), queue(2 * this.pair.pair + 1), features, this.#rxBuffer);
    this.pair.start();
  }
}

/** The driver with a pair on every CPU, for devices that say `multiqueue: 1`: they have a pair for each. */
export const virtioNetMq: Driver<VirtioNetOptions | undefined> = defineDriver({
  name: "virtio-net-mq",
  api: 1,
  cloner: "vtnetq",
  match: [{ bus: "virtio", device: 1, multiqueue: 1 }],
  probe: () => -10,
  queues: "per-cpu",
  async attach(dev: Dev<VirtioNetOptions | undefined>) {
    const sc = new MultiQueue(dev, new WindowTransport(dev as Dev));
    try {
      sc.t.begin();
      await sc.negotiate();
      if (sc.maxPairs < dev.cpus) {
        throw new SoftcError("SOFTC_DEV_GONE", `Cannot drive ${dev.id.address} on every CPU`, {
          state: `${sc.maxPairs} pairs`,
          wanted: `${dev.cpus}`,
        });
      }
      await sc.start(dev.cpus);
      sc.declare();
      sc.opened = true;
      return sc;
    } catch (e) {
      await sc.stop();
      throw e;
    }
  },
  open: (dev: Dev<VirtioNetOptions | undefined>, _shared, cpu) => new CpuPair(dev, cpu),
  close: (l) => void l.pair.release(),
  set: (sc, change) => sc.set(change),
  transmit: (l, b: Batch) => l.pair.transmit(b),
  stop: (sc) => sc.stop(),
});
