/**
 * R02: in6_setscope, a pointer that is checked and loaded again (rule 1b).
 *
 * Origin: FreeBSD D25017; truenas/os#224 ("narrow the race window ... proper fix would defer dom_ifdetach").
 *
 *     A: enter; p = lookup(if0)                B: if_detach(if0)
 *     A: if p.afdata[6] != NULL                B: afdata = NULL, old data freed
 *     A:   p.afdata[6].scope   <- NULL
 *     A: exit
 *
 * Forbidden: the second load is NULL or freed after a check that passed.
 * softc: afdata is read once, and what was read stays valid to the section's end.
 */
import { AF, afdata, afdataWord } from "../../../core/net/domain.ts";
import type { NetSection } from "../../../core/net/section.ts";
import { defineLitmus } from "../litmus.ts";
import { DATA } from "../../../testing/world.ts";
import { legacy } from "../legacy.ts";
import { detachVsSender } from "../threads.ts";

/** Read once, used twice. */
function setscope(s: NetSection): void {
  const data = afdata(s, 1 as never, AF.inet6);
  if (data === 0) throw new Error("NULL address-family data");
  afdataWord(s, data, DATA.vnet);
  afdataWord(s, data, DATA.hopLimit);
}

export default defineLitmus({
  id: "R02",
  title: "a pointer that is checked, then loaded again",
  stored: "0.1-4.0",
  legacy: {
    name: "R02 legacy",
    threads: [
      legacy("B if_detach", (l) => {
        l.store(1, 2, 0);
        l.free(2);
      }, [[1, 2, 2]]),
      legacy("A in6_setscope", (l) =>
        l.section(() => {
          if (l.load(1, 2) === 0) return;
          l.touch(l.load(1, 2), "scope6_id");
        })),
    ],
  },
  softc: detachVsSender("R02", setscope),
});
