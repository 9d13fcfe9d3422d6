/** Runs on every CPU and counts. What CPU 1 sends keeps it in transmit until CPU 0 sends. @module */
import { defineDriver, type Driver, struct } from "../../core/device/mod.ts";

const stalls: Driver<undefined> = defineDriver({
  name: "stalls",
  api: 1,
  cloner: "stalls",
  queues: "per-cpu",
  shared: struct({ inside: "i32", go: "i32" }),
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: (dev, shared, cpu) => ({ dev, shared, cpu }),
  transmit({ dev, shared, cpu }, b) {
    if (cpu === 0) shared.add("go", 1);
    else {
      shared.add("inside", 1);
      while (shared.load("go") === 0);
    }
    dev.count("packets", b.length);
    return b.freeAll();
  },
});
export default stalls;
