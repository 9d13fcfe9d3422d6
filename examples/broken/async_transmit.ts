/**
 * Broken on purpose, D11: transmit awaits.
 *
 * It runs in a section, which nothing may keep open over an await. Mend: take the packets, and let `dev.task` send them.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "async-transmit",
  api: 1,
  cloner: "later",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  // BROKEN: TypeScript says so too
  transmit: (async (_sc: object, batch: { freeAll(): number }) => {
    await Promise.resolve();
    return batch.freeAll();
  }) as unknown as () => number,
});
export default driver;
