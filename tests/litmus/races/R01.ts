/**
 * R01: address-family data under TCP output (rule 1b).
 *
 * Origin: FreeBSD PR 279653; D54728; the review thread D49447.
 *
 *     A: enter                                 B: if_detach(if0): off the list
 *     A: p = cached route                      B: afdata = NULL, old data freed at once
 *     A: e = p.afdata[AF_INET6]
 *     A: e.hoplimit        <- freed
 *     A: exit
 *
 * Forbidden: A touches freed data, or dereferences NULL.
 * softc: what hangs off an interface is freed after the grace period that follows unlink.
 */
import { AF, afdata, afdataWord } from "../../../core/net/domain.ts";
import type { NetSection } from "../../../core/net/section.ts";
import { defineLitmus } from "../litmus.ts";
import { type CpuWorld, DATA, openCpu, sendOne } from "../../../testing/world.ts";
import { legacy } from "../legacy.ts";
import { checkOn, homed } from "../drivers/checked.ts";
import { detacher, detachVsSender, gone } from "../threads.ts";

/** Reads what the address family keeps, as output does. */
function output6(s: NetSection): void {
  const data = afdata(s, 1 as never, AF.inet6);
  if (data === 0) throw new Error("NULL address-family data");
  afdataWord(s, data, DATA.hopLimit);
}

export default defineLitmus({
  id: "R01",
  title: "address-family data under output",
  stored: "3.1-6.0",
  legacy: {
    name: "R01 legacy",
    // Object 1 is the ifnet: word 1 listed, word 2 if_afdata; object 2 the data.
    threads: [
      legacy("B if_detach", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.store(1, 2, 0);
        l.free(2);
      }, [[1, 1, 1], [1, 2, 2]]),
      legacy("A tcp_output", (l) =>
        l.section(() => {
          // The interface comes from a cached route: nobody looks whether it is still on the list.
          const data = l.load(1, 2);
          if (data !== 0) l.touch(data, "in6_ifextra");
        })),
    ],
  },
  softc: detachVsSender("R01", output6),
  more: {
    // The driver runs on CPU 0 alone: nobody asks the sender's CPU anything, only the grace period waits for it.
    homed: {
      name: "R01 homed",
      mustHappen: ["sent", "refused"],
      threads: [detacher(homed), {
        name: "A sender",
        prepare: (t) => checkOn(openCpu(t, homed)),
        run(t, w: CpuWorld) {
          t.happened(sendOne(w, 1, 1, output6) > 0 ? "sent" : "refused");
        },
      }],
      check: gone,
    },
  },
});
