/**
 * null: an Ethernet interface whose wire leads nowhere. Every packet is sent, and gone.
 *
 * @module
 */
import { defineDriver, type Driver } from "../core/device/mod.ts";

/**
 * The driver: cloner `null`. Runs on every CPU. MTU 1500 bytes, no options.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * console.log(nul.name); // null0
 * ```
 */
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
