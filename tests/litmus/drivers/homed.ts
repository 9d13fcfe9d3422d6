/** A driver with one queue on its home CPU that ends what it is given. */
import { type Batch, defineDriver, type Driver } from "../../../core/device/mod.ts";

const homed: Driver<undefined> = defineDriver({
  name: "homed",
  api: 1,
  queues: 1,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit: (_sc, batch: Batch) => batch.freeAll(),
});
export default homed as Driver<never>;
