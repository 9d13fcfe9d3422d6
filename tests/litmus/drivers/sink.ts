/** A driver with a queue on every CPU that ends what it is given. */
import { type Batch, defineDriver, type Driver } from "../../../core/device/mod.ts";

const sink: Driver<undefined> = defineDriver({
  name: "sink",
  api: 1,
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: () => ({}),
  transmit: (_local, batch: Batch) => batch.freeAll(),
});
export default sink as Driver<never>;
