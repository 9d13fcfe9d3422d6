/**
 * R27: unload with work pending (rule 3b, X3).
 *
 * Origin: FreeBSD c0fe514f041d (threads survive unload); D50386 (a callout is armed again during detach); D45492.
 *
 *     a callout of M arms itself again; a thread sleeps in M
 *     A: callout fires                         B: detach: callout_stop
 *     A: arms itself again                     B: MOD_UNLOAD, text unmapped
 *     A: callout fires     <- unmapped
 *
 * Forbidden: a call into a module that is unmapped.
 * softc: detach closes scopes (forbid re-arming, cancel, wait for tasks and callbacks), then the module's callbacks
 * are drained; after that the framework calls nothing of it.
 */
import { defineDriver, type Dev, type Driver, type Timer } from "../../../core/device/mod.ts";
import { turn } from "../../../core/cpu/pump.ts";
import type { ThreadContext } from "../../../testing/mod.ts";
import { type BusWorld, openBus } from "../bus.ts";
import { unscheduled } from "../../../testing/world.ts";
import { gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** The module is mapped; what it is called for. */
let text: { mapped: boolean; called(what: string): void } | undefined;
let step: (label: string) => Promise<void> = () => Promise.resolve();

interface Busy {
  readonly timer: Timer;
}

/** A timer that arms itself again, a task that sleeps, an epoch callback that queues another. */
const busy = defineDriver({
  name: "busy",
  api: 1,
  cloner: "busy",
  attach(dev: Dev): Busy {
    dev.ifnet({ type: "ether" });
    const timer = dev.timer(() => {
      text!.called("timer");
      timer.set(0);
    });
    timer.set(0);
    void dev.task(async () => {
      await step("asleep in M");
      text!.called("task");
      try {
        timer.set(0);
      } catch (e) {
        // Late: arming is forbidden.
        if ((e as { code?: string }).code !== "SOFTC_DEV_SCOPE") throw e;
      }
    });
    dev.epochCall(() => text!.called("callback"));
    return { timer };
  },
  transmit: (_sc, b) => b.freeAll(),
  stop(sc) {
    text!.called("stop");
    // Armed again during detach.
    sc.timer.set(0);
  },
  destroy: () => text!.called("destroy"),
}) as Driver<never>;

interface Loaded {
  readonly w: BusWorld;
  /** What was called when the module was unmapped. */
  readonly late: string[];
}

function assertNone(late: readonly string[]): void {
  if (late.length > 0) throw new Error(`called in an unmapped module: ${late.join(", ")}`);
}

async function load(t: ThreadContext): Promise<Loaded> {
  const late: string[] = [];
  text = {
    mapped: true,
    called(what) {
      if (this.mapped) t.happened(what);
      else late.push(what);
    },
  };
  const w = await openBus(t, busy);
  // What M does before it is unloaded is scheduled: its steps are not those of the create.
  step = (label) => t.stepper.step(label, [], () => true);
  await unscheduled(w, () => w.cloners.create(w.vnet0, "busy", {}));
  return { w, late };
}

export default defineLitmus({
  id: "R27",
  title: "unload with work pending",
  stored: "0.1-5.0",
  legacy: {
    name: "R27 legacy",
    // Word 1 of object 1: the callout is pending. Object 2 is M's text.
    threads: [
      legacy("B MOD_UNLOAD", (l) => {
        l.swap(1, 1, 0);
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("A callout", (l) => {
        for (let i = 0; i < 2; i++) {
          if (l.swap(1, 1, 0) === 0) return;
          l.touch(2, "text of M");
          l.store(1, 1, 1);
        }
      }),
    ],
  },
  softc: {
    name: "R27",
    mustHappen: ["timer", "task", "callback", "stop", "destroy"],
    arena: { cpus: 1 },
    threads: [{
      name: "CPU 0",
      prepare: load,
      operations: {
        async unload(_t, { w, late }: Loaded) {
          await w.table.unload("busy", "force");
          text!.mapped = false;
          // Whatever is left would run now.
          await w.control.step("unmapped");
          turn(w.cpu);
          await w.control.step("unmapped, a turn later");
          assertNone(late);
        },
        async pump(_t, { w, late }: Loaded) {
          for (let i = 0; i < 2; i++) {
            await w.control.step("a turn of CPU 0");
            turn(w.cpu);
          }
          assertNone(late);
        },
      },
    }],
    check: gone,
  },
});
