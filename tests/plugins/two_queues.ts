/** A driver with two queues that shows which one each packet came through. */
import { defineDriver, type Dev, type Driver } from "../../core/device/mod.ts";

/** What a queue was given, in order. */
export interface Sent {
  readonly queue: number;
  readonly bytes: Uint8Array;
}

const twoQueues: Driver<undefined> = defineDriver({
  name: "twoqueues",
  api: 1,
  queues: 2,
  match: [{ bus: "twoqueues" }],
  attach(dev: Dev<undefined>) {
    dev.ifnet({ type: "ether" });
    return dev.resource as { sent: Sent[] };
  },
  transmit(sc, b, queue) {
    for (let i = 0; i < b.length; i++) sc.sent.push({ queue, bytes: b.bytes(i).slice() });
    return b.freeAll();
  },
});
export default twoQueues;
