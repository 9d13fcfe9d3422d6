/**
 * R26: a buffer whose completion outlives its adapter (rules 1b, 3a).
 *
 * Origin: opnsense/src#314 (the reporter's reading); luigirizzo/netmap#647 and #109.
 *
 *     netmap on if0, buffers in flight
 *     A: tx completes: the buffer's destructor B: last descriptor closed: adapter freed
 *     A: adapter           <- freed
 *
 * Forbidden: a completion touches an adapter that is freed.
 * softc: a buffer names its owner by a word, and has no destructor. The driver's stop takes back what its device
 * holds; a compare-and-swap decides for each buffer between completion and cancel, so it ends exactly once.
 */
import { type Batch, defineDriver, type Dev, type Driver, type Mbuf } from "../../../core/device/mod.ts";
import { cas, load, store, until } from "../../../core/doors/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { type CpuWorld, openCpu, openInstance, scratch, sendOne, serveMail } from "../../../testing/world.ts";
import { DONE, gone, type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** Scratch word: the state of the device's one descriptor. */
const DESCRIPTOR = 2;
const IDLE = 0;
const PENDING = 1;
const COMPLETED = 2;
const CANCELLED = 3;
/** Scratch word: the device may give up looking. */
const RESET = 3;

interface Adapter {
  gone: boolean;
  held: Mbuf | undefined;
  readonly dev: Dev;
}

let world: CpuWorld | undefined;

/** The driver's side: gives one buffer to the device. */
const netmap = defineDriver({
  name: "netmap",
  api: 1,
  attach(dev: Dev): Adapter {
    dev.ifnet({ type: "ether" });
    return { gone: false, held: undefined, dev };
  },
  transmit(sc, b: Batch) {
    if (sc.gone) throw new Error("transmit on an adapter that is gone");
    if (sc.held !== undefined) return 0;
    sc.held = b.take(0);
    store(world!.a, scratch(world!.t.arena, DESCRIPTOR), PENDING);
    return 1;
  },
  stop(sc) {
    const { a, t } = world!;
    store(a, scratch(t.arena, RESET), 1);
    if (sc.held === undefined) return;
    const cancelled = cas(a, scratch(t.arena, DESCRIPTOR), PENDING, CANCELLED) === PENDING;
    t.happened(cancelled ? "cancelled" : "completed");
    if (cancelled) sc.dev.free(sc.held);
    else sc.dev.txDone(sc.held);
    sc.held = undefined;
  },
  destroy: (sc) => void (sc.gone = true),
}) as Driver<never>;

export default defineLitmus({
  id: "R26",
  title: "a buffer whose completion outlives its adapter",
  stored: "0.1-3.0",
  legacy: {
    name: "R26 legacy",
    // Word 1 of object 1: the buffer is in flight; word 2: the adapter that its destructor was given.
    threads: [
      legacy("B netmap_close", (l) => {
        l.store(3, 1, 0);
        l.free(2);
      }, [[1, 1, 1], [1, 2, 2], [3, 1, 2]]),
      legacy("A tx completion", (l) => {
        if (l.swap(1, 1, 0) === 1) l.touch(l.load(1, 2), "netmap adapter");
      }),
    ],
  },
  softc: {
    name: "R26",
    mustHappen: ["cancelled", "completed"],
    threads: [{
      name: "CPU 0",
      prepare: (t) => oneIf(t, netmap, { home: 1 }),
      operations: {
        async detach(t, { w, e }: OneIf) {
          await detachEntry(w.ifs, e);
          store(w.a, scratch(t.arena, DONE), 1);
        },
      },
    }, {
      name: "driver's CPU",
      async prepare(t) {
        world = openCpu(t, netmap);
        await openInstance(world, 1, true);
        sendOne(world, 1, 1);
        return world;
      },
      run(t, w: CpuWorld) {
        const done = scratch(t.arena, DONE);
        serveMail(w, [done], () => load(w.a, done) === 1);
      },
    }, {
      name: "A device",
      run(t) {
        const { a } = t.arena;
        const descriptor = scratch(t.arena, DESCRIPTOR);
        const reset = scratch(t.arena, RESET);
        until(a, [descriptor, reset], () => load(a, descriptor) !== IDLE || load(a, reset) === 1);
        cas(a, descriptor, PENDING, COMPLETED);
      },
    }],
    check: gone,
  },
});
