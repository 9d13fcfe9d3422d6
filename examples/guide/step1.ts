/** Step 1: the smallest driver. What is sent is gone, and counted. */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "step1",
  api: 1,
  cloner: "step",
  attach(dev) {
    dev.ifnet({ type: "ether", mtu: 1500 });
    return { seen: 0 };
  },
  transmit(sc, batch) {
    sc.seen += batch.length;
    return batch.freeAll();
  },
});
export default driver;
