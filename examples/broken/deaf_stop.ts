/**
 * Broken on purpose, D35: stop asks the device to halt and waits for its answer; a device that was pulled out gives none.
 *
 * Detached it ends well, pulled out it is wedged. Mend: do not wait for a device when `dev.signal` is aborted.
 *
 * @module
 */
import { defineDriver, type Dev, type Driver } from "@softc/softc/driver";

/** What the device does when it is asked: it answers after a moment, as long as it is there. */
const halt = (dev: Dev): Promise<void> =>
  new Promise((resolve) => dev.signal.aborted ? undefined : void setTimeout(resolve, 1));

const driver: Driver<undefined> = defineDriver({
  name: "deaf-stop",
  api: 1,
  cloner: "deaf",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return { dev: dev as Dev };
  },
  transmit: (_sc, batch) => batch.freeAll(),
  stop: (sc) => halt(sc.dev), // BROKEN
});
export default driver;
