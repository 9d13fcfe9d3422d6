/**
 * R03: forwarding to an egress that dies (rules 1b, 3).
 *
 * Origin: the review thread D49447 on PR 285129; a similar trace in opnsense/src#197.
 *
 *     A: enter; route lookup gives if0         B: if_detach(if0): off the list, wait
 *     A: mtu through if0.afdata                B: if_dead(): plain stores of if_transmit; afdata freed
 *     A: if0.if_transmit -> driver, softc      B: returns to the driver, which frees softc
 *     A: exit
 *
 * Forbidden: A crashes reading the MTU or inside the driver.
 * softc: delivered, or refused and counted; a hook never meets a softc that is gone.
 */
import { AF, afdata, afdataWord } from "../../../core/net/domain.ts";
import type { NetSection } from "../../../core/net/section.ts";
import { defineLitmus } from "../litmus.ts";
import { DATA } from "../../../testing/world.ts";
import { legacy } from "../legacy.ts";
import { detachVsSender } from "../threads.ts";

/** Reads what the address family keeps, as output does. */
function output6(s: NetSection): void {
  const data = afdata(s, 1 as never, AF.inet6);
  if (data === 0) throw new Error("NULL address-family data");
  afdataWord(s, data, DATA.hopLimit);
}

export default defineLitmus({
  id: "R03",
  title: "forwarding to an egress that dies",
  stored: "2.1-8.0",
  legacy: {
    name: "R03 legacy",
    // Object 1 is the ifnet: word 1 if_transmit (1 the driver's, 2 if_dead's), word 2 afdata, word 3 softc.
    threads: [
      legacy("B if_detach", (l) => {
        l.grace();
        l.store(1, 1, 2);
        l.store(1, 2, 0);
        l.free(2);
        l.free(3);
      }, [[1, 1, 1], [1, 2, 2], [1, 3, 3]]),
      legacy("A ip6_forward", (l) =>
        l.section(() => {
          // The route still names the interface.
          const data = l.load(1, 2);
          if (data !== 0) l.touch(data, "linkmtu");
          if (l.load(1, 1) === 1) l.touch(l.load(1, 3), "softc");
        })),
    ],
  },
  softc: detachVsSender("R03", output6),
});
