/** A driver of a bus, to be plugged in and pulled out. @module */
import { defineDriver, type Driver } from "../../core/device/mod.ts";

/** The driver: takes what is on bus "bench". */
const plugged: Driver<undefined> = defineDriver({
  name: "plugged",
  api: 1,
  match: [{ bus: "bench" }],
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: () => ({ seen: 0 }),
  transmit(local, batch) {
    local.seen += batch.length;
    return batch.freeAll();
  },
});
export default plugged;
