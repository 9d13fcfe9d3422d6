/** Step 5: every CPU. `open` makes each CPU's part, `shared` is one for all, in shared memory. */
import { defineDriver, type Driver, struct } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "step5",
  api: 1,
  cloner: "step",
  queues: "per-cpu",
  shared: struct({ sent: "i32" }),
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev };
  },
  open: (dev, shared, cpu) => ({ dev, shared, cpu }),
  transmit({ shared }, batch) {
    shared.add("sent", batch.length); // one atomic per batch, not per packet
    return batch.freeAll();
  },
  stop({ dev }) {
    dev.count("sent", dev.shared.load("sent")); // no transmit runs on any CPU
  },
});
export default driver;
