/**
 * R04: rcvif restored after unlink (rule 4b).
 *
 * Origin: FreeBSD D34076; D33266.
 *
 *     a packet is parked with (index, gen) of if0
 *     A: enter                                 B: if_detach(if0): unlinked, afdata gone
 *     A: p = byindexgen(index, gen)            B: ... if_free, which moves gen, has not run
 *     A: p.afdata          <- NULL
 *     A: exit
 *
 * Forbidden: A gets an interface whose address-family data is gone.
 * softc: gencnt moves at unlink, so a stored handle resolves to nothing from then on.
 */
import { makeHandle } from "../../../core/net/handle.ts";
import { AF, afdata, afdataWord } from "../../../core/net/domain.ts";
import { ifnetByHandle } from "../../../core/net/section.ts";
import { assertLedger, attachIf, type CpuWorld, DATA, scratch, serveMail } from "../../../testing/world.ts";
import { load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { everywhere } from "../drivers/checked.ts";
import { detacher, DONE, type OneIf, worker } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** Takes a packet up that came in on if0. */
function restore(w: CpuWorld): void {
  const s = w.net.open(0);
  const p = ifnetByHandle(s, makeHandle(1, 1));
  w.t.happened(p === undefined ? "gone" : "restored");
  if (p !== undefined) {
    if (load(w.a, w.net.arena.ifnetAt(p) + IFNET.born) !== 1) {
      throw new Error("another interface was restored");
    }
    const data = afdata(s, p, AF.inet6);
    if (data === 0) throw new Error("NULL address-family data");
    afdataWord(s, data, DATA.hopLimit);
  }
  w.net.close(s);
}

export default defineLitmus({
  id: "R04",
  title: "a stored receive interface is restored after unlink",
  stored: ".",
  legacy: {
    name: "R04 legacy",
    // Object 1 is the ifnet: word 1 ife_gencnt, word 2 afdata.
    threads: [
      legacy("B if_detach", (l) => {
        l.grace();
        l.store(1, 2, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 7], [1, 2, 2]]),
      legacy("A dispatcher", (l) =>
        l.section(() => {
          if (l.load(1, 1) !== 7) return;
          l.touch(l.load(1, 2), "afdata of a restored rcvif");
        })),
    ],
  },
  softc: {
    name: "R04",
    mustHappen: ["restored", "gone"],
    threads: [
      {
        ...detacher(),
        operations: {
          // The slot is given out again: its next occupant must not be taken for the first.
          async reuse(t, { w, e }: OneIf) {
            await detachEntry(w.ifs, e);
            attachIf(w, everywhere, { name: "if1" });
            store(w.a, scratch(t.arena, DONE), 1);
          },
        },
      },
      {
        ...worker("A dispatcher", () => {}),
        run(t, w: CpuWorld) {
          restore(w);
          const done = scratch(t.arena, DONE);
          serveMail(w, [done], () => load(w.a, done) === 1);
          restore(w);
        },
      },
    ],
    check: ({ arena }) => assertLedger(arena),
  },
});
