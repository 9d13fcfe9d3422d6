/** Step 2: receive. What is sent comes back, with its addresses swapped. */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "step2",
  api: 1,
  cloner: "step",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    dev.link(true);
    return { dev };
  },
  transmit({ dev }, batch) {
    const n = batch.length;
    for (let i = 0; i < n; i++) {
      const frame = batch.bytes(i);
      const to = frame.slice(0, 6);
      frame.copyWithin(0, 6, 12);
      frame.set(to, 6);
    }
    dev.ifInput(batch); // the packets live on: the stack owns them now
    return n;
  },
});
export default driver;
