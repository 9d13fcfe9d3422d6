/** Two CPUs take and release references: the count is theirs together (ref.ts, 1 and 3). */
import { load } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { dropRef, ifRele, ifTryRef } from "../../../core/net/ref.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { defineScenario, type ThreadContext } from "../../../testing/mod.ts";
import { attachIf, type CpuWorld, openControl, openCpu } from "../../../testing/world.ts";
import { homed } from "../drivers/checked.ts";

function prepare(t: ThreadContext): CpuWorld {
  const w = t.thread === 0 ? openControl(t, homed) : openCpu(t);
  if (t.thread === 0) attachIf(w as ReturnType<typeof openControl>, homed);
  w.net.refs = {
    references: new Set(),
    lastReleased: (index) => void dropRef(w.a, t.arena.ifnetAt(index) + IFNET.refs),
  };
  return w;
}

export default defineScenario({
  name: "refs",
  threads: ["A", "B"].map((name) => ({
    name,
    prepare,
    run(_t, w: CpuWorld) {
      const s = w.net.open(1);
      const ref = ifTryRef(s, ifnetByIndexAttached(s, 1)!, name);
      w.net.close(s);
      ifRele(ref!);
    },
  })),
  check({ arena }) {
    const refs = load(arena.a, arena.ifnetAt(1) + IFNET.refs);
    if (refs !== 0) throw new Error(`${refs} references are left`);
  },
});
