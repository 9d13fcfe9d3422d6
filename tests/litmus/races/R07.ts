/**
 * R07: a deferred free that ignores a reference (rule 4a).
 *
 * Origin: the review thread D49447 on if_free_deferred.
 *
 *     refs = 0, the callback is queued, A is still inside
 *     A: ref(p)            (0 -> 1)            B: grace period over
 *     A: exit                                  B: if_free_deferred: frees, whatever the count
 *     A: use p             <- freed
 *
 * Forbidden: freed while a reference is held.
 * softc: the free tests the word in one compare-and-swap; with references left it sets PENDING, and the release
 * that leaves PENDING alone queues it again.
 */
import { add, get, load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { dropRef, type IfRef, ifRele, ifTryRef } from "../../../core/net/ref.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { type CpuWorld, openCpu, scratch } from "../../../testing/world.ts";
import { homed } from "../drivers/checked.ts";
import { gone, type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Holder {
  readonly w: CpuWorld;
  readonly refs: readonly IfRef[];
}

export default defineLitmus({
  id: "R07",
  title: "a deferred free that ignores a reference",
  stored: "0.1-5.0",
  legacy: {
    name: "R07 legacy",
    // Word 2 of object 1 is the count. A has found it already: the order of its section is what matters.
    threads: [
      legacy("B callback runner", (l) => {
        l.store(0, 1, 1);
        l.grace();
        l.free(1);
      }),
      legacy("A reader", (l) => {
        let found = false;
        l.section(() => {
          found = l.load(0, 1) === 0;
          if (found) add(l.a, l.at(1, 2), 1);
        });
        if (found) l.touch(1, "a referenced ifnet");
      }),
    ],
  },
  softc: {
    name: "R07",
    mustHappen: ["the last release freed it", "the detach freed it"],
    threads: [{
      name: "B ifDetach",
      prepare: (t) => oneIf(t, homed),
      operations: {
        async detach(t, { w, e }: OneIf) {
          await detachEntry(w.ifs, e);
          if (w.ifs.entries[1] === undefined) return t.happened("the detach freed it");
          // What Interfaces.lastReleased does on CPU 0, where references live.
          const released = scratch(t.arena, 0);
          await w.control.until("last release", [released], () => load(w.a, released) === 1);
          await w.control.grace.wait();
          w.ifs.free(e);
          t.happened("the last release freed it");
        },
      },
    }, {
      name: "A holder of two",
      prepare(t) {
        const w = openCpu(t);
        w.net.refs = {
          references: new Set(),
          lastReleased(index) {
            if (dropRef(w.a, t.arena.ifnetAt(index) + IFNET.refs)) store(w.a, scratch(t.arena, 0), 1);
          },
        };
        const s = w.net.open(0);
        const p = ifnetByIndexAttached(s, 1)!;
        const refs = [ifTryRef(s, p, "first")!, ifTryRef(s, p, "second")!];
        w.net.close(s);
        return { w, refs };
      },
      run(t, { w, refs }: Holder) {
        for (const ref of refs) {
          get(w.a, t.arena.ifnetAt(1) + IFNET.macLow);
          ifRele(ref);
        }
      },
    }],
    check: gone,
  },
});
