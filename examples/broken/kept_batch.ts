/**
 * Broken on purpose, D12: the batch is kept for later.
 *
 * The next call of transmit fills the same object with other packets. Mend: `batch.take(i)`, and keep what it answers.
 *
 * @module
 */
import { type Batch, defineDriver, type Driver } from "@softc/softc/driver";

const driver: Driver<undefined> = defineDriver({
  name: "kept-batch",
  api: 1,
  cloner: "kept",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    const sc = { seen: 0, kept: undefined as Batch | undefined, bell: dev.interrupt(() => count()) };
    const count = (): void => void (sc.seen += sc.kept?.length ?? 0); // BROKEN: it runs after transmit
    return sc;
  },
  transmit(sc, batch) {
    sc.kept = batch;
    sc.bell.ring();
    return batch.freeAll();
  },
});
export default driver;
