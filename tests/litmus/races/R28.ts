/**
 * R28: an epoch callback in a module that was unloaded (rule 3b).
 *
 * Origin: FreeBSD if.c, if_deregister_com_alloc.
 *
 *     M registered com_free; if0 was freed by M's detach, its callback is pending
 *     A: kldunload M: deregister, unmap        B: callback runner: com_free  <- unmapped
 *
 * Forbidden: a call into what was unmapped, or a leak.
 * softc: unload drains the callbacks that were queued before it lets the code go.
 */
import { Callbacks } from "../../../core/cpu/callbacks.ts";
import { load } from "../../../core/doors/arena.ts";
import { Epoch } from "../../../core/epoch/epoch.ts";
import { type ControlWorld, openControl } from "../../../testing/world.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Unloading {
  readonly w: ControlWorld;
  readonly callbacks: Callbacks;
  readonly thrown: unknown[];
}

export default defineLitmus({
  id: "R28",
  title: "an epoch callback in a module that was unloaded",
  stored: ".",
  legacy: {
    name: "R28 legacy",
    threads: [
      legacy("A kldunload", (l) => {
        l.store(1, 1, 0);
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("B callback runner", (l) => {
        l.grace();
        l.touch(2, "com_free");
      }),
    ],
  },
  softc: {
    name: "R28",
    mustHappen: ["called"],
    threads: [{
      name: "CPU 0",
      prepare(t): Unloading {
        const w = openControl(t);
        const thrown: unknown[] = [];
        return { w, thrown, callbacks: new Callbacks(() => w.control.grace.wait(), (e) => thrown.push(e)) };
      },
      operations: {
        async unload(t, { w, callbacks, thrown }: Unloading) {
          let mapped = true;
          callbacks.call(() => {
            if (!mapped) throw new Error("a call into what was unmapped");
            t.happened("called");
          });
          await w.control.step("unload: drain");
          await callbacks.drain();
          mapped = false;
          await w.control.step("unload: unmapped");
          if (thrown.length > 0) throw thrown[0];
          if (callbacks.size > 0) throw new Error("a callback is left");
        },
      },
    }, {
      name: "A reader",
      prepare: (t) => new Epoch(t.arena, t.thread),
      run(t, epoch: Epoch) {
        epoch.enter();
        load(t.arena.a, t.arena.ifnetAt(1));
        epoch.exit();
      },
    }],
  },
});
