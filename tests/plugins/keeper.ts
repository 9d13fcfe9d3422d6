/** A driver that takes every packet and gives back all but `leak` of them when it stops. @module */
import { defineDriver, type Dev, type Driver, type Mbuf } from "../../core/device/mod.ts";
import { anyOptions } from "./options.ts";

/** Options of the driver. */
export interface KeeperOptions {
  /** Packets that it never gives back. */
  readonly leak?: number;
}

const keeper: Driver<KeeperOptions> = defineDriver({
  name: "keeper",
  api: 1,
  cloner: "keeper",
  options: anyOptions<KeeperOptions>(),
  attach(dev: Dev<KeeperOptions>) {
    dev.ifnet({ type: "ether" });
    return { dev, kept: [] as Mbuf[] };
  },
  transmit(sc, b) {
    for (let i = 0; i < b.length; i++) sc.kept.push(b.take(i));
    return b.length;
  },
  stop(sc) {
    for (const m of sc.kept.splice(sc.dev.options.leak ?? 0)) sc.dev.free(m);
  },
});
export default keeper;
