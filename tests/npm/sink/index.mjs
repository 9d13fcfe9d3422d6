// A driver as somebody else publishes it: the package's driver face, nothing else. Sinks what is sent, on every CPU;
// made by hand, or found on a bus.
import { defineDriver } from "@softc/softc/driver";

export default defineDriver({
  name: "sink",
  api: 1,
  cloner: "sink",
  match: [{ bus: "shelf", kind: "sink" }],
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
