/** Drivers in middleware, for the tests of wrap: `?of=null|home|echo&with=...`. */
import { defineDriver, type Driver } from "../../../../core/device/mod.ts";
import epair from "../../../../drivers/epair.ts";
import loopback from "../../../../drivers/loopback.ts";
import nullDriver from "../../../../drivers/null.ts";
import { fault, type Middleware, netem, pcap, trace, wrap } from "../../../../drivers/wrap/mod.ts";

/** Homed, with a device that has room for 8 packets and takes a millisecond. */
const home: Driver<undefined> = defineDriver({
  name: "home",
  api: 1,
  cloner: "home",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    const under: number[] = [];
    const done = dev.timer(() => {
      for (const m of under.splice(0)) dev.txDone(m as Parameters<typeof dev.txDone>[0]);
      dev.txWake(0);
    });
    return { dev, under, done };
  },
  transmit({ under, done }, batch) {
    let n = 0;
    while (n < batch.length && under.length < 8) under.push(batch.take(n++));
    done.set(1);
    return n;
  },
  stop({ dev, under }) {
    for (const m of under.splice(0)) dev.free(m as Parameters<typeof dev.free>[0]);
  },
});

/** Takes every change. */
const setter: Driver<undefined> = defineDriver({
  name: "setter",
  api: 1,
  cloner: "setter",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  set() {},
  transmit: (_sc, batch) => batch.freeAll(),
});

/** Packets that the pcap layer of this thread saw. */
export const seen: { direction: string; bytes: Uint8Array }[] = [];

const LAYERS: Readonly<Record<string, Middleware>> = {
  trace: trace(),
  loss: netem({ loss: 0.25, seed: 3 }),
  late: netem({ delay: 20 }),
  slow: netem({ rate: 1000 }),
  corrupt: fault({ corrupt: 0.5, seed: 5 }),
  refuse: fault({ refuse: 0.3, seed: 5 }),
  throws: fault({ hooks: { set: 2 } }),
  pcap: pcap(() => ({ packet: (direction, bytes) => void seen.push({ direction, bytes: bytes.slice() }) })),
};

const query = new URL(import.meta.url).searchParams;
const drivers: Readonly<Record<string, Driver<never>>> = {
  null: nullDriver as Driver<never>,
  lo: loopback as Driver<never>,
  epair: epair as Driver<never>,
  home: home as Driver<never>,
  setter: setter as Driver<never>,
};
const wrapped: Driver<never> = wrap(
  drivers[query.get("of") ?? "null"]!,
  ...(query.get("with") ?? "trace").split(",").map((name) => LAYERS[name]!),
);
export default wrapped;
