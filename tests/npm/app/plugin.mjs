// A driver as an application has it: one file, the package's driver face, nothing else. Sinks what is sent, on every CPU.
import { defineDriver } from "@softc/softc/driver";

export default defineDriver({
  name: "sink",
  api: 1,
  cloner: "sink",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: (dev) => dev,
  transmit(dev, batch) {
    dev.count("sunk", batch.length);
    return batch.freeAll();
  },
});
