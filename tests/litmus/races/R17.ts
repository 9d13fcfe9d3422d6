/**
 * R17: a softc that is NULLed too early (rule 3a).
 *
 * Origin: the follow-up cd7faca79a to D20027, a tun in a bridge.
 *
 *     A: bridge forwards to tun0.start         B: destroy: if_softc = NULL
 *     A: softc.x           <- NULL             B: ... if_detach
 *
 * Forbidden: A dereferences NULL.
 * softc: a CPU's part of the softc ends after unlink, the grace period and the closing of its gate.
 */
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";
import { detachVsSender } from "../threads.ts";

export default defineLitmus({
  id: "R17",
  title: "a softc that is gone before its interface",
  stored: "0.1-3.0",
  legacy: {
    name: "R17 legacy",
    threads: [
      legacy("B tun destroy", (l) => {
        l.store(1, 2, 0);
        l.store(1, 1, 0);
        l.grace();
        l.free(3);
      }, [[1, 1, 1], [1, 2, 3]]),
      legacy("A bridge", (l) =>
        l.section(() => {
          if (l.load(1, 1) === 1) l.touch(l.load(1, 2), "softc");
        })),
    ],
  },
  softc: detachVsSender("R17"),
});
