/**
 * Broken on purpose, D09: a packet is ended twice.
 *
 * The second call throws `SOFTC_MBUF_DOUBLE_FREE`, and the instance is taken down. Mend: each packet that was taken gets one `txDone` or one `free`.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "double-free",
  api: 1,
  cloner: "twice",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev };
  },
  transmit({ dev }, batch) {
    for (let i = 0; i < batch.length; i++) {
      const m = batch.take(i);
      dev.txDone(m);
      dev.free(m); // BROKEN
    }
    return batch.length;
  },
});
export default driver;
