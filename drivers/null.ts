/**
 * null: an Ethernet interface whose wire leads nowhere. Every packet is sent, and gone.
 *
 * @module
 */
import { defineDriver, type Driver } from "../core/device/mod.ts";

/** The driver: cloner `null`. Runs on every CPU. MTU 1500 bytes, no options. */
const nullDriver: Driver<undefined> = defineDriver({
  name: "null",
  api: 1,
  cloner: "null",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: () => ({ seen: 0 }),
  transmit(local, batch) {
    local.seen += batch.length;
    return batch.freeAll();
  },
});
export default nullDriver;
