/**
 * link: a pair of Ethernet interfaces, joined by an emulated link with loss, a rate and a delay, seeded.
 *
 * Both ends run on one CPU and have a queue each: what is above the rate waits there, and is dropped as `full`
 * when that has no room. The two ways lose independently; each loses the same packets for the same seed.
 *
 * @module
 */
import {
  type Batch,
  defineDriver,
  type Dev,
  type Driver,
  type Mbuf,
  type StandardSchema,
} from "../../core/device/mod.ts";
import { random } from "./random.ts";

/** What a link is like, each way. */
export interface LinkOptions {
  /** Of the losses' order: a whole number, 0 to 2147483647. 1 unless told. */
  readonly seed?: number;
  /** Probability that a packet is lost, 0 to 1; 0 unless told. */
  readonly loss?: number;
  /** Packets per second, 1 to 1e9; no limit unless told. */
  readonly rate?: number;
  /** Milliseconds that a packet is under way, 0 to 60000; 0 unless told. */
  readonly delay?: number;
  /** Packets under way at most, 1 to 65536; what is above is lost. 1000 unless told. */
  readonly limit?: number;
}

/** What each option may be. */
const RANGE: Readonly<Record<keyof LinkOptions, readonly [min: number, max: number, whole: boolean]>> = {
  seed: [0, 2 ** 31 - 1, true],
  loss: [0, 1, false],
  rate: [1, 1e9, false],
  delay: [0, 60_000, false],
  limit: [1, 65_536, true],
};

const options: StandardSchema<LinkOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc",
    validate(value) {
      const issues = Object.entries(value ?? {}).flatMap(([key, n]) => {
        const range = Object.hasOwn(RANGE, key) ? RANGE[key as keyof LinkOptions] : undefined;
        if (range === undefined) return [{ message: `${key} is no option of a link`, path: [key] }];
        const [min, max, whole] = range;
        const ok = typeof n === "number" && n >= min && n <= max && (!whole || Number.isInteger(n));
        return ok
          ? []
          : [{ message: `${key} is ${String(n)}, wanted ${whole ? "a whole number " : ""}${min} to ${max}` }];
      });
      return issues.length > 0 ? { issues } : { value: (value ?? {}) as LinkOptions };
    },
  },
};

/** A packet under way. */
interface Late {
  readonly m: Mbuf;
  readonly len: number;
  readonly due: number;
}

/** Milliseconds of unused rate that are saved up. */
const SAVED = 10;

/** One end: what it sends goes through the link to the other. */
class End {
  readonly #dev: Dev<LinkOptions>;
  readonly #next: () => number;
  readonly #late: Late[] = [];
  readonly #arrive;
  readonly #again;
  #credit: number;
  #since: number;

  constructor(dev: Dev<LinkOptions>) {
    this.#dev = dev;
    const { seed = 1, rate = 0 } = dev.options;
    // Spread, so that neighbouring seeds and the two ends have nothing in common.
    this.#next = random(Math.imul(seed * 2 + (dev.id.instance ?? 0), 0x9e3779b1));
    this.#arrive = dev.timer(() => this.#deliver());
    this.#again = dev.timer(() => dev.txWake(0));
    this.#credit = Math.max(1, rate * SAVED / 1000);
    this.#since = dev.now();
  }

  /** Takes from the front what the rate allows; each is lost, handed over, or under way for a while. */
  send(batch: Batch): number {
    const { loss = 0, delay = 0, limit = 1000 } = this.#dev.options;
    const n = this.#admit(batch.length);
    const now = this.#dev.now();
    for (let i = 0; i < n; i++) {
      const len = batch.len(i);
      const m = batch.take(i);
      if ((loss > 0 && this.#next() < loss) || this.#late.length >= limit) {
        this.#dev.count("lost");
        this.#dev.free(m, "netem");
      } else this.#late.push({ m, len, due: now + delay });
    }
    if (delay === 0) this.#deliver();
    else if (this.#late.length > 0) this.#arrive.set(Math.max(0, this.#late[0]!.due - now));
    return n;
  }

  /** What is under way is dropped, as what waits in a queue is. */
  stop(): void {
    for (const { m } of this.#late.splice(0)) this.#dev.free(m, "purged");
  }

  #admit(n: number): number {
    const { rate } = this.#dev.options;
    if (rate === undefined) return n;
    const now = this.#dev.now();
    const most = Math.max(1, rate * SAVED / 1000);
    this.#credit = Math.min(most, this.#credit + (now - this.#since) * rate / 1000);
    this.#since = now;
    const admitted = Math.min(n, Math.floor(this.#credit));
    this.#credit -= admitted;
    if (admitted < n) this.#again.set(Math.max(1, (1 - this.#credit) * 1000 / rate));
    return admitted;
  }

  #deliver(): void {
    const late = this.#late;
    const now = this.#dev.now();
    let due = 0;
    while (due < late.length && late[due]!.due <= now) due++;
    for (let from = 0; from < due;) {
      const b = this.#dev.gather();
      for (; from < due && b.length < 64; from++) b.put(late[from]!.m, late[from]!.len);
      this.#dev.peers[0]!.ifInput(b);
    }
    late.splice(0, due);
    if (late.length > 0) this.#arrive.set(late[0]!.due - now);
  }
}

/**
 * The driver: cloner `link`; compare tc-netem(8). Counts `lost`, in packets; they drop as `netem`. Create throws `SOFTC_DRIVER_OPTIONS`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifVmove, inetAddress, ping, vnetCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:link");
 * const [a, b] = await ifCloneCreate(kernel.vnet0, "link", { options: { delay: 5, rate: 1000 } });
 * const moved = await ifVmove(b!, await vnetCreate(kernel.vnet0, "far"));
 * await a.up();
 * await moved.ifnet.up();
 * await inetAddress(a, "10.0.0.1/24");
 * await inetAddress(moved.ifnet, "10.0.0.2/24");
 * console.log((await ping(kernel.vnet0, "10.0.0.2", { count: 1 })).received); // 1
 * ```
 */
const link: Driver<LinkOptions> = defineDriver({
  name: "link",
  api: 1,
  cloner: "link",
  instances: 2,
  options,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    dev.link(true);
    return new End(dev);
  },
  transmit: (end, batch) => end.send(batch),
  stop: (end) => end.stop(),
});
export default link;
