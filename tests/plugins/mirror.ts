/**
 * A driver on every CPU that gives what it transmits back as received, until `hops` calls have been made. Its
 * state is this module's, so a test that imports the file sees it: on CPU 0 alone.
 *
 * @module
 */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";

/** Calls of transmit: how many, how many inside each other now, and at most; and after how many packets end. */
export const mirror = { calls: 0, depth: 0, deepest: 0, hops: 0 };

const driver: Driver<undefined> = defineDriver({
  name: "mirror",
  api: 1,
  cloner: "mirror",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: (dev: Dev<undefined>) => dev,
  transmit(dev, b) {
    const n = b.length;
    mirror.deepest = Math.max(mirror.deepest, ++mirror.depth);
    if (++mirror.calls < mirror.hops) dev.ifInput(b);
    else b.freeAll();
    mirror.depth--;
    return n;
  },
});
export default driver;
