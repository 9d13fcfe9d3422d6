/**
 * A driver that does what it is told, and that is no good: for tests of what a driver host contains.
 *
 * @module
 */
import process from "node:process";
import { type Batch, defineDriver, type Dev, type Mbuf } from "../../core/device/mod.ts";

/** What it does wrong, from when it is UP or when it sends. */
export type Vice =
  | "none"
  | "throw in transmit"
  | "throw in timer"
  | "spin in transmit"
  | "spin in timer"
  | "exit"
  | "crash"
  | "flood"
  | "late attach"
  | "late set"
  | "late stop"
  | "double free"
  | "foreign free"
  | "keep"
  | "scribble"
  | "nonsense";

/** Its options. */
export interface RogueOptions {
  readonly vice: Vice;
  /** Milliseconds that a spin lasts: a busy worker cannot be ended. */
  readonly spin?: number;
}

interface Sc {
  readonly dev: Dev<RogueOptions>;
  readonly vice: Vice;
  kept: Mbuf | undefined;
}

/** Modules are loaded once per host: this is what a fresh one has not. */
let attached = 0;

/** Arrays over shared memory that this thread has worked on: a rogue finds them by listening at Atomics. */
const seen = new Set<Int32Array>();
const { load } = Atomics;
function listen(): void {
  Atomics.load = ((a: Int32Array, i: number) => {
    if (a.buffer instanceof SharedArrayBuffer) seen.add(a);
    return load(a, i);
  }) as typeof Atomics.load;
}

function spin(ms: number): void {
  for (const end = Date.now() + ms; Date.now() < end;);
}

const never = (): Promise<never> => new Promise(() => {});

/** Writes nonsense over whatever it found, but for the words that its own life hangs on. */
function scribble(words: number): void {
  for (const a of seen) {
    for (let k = 0; k < words; k++) {
      const i = Math.floor(Math.random() * a.length);
      a[i] = Math.random() < 0.5 ? Math.floor(Math.random() * 2 ** 32) : Math.floor(Math.random() * 64);
    }
  }
}

function begin(sc: Sc): void {
  const { dev } = sc;
  const soon = (fn: () => void): void => dev.timer(fn).set(1);
  switch (sc.vice) {
    case "throw in timer":
      return soon(() => {
        throw new Error("thrown in a timer");
      });
    case "spin in timer":
      return soon(() => spin(dev.options.spin ?? 1000));
    case "exit":
      return void setTimeout(() => typeof close === "function" ? close() : process.exit(3), 1);
    case "crash":
      return void setTimeout(() => {
        throw new Error("nobody catches this");
      }, 1);
    case "flood": {
      let n = 0;
      const timer = dev.timer(() => {
        for (let i = 0; i < 20; i++) {
          const b = dev.alloc(256);
          for (let k = 0; k < b.length; k++) b.setLen(k, 60);
          dev.ifInput(b);
          dev.log.info(`flood ${n++}`);
          dev.link(n % 2 === 0);
          dev.count(`name ${n}`);
        }
        timer.set(0);
      });
      return timer.set(1);
    }
    case "scribble":
    case "nonsense": {
      const timer = dev.timer(() => {
        scribble(sc.vice === "scribble" ? 200 : 20_000);
        timer.set(1);
      });
      return timer.set(1);
    }
  }
}

/** Cloner `rogue`. */
const rogue = defineDriver({
  name: "rogue",
  api: 1,
  cloner: "rogue",
  async attach(dev: Dev<RogueOptions>): Promise<Sc> {
    if (dev.options.vice === "late attach") await never();
    if (["scribble", "nonsense"].includes(dev.options.vice)) listen();
    dev.log.info(`attached ${++attached}`);
    dev.ifnet({ type: "ether" });
    return { dev, vice: dev.options.vice, kept: undefined };
  },
  async set(sc: Sc, change) {
    if (change.up === true) begin(sc);
    if (sc.vice === "late set" && change.mtu !== undefined) await never();
  },
  transmit(sc: Sc, batch: Batch) {
    const { dev } = sc;
    switch (sc.vice) {
      case "throw in transmit":
        throw new Error("thrown in transmit");
      case "spin in transmit":
        spin(dev.options.spin ?? 1000);
        break;
      case "double free": {
        const m = batch.take(0);
        dev.free(m);
        dev.free(m);
        break;
      }
      case "foreign free":
        dev.free(3 as Mbuf);
        break;
      case "keep":
        sc.kept ??= batch.take(0);
        break;
    }
    dev.count("sunk", batch.length);
    return batch.length;
  },
  async stop(sc: Sc) {
    if (sc.vice === "late stop") await never();
  },
});
export default rogue;
