/**
 * A driver with one queue that does what a test tells it. Its state is this module's, so a test that imports
 * the file sees it: on CPU 0 alone.
 *
 * @module
 */
import { type Batch, defineDriver, type Dev, type Driver, struct } from "../../core/device/mod.ts";

const shared = struct({ word: "i32", words: ["i32", 40] });

type ScriptDev = Dev<undefined, typeof shared.fields>;

/** What a test sets and sees. */
interface Script {
  /** The transmit hook. */
  transmit: (b: Batch, dev: ScriptDev) => number;
  /** Called by the stop hook. */
  stop: (dev: ScriptDev) => void;
  /** The dev of the instance that attached last. */
  dev: ScriptDev | undefined;
  /** The softc that hooks are called with: behind a proxy in debug mode. */
  softc: object | undefined;
}

/** The script of this thread. */
export const script: Script = initial();

function initial(): Script {
  return { transmit: (b) => b.freeAll(), stop: () => {}, dev: undefined, softc: undefined };
}

/** Back to a driver that sends all. */
export function resetScript(): Script {
  return Object.assign(script, initial());
}

const driver: Driver<undefined> = defineDriver({
  name: "script",
  api: 1,
  cloner: "script",
  queueLength: 64,
  shared,
  attach(dev: ScriptDev) {
    dev.ifnet({ type: "ether" });
    script.dev = dev;
    return { dev };
  },
  transmit(sc, b) {
    script.softc = sc;
    return script.transmit(b, sc.dev);
  },
  stop(sc) {
    script.stop(sc.dev);
  },
});
export default driver;
