/** Step 3: a device that takes time. Packets are taken, and ended later; what has no room waits. */
import { defineDriver, type Driver, type Mbuf } from "@softc/softc/driver";

const ROOM = 16;

const driver: Driver<undefined> = defineDriver({
  name: "step3",
  api: 1,
  cloner: "step",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    const underWay: Mbuf[] = [];
    const done = dev.timer(() => {
      for (const m of underWay.splice(0)) dev.txDone(m);
      dev.txWake(0); // there is room: what waits in the queue is sent
    });
    return { dev, underWay, done };
  },
  transmit({ underWay, done }, batch) {
    let n = 0;
    while (n < batch.length && underWay.length < ROOM) underWay.push(batch.take(n++));
    if (n > 0) done.set(1);
    return n; // the rest stays in the queue
  },
  stop({ dev, underWay }) {
    for (const m of underWay.splice(0)) dev.free(m);
  },
});
export default driver;
