/**
 * R13: a neighbour's timer against the neighbour's end (X3, rule 1b).
 *
 * Origin: freebsd-src PR 2219 (llentry_free, arptimer).
 *
 *     the neighbour's timer is armed and owns a reference
 *     A: callout: arptimer(lle) begins         B: llentry_free: callout_stop: "it runs"
 *                                              B: gives up the timer's reference all the same: freed
 *     A: lock(lle)         <- destroyed
 *
 * Forbidden: the timer takes a lock that is destroyed.
 * softc: one timer of CPU 0 looks at every neighbour table that is there; a table is freed, and its parked packets
 * are counted, behind the grace period that follows unlink, in one piece of code that also forgets it.
 */
import { BORN } from "../../../core/memory/counters.ts";
import { AF } from "../../../core/net/domain.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { Stack } from "../../../vnet/inet/stack.ts";
import { checkOn, homed } from "../drivers/checked.ts";
import { ifnetOf, type InetWorld, inSection, openInetControl, openInetCpu } from "../inet.ts";
import { attachIf, type CpuWorld, openInstance } from "../../../testing/world.ts";
import { gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Neighbours {
  readonly w: InetWorld;
  readonly e: IfEntry;
}

/** 192.0.2.1, whom nobody knows. */
const UNKNOWN = 0xc0000201 | 0;

export default defineLitmus({
  id: "R13",
  title: "a neighbour's timer against the neighbour's end",
  stored: "0.1-2.0",
  large: ["softc"],
  legacy: {
    name: "R13 legacy",
    // Word 1 of object 1: the callout is pending; object 2 is the lle, word 2 its references.
    threads: [
      legacy("B llentry_free", (l) => {
        // Pending: its reference goes with it. "It runs": the same, and that is the mistake.
        l.swap(1, 1, 0);
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("A arptimer", (l) => {
        if (l.swap(1, 1, 0) === 1) l.touch(2, "lock of the lle");
      }),
    ],
  },
  softc: {
    name: "R13",
    mustHappen: ["parked", "refused", "looked"],
    arena: { heap: 16384 },
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Neighbours> {
        const w = checkOn(openInetControl(t, homed));
        const e = attachIf(w, homed);
        await openInstance(w, 1, true);
        w.inet.open(ifnetOf(w, e), AF.inet);
        return { w, e };
      },
      operations: {
        detach: (_t, { w, e }: Neighbours) => detachEntry(w.ifs, e),
        async timer(t, { w }: Neighbours) {
          await w.control.step("a second later");
          w.clock.time += 1000;
          if (w.cpu.timers.run()) t.happened("looked");
        },
      },
    }, {
      name: "A output",
      prepare: (t) => openInetCpu(t),
      run(t, w: CpuWorld) {
        inSection(w, (s) => {
          const p = ifnetByIndexAttached(s, 1);
          if (p === undefined) return t.happened("refused");
          const st = new Stack(w.net, () => {});
          st.begin(s, 1);
          const id = st.alloc(64, BORN.stack);
          w.net.arena.u8[st.at(id)] = 1;
          st.routeVia(p, AF.inet, UNKNOWN, 0, 0, 0);
          st.emit(id, AF.inet);
          st.end();
          t.happened("parked");
        });
      },
    }],
    check: gone,
  },
});
