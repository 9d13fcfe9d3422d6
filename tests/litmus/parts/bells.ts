/** Two CPUs ring a third at the same time: no bell is lost. Shows its worth from 3 preemptions on. */
import { load, store, wait } from "../../../core/doors/arena.ts";
import { defineScenario, type ScenarioThread } from "../../../testing/mod.ts";
import { type CpuWorld, openCpu, scratch } from "../../../testing/world.ts";

const ringer = (name: string, i: number, times: number): ScenarioThread => ({
  name,
  prepare: (t) => openCpu(t),
  run(t, { a, cpu }: CpuWorld) {
    for (let n = 1; n <= times; n++) {
      store(a, scratch(t.arena, i), n);
      cpu.ring(2);
    }
  },
});

export default defineScenario({
  name: "bells",
  mustHappen: ["slept"],
  threads: [ringer("A", 0, 2), ringer("B", 1, 1), {
    name: "sleeper",
    prepare: (t) => openCpu(t),
    run(t, { a, cpu }: CpuWorld) {
      const all = (): boolean => load(a, scratch(t.arena, 0)) + load(a, scratch(t.arena, 1)) === 3;
      while (!all()) {
        const bell = cpu.lieDown();
        if (!all()) {
          t.happened("slept");
          wait(a, cpu.bell, bell, 1e9);
        }
        cpu.getUp();
      }
    },
  }],
});
