/**
 * R19: a port used after the section that found it (rule 2).
 *
 * Origin: FreeBSD D19718; D39275 (lagg).
 *
 *     A: enter; port = pick(lagg0); exit       B: removes the port, destroys its interface
 *     A: port.ifp.transmit  <- freed
 *
 * Forbidden: freed memory is touched.
 * softc: what a look-up gave is stamped with its section; used in another it throws, before it can do harm.
 */
import { BORN, DROP } from "../../../core/memory/counters.ts";
import { ifOutput } from "../../../core/net/output.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { detacher, gone, worker } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R19",
  title: "a port used after the section that found it",
  stored: "0.1-4.0",
  legacy: {
    name: "R19 legacy",
    threads: [
      legacy("B port destroy", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 2]]),
      legacy("A lagg_start", (l) => {
        let port = 0;
        l.section(() => port = l.load(1, 1));
        if (port !== 0) l.touch(port, "port.ifp");
      }),
    ],
  },
  softc: {
    name: "R19",
    mustHappen: ["refused"],
    threads: [
      detacher(),
      worker("A lagg_start", (w) => {
        const first = w.net.open(1);
        const p = ifnetByIndexAttached(first, 1);
        w.net.close(first);
        if (p === undefined) return;
        const second = w.net.open(1);
        const b = w.net.borrow(1);
        b.n = w.cpu.pool.alloc(b.ids, 0, 1, BORN.stack, 64);
        try {
          ifOutput(second, p, b);
          throw new Error("a look-up of another section was accepted");
        } catch (e) {
          if ((e as { code?: string }).code !== "SOFTC_EPOCH_OUTSIDE") throw e;
          w.t.happened("refused");
          b.endFrom(0, DROP.driver, "dev.free");
        } finally {
          w.net.giveBack();
          w.net.close(second);
        }
      }),
    ],
    check: gone,
  },
});
