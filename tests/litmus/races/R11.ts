/**
 * R11: walking a vnet's interfaces while it is destroyed (X4).
 *
 * Origin: FreeBSD D27279.
 *
 *     J holds borrowed interfaces
 *     A: for p in J's list: move p home        B: destroys one of them: off the list, freed
 *     A: next(p)               <- freed
 *
 * Forbidden: the walk meets a changed list, or waits for the epoch inside the epoch.
 * softc: what is to go is collected first; each move and detach claims its interface.
 */
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { vmove } from "../../../vnet/vmove.ts";
import { homed } from "../drivers/checked.ts";
import { attachIf } from "../../../testing/world.ts";
import { type Lent, lent, unlessLost } from "../lent.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R11",
  title: "walking a vnet's interfaces while it is destroyed",
  stored: "3.1",
  legacy: {
    name: "R11 legacy",
    // Objects 1 and 2 are a list from word 0 of object 0: word 2 is next.
    threads: [
      legacy("A vnet_if_return", (l) => {
        for (let p = l.load(0); p !== 0; p = l.touch(p, "next", 2)) l.store(p, 3, 1);
      }, [[0, 0, 1], [1, 2, 2]]),
      legacy("B if_detach", (l) => {
        l.store(0, 0, 2);
        l.free(1);
      }),
    ],
  },
  softc: {
    name: "R11",
    mustHappen: ["lost"],
    threads: [{
      name: "CPU 0",
      prepare(t) {
        const l = lent(t, homed);
        attachIf(l.w, homed, { name: "own", vnet: l.vnet });
        return l;
      },
      operations: {
        destroyVnet: (_t, { w, vnet }: Lent) => w.vnets.destroy(vnet),
        destroyOne: (_t, { w, e }: Lent) => detachEntry(w.ifs, e),
        moveOther: (t, { w, vnet }: Lent) =>
          unlessLost(t, async () => {
            const own = w.ifs.byName(vnet.id, "own");
            if (own !== undefined) await vmove(w.ifs, own, w.vnet0);
          }),
      },
    }],
    check({ arena }) {
      for (const index of [1, 2]) {
        const state = arena.a.at(arena.ifnetAt(index) + 1);
        if (state !== 0) throw new Error(`slot ${index} is in state ${state}`);
      }
    },
  },
});
