/**
 * Broken on purpose, D10: transmit answers with the number of bytes.
 *
 * The framework would free packets that the device still has. Mend: return how many packets were taken from the front.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "wrong-count",
  api: 1,
  cloner: "bytes",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit(_sc, batch) {
    let bytes = 0;
    for (let i = 0; i < batch.length; i++) bytes += batch.len(i);
    batch.freeAll();
    return bytes; // BROKEN
  },
});
export default driver;
