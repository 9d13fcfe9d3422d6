/**
 * R22: a grace period that is waited for under a lock (X4).
 *
 * Origin: FreeBSD rS339358 (D17496), if_vlan.c.
 *
 *     A: lock(V); waits for the epoch          B: enter; lock(M)        C: lock(M); lock(V)
 *
 * Forbidden: each waits for another: A for B's section, B for C's M, C for A's V.
 * softc: a structural operation owns its interface by a state, and waits with nothing held: others go on.
 */
import { load, store, until } from "../../../core/doors/arena.ts";
import { MTU } from "../../../core/device/device.ts";
import { ifSet } from "../../../core/net/config.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { homed } from "../drivers/checked.ts";
import { attachIf, type CpuWorld, openCpu, openInstance, scratch } from "../../../testing/world.ts";
import { gone, type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** Scratch word: 1 when the other interface was changed. */
const CHANGED = 1;

export default defineLitmus({
  id: "R22",
  title: "a grace period that is waited for under a lock",
  stored: "0.1-2.0-8.2",
  legacy: {
    name: "R22 legacy",
    // Word 1 of object 1 is the lock V of vlan(4), word 2 the multicast lock M.
    threads: [
      legacy("A vlan_unconfig", (l) => {
        l.lock(1, 1);
        l.grace();
        l.unlock(1, 1);
      }),
      legacy("B in the epoch", (l) =>
        l.section(() => {
          l.lock(1, 2);
          l.unlock(1, 2);
        })),
      legacy("C vlan_setmulti", (l) => {
        l.lock(1, 2);
        l.lock(1, 1);
        l.unlock(1, 1);
        l.unlock(1, 2);
      }),
    ],
  },
  softc: {
    name: "R22",
    mustHappen: ["waited", "detached twice"],
    threads: [{
      name: "CPU 0",
      async prepare(t) {
        const one = oneIf(t, homed);
        attachIf(one.w, homed, { name: "if1" });
        await openInstance(one.w, 1, true);
        await openInstance(one.w, 2, true);
        return one;
      },
      operations: {
        detach: (_t, { w, e }: OneIf) => detachEntry(w.ifs, e),
        // What B's open section waits for must come while the detach waits for that section.
        async change(t, { w, e }: OneIf) {
          const other = w.ifs.byName(1, "if1")!;
          await ifSet(w.ifs, other, w.ifs.handle(other), { mtu: 1000, name: "if9" }, MTU);
          store(w.a, scratch(t.arena, CHANGED), 1);
          await detachEntry(w.ifs, e);
          t.happened("detached twice");
        },
      },
    }, {
      name: "B in the epoch",
      prepare: (t) => openCpu(t),
      run(t, w: CpuWorld) {
        const changed = scratch(t.arena, CHANGED);
        const s = w.net.open(0);
        ifnetByIndexAttached(s, 1);
        if (load(w.a, changed) === 0) t.happened("waited");
        until(w.a, [changed], () => load(w.a, changed) === 1);
        w.net.close(s);
      },
    }],
    check: gone,
  },
});
