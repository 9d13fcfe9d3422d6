/**
 * Broken on purpose, D24: destroy uses dev.
 *
 * Everything of `dev` is closed by then: destroy frees what the driver holds itself, nothing else. Mend: count in `stop`.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "late-count",
  api: 1,
  cloner: "late",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev };
  },
  transmit: (_sc, batch) => batch.freeAll(),
  destroy({ dev }) {
    dev.count("destroyed"); // BROKEN
  },
});
export default driver;
