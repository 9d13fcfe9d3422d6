/** A driver that sends so many packets, then throws. @module */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";
import { anyOptions } from "./options.ts";

/** Options of the driver. */
export interface ThrowerOptions {
  /** Packets that it sends first. */
  readonly after: number;
}

const thrower: Driver<ThrowerOptions> = defineDriver({
  name: "thrower",
  api: 1,
  cloner: "thrower",
  options: anyOptions<ThrowerOptions>(),
  attach(dev: Dev<ThrowerOptions>) {
    dev.ifnet({ type: "ether" });
    return { left: dev.options.after };
  },
  transmit(sc, b) {
    if ((sc.left -= b.length) < 0) throw new Error("planted");
    return b.freeAll();
  },
});
export default thrower;
