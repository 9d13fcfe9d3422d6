/** A driver that does what its URL's query says, and never may: for tests of torture itself. @module */
import { type Batch, defineDriver, type Dev, SoftcError } from "../../core/device/mod.ts";

const vice = decodeURIComponent(new URL(import.meta.url).search.slice(1).split("&")[0]!);

/** Cloner `wrong`. */
const wrong = defineDriver({
  name: "wrong",
  api: 1,
  cloner: "wrong",
  attach(dev: Dev) {
    if (vice === "refuse") throw new SoftcError("SOFTC_PCAP_BAD", "Cannot attach");
    dev.ifnet({ type: "ether" });
    return { dev };
  },
  set: () => vice === "stall" ? new Promise<void>(() => {}) : undefined,
  transmit({ dev }, batch: Batch) {
    if (vice === "double free") {
      const m = batch.take(0);
      dev.free(m);
      dev.free(m);
    }
    return batch.length;
  },
});
export default wrong;
