/**
 * R06: reviving an interface whose reference count is zero (rule 4a).
 *
 * Origin: FreeBSD D28836; rS220317.
 *
 *     A: enter; p = byindex(i)             B: if_free(if0): slot cleared, refs 1 -> 0
 *     A:   ref(p)        (0 -> 1)          B: epoch_call(free)
 *     A: exit                              B: grace period over, p is freed
 *     A: use p: freed
 *
 * Forbidden: A holds a reference to memory that is freed, or it is freed twice.
 * softc: the only way from the epoch to a reference is ifTryRef, which fails once the deferred free has begun;
 * a free that meets references sets PENDING, and the last release queues it again.
 */
import { add, get, load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { dropRef, ifRele, ifTryRef, type RefHolder } from "../../../core/net/ref.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { defineLitmus } from "../litmus.ts";
import {
  attachIf,
  type ControlWorld,
  type CpuWorld,
  openControl,
  openCpu,
  scratch,
} from "../../../testing/world.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import { legacy } from "../legacy.ts";
import driver from "../drivers/homed.ts";

export default defineLitmus({
  id: "R06",
  title: "reviving an interface whose reference count is zero",
  stored: "0.1-3.0-d.0",
  legacy: {
    name: "R06 legacy",
    // Object 1 is the index slot (word 0) and the ifnet: word 1 a field, word 2 the count.
    threads: [
      legacy("B if_free", (l) => {
        l.store(0, 0, 0);
        if (add(l.a, l.at(1, 2), -1) !== 1) return;
        // if_free_deferred does not look at the count again.
        l.grace();
        l.free(1);
      }, [[0, 0, 1], [1, 2, 1]]),
      legacy("A reader", (l) => {
        let p = 0;
        l.section(() => {
          p = l.load(0);
          if (p !== 0) add(l.a, l.at(p, 2), 1);
        });
        if (p === 0) return;
        l.touch(p, "ifnet");
        add(l.a, l.at(p, 2), -1);
      }),
    ],
  },
  softc: {
    name: "R06",
    mustHappen: ["A took a reference", "A was refused", "the last release freed it"],
    threads: [{
      name: "B ifDetach",
      prepare(t) {
        const w = openControl(t, driver);
        return { w, e: attachIf(w, driver) };
      },
      operations: {
        async detach(t, { w, e }: { w: ControlWorld; e: IfEntry }) {
          await detachEntry(w.ifs, e);
          if (w.ifs.entries[1] === undefined) return;
          // What Interfaces.lastReleased does on CPU 0, where references live.
          const released = scratch(t.arena, 0);
          await w.control.until("last release", [released], () => load(w.a, released) === 1);
          await w.control.grace.wait();
          w.ifs.free(e);
          t.happened("the last release freed it");
        },
      },
    }, {
      name: "A reader",
      prepare(t) {
        const w = openCpu(t);
        const holder: RefHolder = {
          references: new Set(),
          lastReleased(index) {
            if (dropRef(w.a, t.arena.ifnetAt(index) + IFNET.refs)) store(w.a, scratch(t.arena, 0), 1);
          },
        };
        w.net.refs = holder;
        return w;
      },
      run(t, w: CpuWorld) {
        const s = w.net.open(0);
        const p = ifnetByIndexAttached(s, 1);
        const ref = p === undefined ? undefined : ifTryRef(s, p, "A");
        w.net.close(s);
        if (ref === undefined) return t.happened("A was refused");
        t.happened("A took a reference");
        get(w.a, t.arena.ifnetAt(1) + IFNET.mtu);
        ifRele(ref);
      },
    }],
    check({ arena }) {
      const state = load(arena.a, arena.ifnetAt(1) + IFNET.state);
      if (state !== 0) throw new Error(`the slot was never freed (state ${state})`);
    },
  },
});
