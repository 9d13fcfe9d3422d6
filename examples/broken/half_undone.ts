/**
 * Broken on purpose, D04: what attach did before it failed stays done.
 *
 * The framework undoes what came from `dev`; a flag of the module's own it cannot know. Mend: claim last, or in `try`/`catch`.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

/** Whether the one device is in use. */
let busy = false;

const driver: Driver<undefined> = defineDriver({
  name: "half-undone",
  api: 1,
  cloner: "half",
  attach(dev) {
    if (busy) throw new Error("the device is in use");
    busy = true; // BROKEN: the next line may throw
    dev.ifnet({ type: "ether" });
    return {};
  },
  destroy() {
    busy = false;
  },
  transmit: (_sc, batch) => batch.freeAll(),
});
export default driver;
