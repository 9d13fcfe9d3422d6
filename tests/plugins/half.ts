/** A driver on every CPU that takes half of each batch. @module */
import { defineDriver, type Driver } from "../../core/device/mod.ts";

const half: Driver<undefined> = defineDriver({
  name: "half",
  api: 1,
  cloner: "half",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: () => ({}),
  transmit: (_local, batch) => batch.length >> 1,
});
export default half;
