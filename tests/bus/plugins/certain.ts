/** A driver that is certain: its bid is 0. */
import { defineDriver, type Driver } from "../../../core/device/mod.ts";

const certain: Driver<undefined> = defineDriver({
  name: "certain",
  api: 1,
  match: [{ bus: "test" }],
  probe: () => 0,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit: (_sc, b) => b.freeAll(),
});
export default certain;
