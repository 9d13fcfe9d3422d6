/**
 * R09: a vnet is destroyed while an epair that it borrowed is (X2).
 *
 * Origin: FreeBSD D20868; D27378 = rS368237; PR 238870, 234985, 244703, 250870.
 *
 *     epair a in vnet0, b lent to jail J
 *     A: destroy J: b off J's list             B: destroy epair: detach(b): not found, skipped
 *     A: b.if_vnet = vnet0                     B: frees b
 *     A: links b into vnet0's list  <- freed
 *
 * Forbidden: a freed interface on vnet0's list; a flush with a softc that is gone.
 * softc: exactly one of them detaches b, and both finish.
 */
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { homed } from "../drivers/checked.ts";
import { gone } from "../threads.ts";
import { type Lent, lent } from "../lent.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R09",
  title: "a vnet is destroyed while an epair that it borrowed is",
  stored: "4.1",
  legacy: {
    name: "R09 legacy",
    // Word 1 of object 1 is the list that b is on: 2 = J, 1 = vnet0, 0 = none. Object 2 is b.
    threads: [
      legacy("A vnet_destroy", (l) => {
        if (l.load(1, 1) !== 2) return;
        l.store(1, 1, 0);
        l.store(1, 1, 1);
        l.touch(2, "b on vnet0's list");
      }, [[1, 1, 2]]),
      legacy("B epair destroy", (l) => {
        // Not on its list: skipped.
        if (l.load(1, 1) !== 0) l.store(1, 1, 0);
        l.grace();
        l.free(2);
      }),
    ],
  },
  softc: {
    name: "R09",
    threads: [{
      name: "CPU 0",
      prepare: (t) => lent(t, homed),
      operations: {
        destroyVnet: (_t, { w, vnet }: Lent) => w.vnets.destroy(vnet),
        destroyEpair: (_t, { w, e }: Lent) => detachEntry(w.ifs, e),
      },
    }],
    check: gone,
  },
});
