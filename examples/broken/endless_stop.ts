/**
 * Broken on purpose, D23: stop waits for an interrupt that never comes.
 *
 * The interface becomes wedged: its memory is kept, for nobody knows whether it is in use. Mend: give the device a deadline of your own, then reset it.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "endless-stop",
  api: 1,
  cloner: "endless",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit: (_sc, batch) => batch.freeAll(),
  stop: () => new Promise<void>(() => {}), // BROKEN
});
export default driver;
