/**
 * R31: counters read after detach (rule 3a).
 *
 * Origin: FreeBSD if_dead.c and if_vtnet.c, vtnet_get_counter.
 *
 *     A: holds ref(if0); if_data_copy(if0)     B: detach; if_free; frees softc
 *     A: if_get_counter -> softc  <- freed
 *
 * Forbidden: the counter hook walks a softc that is freed.
 * softc: counters are the framework's, in the arena; they are frozen when the slot is freed.
 */
import { ENDED, ifCounters } from "../../../core/memory/counters.ts";
import { detacher, gone, sender } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R31",
  title: "counters read after detach",
  stored: ".",
  legacy: {
    name: "R31 legacy",
    threads: [
      legacy("B detach", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 1]]),
      // It has a reference, so it need not look whether the interface is attached.
      legacy("A if_data_copy", (l) => l.touch(2, "softc of if_get_counter")),
    ],
  },
  softc: {
    name: "R31",
    mustHappen: ["sent", "refused"],
    threads: [detacher(), sender()],
    check(end) {
      gone(end);
      // The slot is free, and what it counted still stands: one packet sent, or none.
      const { opackets } = ifCounters(end.arena, 1);
      const wire = end.arena.f[end.arena.cpuCountersAt(1) + ENDED.wire]!;
      if (opackets !== wire) throw new Error(`${opackets} packets counted, ${wire} sent`);
    },
  },
});
