/**
 * R16: destroy against ioctl (rules 3a, 1a).
 *
 * Origin: FreeBSD D20027 = rS346670; PR 233955 (tun and tap).
 *
 *     A: ioctl: ref(tun0)                      B: destroy tun0: mutex destroyed, softc freed
 *     A: lock(softc.mtx)        <- destroyed
 *
 * Forbidden: a lock that is destroyed is taken.
 * softc: a change of options is a hook at home like any other: it has run before the instance is destroyed, or
 * it is refused.
 */
import { ifSet } from "../../../core/net/config.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { MTU } from "../../../core/device/device.ts";
import { homed } from "../drivers/checked.ts";
import { gone, type OneIf, oneIf } from "../threads.ts";
import { openInstance } from "../../../testing/world.ts";
import { unlessLost } from "../lent.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R16",
  title: "destroy against a change of options",
  stored: "0.1-2.0",
  legacy: {
    name: "R16 legacy",
    threads: [
      legacy("B destroy", (l) => {
        l.store(1, 1, 0);
        l.free(2);
      }, [[1, 1, 2]]),
      legacy("A ioctl", (l) => {
        const sc = l.load(1, 1);
        if (sc !== 0) l.touch(sc, "softc.mtx");
      }),
    ],
  },
  softc: {
    name: "R16",
    mustHappen: ["changed", "lost"],
    threads: [{
      name: "CPU 0",
      async prepare(t) {
        const one = oneIf(t, homed);
        await openInstance(one.w, 1, true);
        return one;
      },
      operations: {
        detach: (_t, { w, e }: OneIf) => detachEntry(w.ifs, e),
        ioctl: (t, { w, e }: OneIf) => {
          const handle = w.ifs.handle(e);
          return unlessLost(t, async () => {
            await w.control.step("ioctl: begins");
            await ifSet(w.ifs, e, handle, { mtu: 1000 }, MTU);
            t.happened("changed");
          });
        },
      },
    }],
    check: gone,
  },
});
