/** A driver for the bus tests: what it does is told by the device's id. */
import { defineDriver, type Dev, type DeviceId, type Match } from "../../../core/device/mod.ts";

/** What a live device of the tests is. */
export interface Plug {
  unplugged(): void;
  log: string[];
  gate?: Promise<void>;
  /** What each hook awaits. */
  hold?(hook: string): Promise<void> | undefined;
}

const MATCH: readonly Match[] = [{ bus: "test", vendor: 1 }, { bus: "test", vendor: 2, product: 7 }];

function nic(name: string, bid?: number | ((id: DeviceId) => number), match: readonly Match[] = MATCH) {
  return defineDriver({
    name,
    api: 1,
    match,
    ...(bid === undefined ? {} : { probe: (id: DeviceId) => typeof bid === "number" ? bid : bid(id) }),
    async attach(dev: Dev) {
      const plug = dev.resource as Plug | undefined;
      plug?.log.push("attach");
      dev.signal.addEventListener("abort", () => plug?.log.push("abort"));
      dev.ifnet({ type: "ether" });
      await plug?.gate;
      await plug?.hold?.("attach");
      return { plug, dev };
    },
    async set(sc, change) {
      if (change.mtu === 666) throw new Error("not that MTU");
      sc.plug?.log.push(`set ${JSON.stringify(change)}`);
      await sc.plug?.hold?.("set");
    },
    canDetach: (sc) => sc.dev.id.veto === 1 ? "I am needed" : true,
    async reassign(sc) {
      sc.plug?.log.push("reassign");
      await sc.plug?.gate;
      await sc.plug?.hold?.("reassign");
    },
    transmit: (_sc, b) => b.freeAll(),
    async stop(sc) {
      sc.plug?.log.push("stop");
      await sc.plug?.hold?.("stop");
    },
    destroy: (sc) => void sc.plug?.log.push("destroy"),
  });
}
export default {
  name: "nics",
  api: 1,
  drivers: [
    nic("plain"),
    nic("low", -40),
    nic("meddler", (id) => (id as unknown as { veto: number }).veto = -1, [{ bus: "test", vendor: 3 }]),
    nic("after", (id) => id.veto === 0 ? -5 : 1, [{ bus: "test", vendor: 3 }]),
    nic("nay", 6),
    nic("broken", () => {
      throw new Error("oops");
    }),
    defineDriver({
      name: "unmatched",
      api: 1,
      attach(dev) {
        dev.ifnet({ type: "ether" });
        return {};
      },
      transmit: (_sc, b) => b.freeAll(),
    }),
  ],
};
