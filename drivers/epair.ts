/**
 * epair: a pair of Ethernet interfaces, joined back to back. What one sends the other receives.
 *
 * Both are made by one create and destroyed as one; each may live in a vnet of its own.
 *
 * @module
 */
import { defineDriver, type Driver, SoftcError, type StandardSchema } from "../core/device/mod.ts";

/** Options of a pair. */
export interface EpairOptions {
  /** Where received packets are processed: on the sender's CPU (`"direct"`, the default), spread by flow, or on the CPU of this number. */
  readonly dispatch?: "direct" | "flow" | number;
}

const options: StandardSchema<EpairOptions> = {
  "~standard": {
    version: 1,
    vendor: "softc",
    validate(value) {
      const o = (value ?? {}) as EpairOptions;
      const other = Object.keys(o).find((key) => key !== "dispatch");
      if (other !== undefined) {
        return { issues: [{ message: `${other} is no option of a pair`, path: [other] }] };
      }
      const ok = o.dispatch === undefined || o.dispatch === "direct" || o.dispatch === "flow" ||
        Number.isInteger(o.dispatch);
      return ok
        ? { value: o }
        : { issues: [{ message: `dispatch is ${String(o.dispatch)}, wanted "direct", "flow" or a CPU` }] };
    },
  },
};

/**
 * The driver: cloner `epair`, as epair(4). Runs on every CPU. Create throws `SOFTC_DRIVER_OPTIONS` for a bad
 * `dispatch`, `SOFTC_DEV_IFNET` for a CPU that the kernel has not.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifVmove, inetAddress, ping, vnetCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a, b] = await ifCloneCreate(kernel.vnet0, "epair");
 * const moved = await ifVmove(b!, await vnetCreate(kernel.vnet0, "far"));
 * await a.up();
 * await moved.ifnet.up();
 * await inetAddress(a, "10.0.0.1/24");
 * await inetAddress(moved.ifnet, "10.0.0.2/24");
 * console.log((await ping(kernel.vnet0, "10.0.0.2", { count: 1 })).received); // 1
 * ```
 */
const epair: Driver<EpairOptions> = defineDriver({
  name: "epair",
  api: 1,
  cloner: "epair",
  instances: 2,
  queues: "per-cpu",
  options,
  attach(dev) {
    dev.ifnet({
      type: "ether",
      ...(dev.options.dispatch === undefined ? {} : { dispatch: dev.options.dispatch }),
    });
    dev.link(true);
    return {};
  },
  open(dev) {
    const peer = dev.peers[0];
    if (peer === undefined) {
      throw new SoftcError("SOFTC_DEV_IFNET", "An epair has two ends", { state: "one", wanted: "two" });
    }
    return peer;
  },
  transmit(peer, batch) {
    const n = batch.length;
    peer.ifInput(batch);
    return n;
  },
});
export default epair;
