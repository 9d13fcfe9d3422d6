/** Two readers: a grace period waits for both, and one that has taken its snapshot covers nobody who comes later. */
import { load, store } from "../../../core/doors/arena.ts";
import { Epoch } from "../../../core/epoch/epoch.ts";
import { defineScenario } from "../../../testing/mod.ts";
import { type ControlWorld, openControl, scratch } from "../../../testing/world.ts";

export default defineScenario({
  name: "graces",
  mustHappen: ["found", "freed"],
  setup: (arena) => store(arena.a, scratch(arena, 0), 1),
  threads: [{
    name: "CPU 0",
    prepare: (t) => openControl(t),
    operations: {
      other: (_t, w: ControlWorld) => w.control.grace.wait(),
      async destroy(t, w: ControlWorld) {
        store(w.a, scratch(t.arena, 0), 0);
        await w.control.grace.wait();
        t.sanitizer!.mark(t.arena.plan.heap, 16, "epoch callback");
        t.happened("freed");
      },
    },
  }, {
    name: "X",
    prepare: (t) => new Epoch(t.arena, t.thread),
    run(_t, epoch: Epoch) {
      epoch.enter();
      epoch.exit();
    },
  }, {
    name: "Y",
    prepare: (t) => new Epoch(t.arena, t.thread),
    run(t, epoch: Epoch) {
      epoch.enter();
      if (load(t.arena.a, scratch(t.arena, 0)) === 1) {
        t.happened("found");
        load(t.arena.a, t.arena.plan.heap);
      }
      epoch.exit();
    },
  }],
});
