/** A driver that shows what it was given to send: to the live object that its device is plugged in with. */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";

const wire: Driver<undefined> = defineDriver({
  name: "wire",
  api: 1,
  match: [{ bus: "wire" }],
  attach(dev: Dev<undefined>) {
    dev.ifnet({ type: "ether" });
    return dev.resource as { sent: Uint8Array[] };
  },
  transmit(sc, b) {
    for (let i = 0; i < b.length; i++) sc.sent.push(b.bytes(i).slice());
    return b.freeAll();
  },
});
export default wire;
