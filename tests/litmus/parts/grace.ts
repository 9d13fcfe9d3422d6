/** Grace periods: who unlinked before one starts shares it, who comes later waits for the next (epoch.ts, 2 to 6). */
import { load, store } from "../../../core/doors/arena.ts";
import { Callbacks } from "../../../core/cpu/callbacks.ts";
import { Epoch } from "../../../core/epoch/epoch.ts";
import { defineScenario, type ThreadContext } from "../../../testing/mod.ts";
import { type ControlWorld, openControl, scratch } from "../../../testing/world.ts";

const object = (t: ThreadContext, i: number): number => t.arena.plan.heap + i * 16;

/** Unlinks object `i`, waits, frees it. */
function destroy(i: number): (t: ThreadContext, w: ControlWorld) => Promise<void> {
  return async (t, w) => {
    await w.control.step("destroy: begins");
    store(w.a, scratch(t.arena, i), 0);
    await w.control.grace.wait();
    t.sanitizer!.mark(object(t, i), 16, "epoch callback");
  };
}

export default defineScenario({
  name: "grace",
  mustHappen: ["0", "1", "2", "callback"],
  setup(arena) {
    for (let i = 0; i < 3; i++) store(arena.a, scratch(arena, i), 1);
  },
  threads: [{
    name: "CPU 0",
    prepare: (t) => openControl(t),
    operations: {
      first: destroy(0),
      second: destroy(1),
      async callback(t, w: ControlWorld) {
        const calls = new Callbacks(() => w.control.grace.wait(), () => {});
        store(w.a, scratch(t.arena, 2), 0);
        calls.call(() => {
          t.sanitizer!.mark(object(t, 2), 16, "epoch callback");
          t.happened("callback");
        });
        await calls.drain();
      },
    },
  }, {
    name: "reader",
    prepare: (t) => new Epoch(t.arena, t.thread),
    run(t, epoch: Epoch) {
      epoch.enter();
      for (let i = 0; i < 3; i++) {
        if (load(t.arena.a, scratch(t.arena, i)) === 0) continue;
        load(t.arena.a, object(t, i));
        t.happened(String(i));
      }
      epoch.exit();
    },
  }],
});
