/**
 * Broken on purpose, D26: a timer is armed again at the very end.
 *
 * Armed timers of a scope that closes are cancelled; arming one afterwards is refused. Mend: do in `stop` what is to be done last.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "rearmed",
  api: 1,
  cloner: "rearmed",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    const watchdog = dev.timer(() => watchdog.set(100));
    watchdog.set(100);
    return { watchdog };
  },
  transmit: (_sc, batch) => batch.freeAll(),
  destroy({ watchdog }) {
    watchdog.set(100); // BROKEN
  },
});
export default driver;
