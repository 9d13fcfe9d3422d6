/**
 * Broken on purpose, D16: packets are taken and forgotten when the device stops.
 *
 * Each is an mbuf that nobody ever gets back. Mend: in `stop`, `dev.free` what the device still has.
 *
 * @module
 */
import { defineDriver, type Driver, type Mbuf } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "lost-packets",
  api: 1,
  cloner: "lost",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev, underWay: [] as Mbuf[] };
  },
  transmit({ dev, underWay }, batch) {
    for (let i = 0; i < batch.length; i++) underWay.push(batch.take(i));
    while (underWay.length > 8) dev.txDone(underWay.shift()!);
    return batch.length;
  },
  stop({ underWay }) {
    underWay.length = 0; // BROKEN
  },
});
export default driver;
