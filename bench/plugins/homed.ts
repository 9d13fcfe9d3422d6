/** A driver with one home CPU whose wire leads nowhere: other CPUs reach it through rings. @module */
import { defineDriver, type Driver } from "../../core/device/mod.ts";

/** The driver: cloner `homed`. */
const homed: Driver<undefined> = defineDriver({
  name: "homed",
  api: 1,
  cloner: "homed",
  queueLength: 1024,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { seen: 0 };
  },
  transmit(sc, batch) {
    sc.seen += batch.length;
    return batch.freeAll();
  },
});
export default homed;
