/** A neighbour whose MAC address changes while it is read: nobody pairs halves of two (neighbour.ts, 3). */
import { defineScenario } from "../../../testing/mod.ts";
import { LEARN, ND, neighbourLearn, neighbourRead, NeighbourView } from "../../../vnet/inet/neighbour.ts";

const ADDRESS = [0x0a000001, 0, 0, 0] as const;
const learn = (a: Int32Array, t: number, mac: number, how: number): number =>
  neighbourLearn(a, t, ...ADDRESS, mac, mac, how);

export default defineScenario({
  name: "neighbour",
  mustHappen: ["old", "new", "not believed"],
  setup: (arena) => void learn(arena.a, arena.plan.heap, 1, LEARN.create | LEARN.confirmed),
  threads: [{
    name: "learner",
    run(t) {
      if (learn(t.arena.a, t.arena.plan.heap, 2, LEARN.confirmed | LEARN.override) === 0) {
        throw new Error("nothing was learnt");
      }
    },
  }, {
    name: "reader",
    run(t) {
      const view = new NeighbourView();
      neighbourRead(t.arena.a, t.arena.plan.heap, ...ADDRESS, view);
      if (view.state <= ND.incomplete) return t.happened("not believed");
      if (view.macHigh !== view.macLow) {
        throw new Error(`half of ${view.macHigh} with half of ${view.macLow}`);
      }
      t.happened(view.macHigh === 1 ? "old" : "new");
    },
  }],
});
