/**
 * R15: published too early (X1).
 *
 * Origin: FreeBSD PR 282374; PR 272169.
 *
 *     A: attach: if0 on the list               B: dump of all interfaces: if0
 *     A: media initialised                     B: media status callback of if0  <- not initialised
 *
 * Forbidden: B enters a callback that is not there yet.
 * softc: publication is last: gencnt turns odd when every field, datum and gate is in place.
 */
import { load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { AF, afdata } from "../../../core/net/domain.ts";
import { attachEntries } from "../../../core/net/lifecycle.ts";
import { ifnetByIndex, ifnetByIndexAttached } from "../../../core/net/section.ts";
import { attachInstance, type CpuWorld, openCpu, scratch } from "../../../testing/world.ts";
import { homed } from "../drivers/checked.ts";
import { type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R15",
  title: "published too early",
  stored: "2.1",
  legacy: {
    name: "R15 legacy",
    // Word 1 of object 1: listed; word 2: the media callback.
    threads: [
      legacy("A attach", (l) => {
        l.store(1, 1, 1);
        l.store(1, 2, 2);
      }),
      legacy("B dump", (l) =>
        l.section(() => {
          if (l.load(1, 1) === 1) l.touch(l.load(1, 2), "media status callback");
        })),
    ],
  },
  softc: {
    name: "R15",
    mustHappen: ["seen", "not seen"],
    threads: [{
      name: "A ifAttach",
      async prepare(t) {
        const one = oneIf(t, homed, { unpublished: true });
        await attachInstance(one.w, 1);
        return one;
      },
      operations: {
        async attach(t, { w, e }: OneIf) {
          await attachEntries(w.ifs, [e], [e.spec!], () => {});
          store(w.a, scratch(t.arena, 0), 1);
        },
      },
    }, {
      name: "B dump",
      prepare: (t) => openCpu(t),
      run(t, w: CpuWorld) {
        const s = w.net.open(0);
        const any = ifnetByIndex(s, 1);
        const p = ifnetByIndexAttached(s, 1);
        t.happened(p === undefined ? "not seen" : "seen");
        if (any !== undefined && load(w.a, t.arena.ifnetAt(1) + IFNET.rings) === 0) {
          throw new Error("an interface without rings was found");
        }
        if (p !== undefined && afdata(s, p, AF.inet6) === 0) throw new Error("NULL address-family data");
        w.net.close(s);
      },
    }],
  },
});
