// A scenario of the explorer: two threads that each read, add one, and write. One of the updates may be lost.
import { defineScenario, load, store } from "@softc/softc/testing";

const adder = (name) => ({
  name,
  run({ arena }) {
    store(arena.a, arena.plan.heap, load(arena.a, arena.plan.heap) + 1);
  },
});

export default defineScenario({
  name: "lost",
  threads: [adder("A"), adder("B")],
  check({ arena }) {
    const sum = load(arena.a, arena.plan.heap);
    if (sum !== 2) throw new Error(`2 increments gave ${sum}`);
  },
});
