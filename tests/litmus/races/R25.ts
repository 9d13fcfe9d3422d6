/**
 * R25: a timer against the removal of what it works on (X3).
 *
 * Origin: FreeBSD 77990dfda978 (carp_sx, so that the callout can be drained); kern/82908.
 *
 *     A: callout: send an advertisement        B: parent goes: carp_detach: callout_stop: "it runs": ignored
 *     A: arms itself again                     B: frees the softc
 *     A: softc             <- freed
 *
 * Forbidden: the timer runs on a softc that is freed; a drain under the mutex that the timer wants.
 * softc: closing a scope forbids re-arming, then cancels; a timer runs between turns of the CPU that closes it.
 */
import { type Batch, defineDriver, type Dev, type Driver, type Timer } from "../../../core/device/mod.ts";
import { turn } from "../../../core/cpu/pump.ts";
import { load } from "../../../core/doors/arena.ts";
import { type CpuWorld, openCpu, openInstance, pumpUntil, scratch } from "../../../testing/world.ts";
import { detacher, DONE, gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Carp {
  gone: boolean;
  advertised: number;
  readonly timer: Timer;
}

let world: CpuWorld | undefined;

/** Advertises by a timer that arms itself again, for ever. */
const carp = defineDriver({
  name: "carp",
  api: 1,
  attach(dev: Dev): Carp {
    dev.ifnet({ type: "ether" });
    const advertise = (): void => {
      if (sc.gone) throw new Error("a timer runs on a softc that is gone");
      const b: Batch = dev.alloc(1);
      b.setLen(0, 64);
      dev.ifInput(b);
      sc.advertised++;
      world!.t.happened("advertised");
      sc.timer.set(0);
    };
    const sc: Carp = { gone: false, advertised: 0, timer: dev.timer(advertise) };
    sc.timer.set(0);
    return sc;
  },
  transmit: (_sc, b) => b.freeAll(),
  stop(sc) {
    // Still armed, and the scope closes after this.
    if (sc.advertised === 0) world!.t.happened("stopped before it ran");
    sc.timer.set(0);
  },
  destroy: (sc) => void (sc.gone = true),
}) as Driver<never>;

export default defineLitmus({
  id: "R25",
  title: "a timer against the removal of what it works on",
  stored: "0.1-2.0",
  large: ["softc"],
  legacy: {
    name: "R25 legacy",
    // Word 1 of object 1: the callout is pending; object 2 is the softc.
    threads: [
      legacy("B carp_detach", (l) => {
        // callout_stop: not pending means that it runs, and nobody looks.
        l.swap(1, 1, 0);
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("A callout", (l) => {
        if (l.swap(1, 1, 0) === 1) {
          l.touch(2, "carp softc");
          l.store(1, 1, 1);
        }
      }),
    ],
  },
  softc: {
    name: "R25",
    mustHappen: ["advertised", "stopped before it ran"],
    threads: [
      detacher(carp, { home: 1 }),
      {
        name: "A timer's CPU",
        async prepare(t) {
          world = openCpu(t, carp);
          await openInstance(world, 1, true);
          return world;
        },
        run(t, w: CpuWorld) {
          turn(w.cpu);
          const done = scratch(t.arena, DONE);
          pumpUntil(w, [done], () => load(w.a, done) === 1);
          // Whatever is left armed would run now.
          turn(w.cpu);
        },
      },
    ],
    check: gone,
  },
});
