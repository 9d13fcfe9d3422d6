/**
 * Drivers that do what a test of tests/review tells them. Homed on CPU 0 they share this module with the test.
 *
 * @module
 */
import { type Batch, defineDriver, defineModule, type Dev, type Driver } from "../../core/device/mod.ts";
import { anyOptions } from "./options.ts";

/** What the test sets and sees; on CPU 0 alone. */
export const told = {
  transmit: (b: Batch): number => b.freeAll(),
  dev: undefined as Dev<unknown> | undefined,
  changes: [] as object[],
};

/** Back to a driver that sends all. */
export function resetTold(): typeof told {
  return Object.assign(told, { transmit: (b: Batch) => b.freeAll(), dev: undefined, changes: [] });
}

const obedient: Driver<undefined> = defineDriver({
  name: "obedient",
  api: 1,
  cloner: "obedient",
  queueLength: 16,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    told.dev = dev as Dev<unknown>;
    return {};
  },
  set: (_sc, c) => void told.changes.push(c),
  transmit: (_sc, b) => told.transmit(b),
});

/** Options of `busy`. */
export interface BusyOptions {
  /** Milliseconds that its `set` keeps the CPU for. */
  readonly spin?: number;
  /** Times that its `set` reports the link. */
  readonly links?: number;
}

/** `set` keeps its CPU, or floods the way to CPU 0; the first transmit takes nothing, the next ones all. */
const busy: Driver<BusyOptions> = defineDriver({
  name: "busy",
  api: 1,
  cloner: "busy",
  queueLength: 64,
  options: anyOptions<BusyOptions>(),
  attach(dev: Dev<BusyOptions>) {
    dev.ifnet({ type: "ether" });
    return { dev, calls: 0 };
  },
  set(sc) {
    const { spin = 0, links = 0 } = sc.dev.options ?? {};
    for (let i = 0; i < links; i++) sc.dev.link(i % 2 === 0);
    const end = performance.now() + spin;
    while (performance.now() < end);
  },
  transmit(sc, b) {
    return sc.calls++ === 0 ? 0 : b.freeAll();
  },
});

/** Takes the packet for which it has no room, and forgets to give it back. */
const grabby: Driver<undefined> = defineDriver({
  name: "grabby",
  api: 1,
  cloner: "grabby",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit(_sc, b) {
    for (let i = 0; i < 2; i++) b.take(i);
    return 1;
  },
});

/** Throws outside every hook, while its thread serves the event loop: its CPU dies. */
const killer: Driver<undefined> = defineDriver({
  name: "killer",
  api: 1,
  cloner: "killer",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  async set() {
    setTimeout(() => {
      throw new Error("planted");
    });
    await new Promise(() => {});
  },
  transmit: (_sc, b) => b.freeAll(),
});

export default defineModule({ name: "review", api: 1, drivers: [obedient, busy, grabby, killer] });
