/**
 * loopback: what is sent comes back in. The smallest real driver, and the first chapter of the guide.
 *
 * @module
 */
import { defineDriver, type Driver } from "../core/device/mod.ts";

/**
 * The driver: cloner `lo`, as lo(4). Runs on every CPU: each sends to itself. MTU 1500 bytes, no options.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, ping } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await lo.up();
 * await inetAddress(lo, "::1/128");
 * console.log((await ping(kernel.vnet0, "::1", { count: 1 })).received); // 1
 * ```
 */
const loopback: Driver<undefined> = defineDriver({
  name: "loopback",
  api: 1,
  cloner: "lo",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "loop", mtu: 1500 });
    return {};
  },
  // What each CPU needs is its own dev.
  open: (dev) => dev,
  // The life of a packet goes on: sent here, received here. It is taken up when this call has returned.
  transmit(dev, batch) {
    const n = batch.length;
    dev.ifInput(batch);
    return n;
  },
});
export default loopback;
