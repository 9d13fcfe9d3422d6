/**
 * tally: an Ethernet interface that counts what is sent, by kind, on every CPU. What a driver in a package of its
 * own looks like: this file, its test, package.json.
 *
 * @module
 */
import { defineDriver, type Driver } from "@softc/softc/driver";

/** Names of the EtherTypes that are told apart. */
const KINDS: Readonly<Record<number, string>> = { 0x0800: "ip4", 0x0806: "arp", 0x86dd: "ip6" };

/** The driver: cloner `tally`; its driver counters are `ip4`, `ip6`, `arp` and `other`. */
const driver: Driver<undefined> = defineDriver({
  name: "tally",
  api: 1,
  cloner: "tally",
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    dev.link(true);
    return {};
  },
  open: (dev) => dev,
  transmit(dev, batch) {
    for (let i = 0; i < batch.length; i++) {
      const frame = batch.bytes(i);
      const type = frame.length < 14 ? 0 : frame[12]! << 8 | frame[13]!;
      dev.count(KINDS[type] ?? "other");
    }
    return batch.freeAll();
  },
});
export default driver;
