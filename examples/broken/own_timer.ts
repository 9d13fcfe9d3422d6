/**
 * Broken on purpose, D25: a timer of the runtime goes on receiving while the interface stops.
 *
 * The framework does not know of it, so it cannot end it. Mend: `dev.timer`, which is closed for the driver.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "own-timer",
  api: 1,
  cloner: "ticker",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    const sc = { timer: setInterval(() => dev.ifInput(dev.alloc(1)), 1) }; // BROKEN
    return sc;
  },
  transmit: (_sc, batch) => batch.freeAll(),
  stop: () => new Promise<void>((done) => setTimeout(done, 20)), // the device's reset takes a while
  destroy({ timer }) {
    clearInterval(timer);
  },
});
export default driver;
