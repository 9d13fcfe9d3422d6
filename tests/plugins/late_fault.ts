/** A driver whose interrupt on CPU 1 throws in the moment in which its open there settles. @module */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";

const late: Driver<unknown> = defineDriver({
  name: "late",
  api: 1,
  cloner: "late",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open(dev: Dev): object | Promise<object> {
    if (dev.cpu === 0) return {};
    return new Promise((resolve) => {
      const bell = dev.interrupt(() => {
        resolve({});
        throw new Error("planted");
      });
      bell.ring();
    });
  },
  transmit: (_local, batch) => batch.freeAll(),
});
export default late;
