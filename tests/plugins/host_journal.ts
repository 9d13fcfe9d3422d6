/**
 * Logs every hook that is called and what it was told: the same lines inline and in a host.
 *
 * @module
 */
import { type Batch, defineDriver, type Dev } from "../../core/device/mod.ts";

interface Sc {
  readonly dev: Dev<unknown>;
  sent: number;
}

const say = (dev: Dev<unknown>, line: string): void => dev.log.info(line);

/** Cloner `journal`: homed, two queues, echoes what is sent. */
const journal = defineDriver({
  name: "journal",
  api: 1,
  cloner: "journal",
  queues: 2,
  match: [{ bus: "journal" }],
  options: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) =>
        typeof value === "string" ? { issues: [{ message: "no text, please" }] } : { value },
    },
  },
  attach(dev: Dev<unknown>): Sc {
    say(dev, `attach ${JSON.stringify(dev.options ?? null)} on ${dev.id.bus}`);
    dev.ifnet({ type: "ether", mac: Uint8Array.of(2, 1, 2, 3, 4, 5), mtu: 1400, groups: ["diary"] });
    dev.signal.addEventListener("abort", () => say(dev, "aborted"));
    return { dev, sent: 0 };
  },
  set(sc: Sc, change) {
    say(sc.dev, `set ${JSON.stringify(change)}`);
    if (change.mtu === 1000) throw new Error("not 1000");
    if (change.up === true) sc.dev.link(true);
  },
  transmit(sc: Sc, batch: Batch, queue: number) {
    sc.sent += batch.length;
    sc.dev.count(`queue ${queue}`, batch.length);
    sc.dev.count("bytes", batch.len(0));
    const back = sc.dev.alloc(batch.length);
    for (let i = 0; i < back.length; i++) back.copyFrom(i, batch.bytes(i));
    const n = batch.freeAll();
    sc.dev.ifInput(back);
    return n;
  },
  canDetach: (sc: Sc) => sc.sent > 3 ? true : "too little was sent",
  canMove: (_sc: Sc, to) => to.name === "never" ? "not there" : true,
  reassign: (sc: Sc, to) => say(sc.dev, `reassign to ${to.name}`),
  stop: (sc: Sc) => say(sc.dev, `stop after ${sc.sent}`),
  destroy: (sc: Sc) => void (sc.sent = -1),
});
export default journal;
