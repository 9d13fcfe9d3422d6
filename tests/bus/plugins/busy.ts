/** A driver that has everything of `dev` in use at any moment; what it does is in the log of its resource. */
import { type Batch, defineDriver, type Dev, type Mbuf } from "../../../core/device/mod.ts";

/** What a live device of this driver is. */
export interface BusyPlug {
  log: string[];
  unplugged(): void;
}

export default defineDriver({
  name: "busy",
  api: 1,
  match: [{ bus: "busy" }],
  attach(dev: Dev) {
    const { log } = dev.resource as BusyPlug;
    dev.ifnet({ type: "ether" });
    const held: Mbuf[] = [];
    const timer = dev.timer(() => {
      log.push("timer");
      timer.set(1);
    });
    timer.set(1);
    const bell = dev.interrupt(() => log.push("interrupt"));
    void dev.task(async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      await new Promise((resolve) => setTimeout(resolve, 1));
      log.push("task ends");
    });
    return { dev, log, held, timer, bell };
  },
  canDetach: () => "never",
  transmit(sc, b: Batch) {
    // The device keeps a few for good.
    const n = sc.held.length < 8 ? 1 : 0;
    for (let i = 0; i < n; i++) sc.held.push(b.take(i));
    sc.bell.ring();
    sc.dev.epochCall(() => sc.log.push("callback"));
    return b.length;
  },
  stop(sc) {
    for (const m of sc.held.splice(0)) sc.dev.free(m);
    sc.log.push("stop");
  },
  destroy(sc) {
    sc.log.push("destroy");
  },
});
