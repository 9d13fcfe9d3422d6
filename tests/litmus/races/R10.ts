/**
 * R10: a detach loses to a vmove (X2).
 *
 * Origin: FreeBSD D56374; PR 292993.
 *
 *     if0 is in J
 *     A: driver: if_detach(if0)                B: reclaim(if0): off J's list
 *     A: not found on the list: skipped
 *     A: frees softc                           B: attaches if0 in vnet0: softc  <- freed
 *
 * Forbidden: A skips, and what B attaches has no driver any more.
 * softc: a move that is told of a detach goes forward into it; every caller waits for the same promise.
 */
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { vmove } from "../../../vnet/vmove.ts";
import { homed } from "../drivers/checked.ts";
import { type Lent, lent, unlessLost } from "../lent.ts";
import { gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R10",
  title: "a detach loses to a move",
  stored: "0.1-4.0",
  legacy: {
    name: "R10 legacy",
    threads: [
      legacy("A if_detach", (l) => {
        if (l.load(1, 1) !== 0) l.store(1, 1, 0);
        l.grace();
        l.free(3);
      }, [[1, 1, 2]]),
      legacy("B if_vmove_reclaim", (l) => {
        if (l.load(1, 1) !== 2) return;
        l.store(1, 1, 0);
        l.store(1, 1, 1);
        l.touch(3, "softc of the interface that was moved");
      }),
    ],
  },
  softc: {
    name: "R10",
    mustHappen: ["moved", "lost"],
    threads: [{
      name: "CPU 0",
      prepare: (t) => lent(t, homed),
      operations: {
        detach: (_t, { w, e }: Lent) => detachEntry(w.ifs, e),
        // The second caller gets the first one's promise.
        detachAgain: (_t, { w, e }: Lent) => detachEntry(w.ifs, e),
        reclaim: (t, { w, e }: Lent) =>
          unlessLost(t, async () => {
            await vmove(w.ifs, e, w.vnet0);
            t.happened("moved");
          }),
      },
    }],
    check: gone,
  },
});
