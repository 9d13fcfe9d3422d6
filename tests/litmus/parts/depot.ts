/** Two CPUs and a depot of two magazines: no packet is in two places (mbuf.ts, 2 to 4). */
import { load } from "../../../core/doors/arena.ts";
import { LINE, MAGAZINE, MAGAZINE_WORDS } from "../../../core/memory/arena.ts";
import { BORN, DROP } from "../../../core/memory/counters.ts";
import { assertLedger, type CpuWorld, openCpu } from "../../../testing/world.ts";
import { defineScenario, type ScenarioThread } from "../../../testing/mod.ts";

const cpu = (name: string): ScenarioThread => ({
  name,
  prepare: (t) => openCpu(t),
  run(t, { cpu }: CpuWorld) {
    const ids = new Int32Array(4);
    const n = cpu.pool.alloc(ids, 0, 1, BORN.stack, 64);
    if (n === 1) t.happened("got one");
    for (let i = 0; i < n; i++) cpu.pool.check(ids[i]!, cpu.pool.mine, "use");
    cpu.pool.end(ids, 0, n, DROP.driver, "dev.free");
    cpu.pool.flush();
  },
});

export default defineScenario({
  name: "depot",
  mustHappen: ["got one"],
  arena: { mbufs: 128 },
  threads: [cpu("CPU 0"), cpu("CPU 1")],
  check({ arena }) {
    assertLedger(arena);
    // Every packet is in one magazine, every magazine on one stack.
    const { depot, magazines, magazineCount } = arena.plan;
    const ids = new Set<number>();
    const seen = new Set<number>();
    for (const stack of [0, LINE]) {
      for (let m = load(arena.a, depot + stack) & 0xfff; m !== 0;) {
        if (seen.has(m)) throw new Error(`magazine ${m} is in two places`);
        seen.add(m);
        const base = magazines + (m - 1) * MAGAZINE_WORDS;
        for (let i = 0; stack === 0 && i < MAGAZINE; i++) {
          const id = arena.a.at(base + i)!;
          if (id < 0) break;
          if (ids.has(id)) throw new Error(`mbuf ${id} is in two places`);
          ids.add(id);
        }
        m = load(arena.a, base + MAGAZINE) & 0xfff;
      }
    }
    if (seen.size !== magazineCount) throw new Error(`${seen.size} of ${magazineCount} magazines are left`);
    if (ids.size !== 128) throw new Error(`${ids.size} of 128 mbufs are left`);
  },
});
