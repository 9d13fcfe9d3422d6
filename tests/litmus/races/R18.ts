/**
 * R18: joining an aggregate that is being destroyed (rule 1a, X3).
 *
 * Origin: FreeBSD D25284; PR 244168 (lagg).
 *
 *     lagg0 is destroyed: its ports were removed
 *     A: adds the port tap0 to lagg0           B: frees lagg0's softc
 *     A: tap0's link task: tap0.if_lagg  <- freed
 *
 * Forbidden: a port points to an aggregate that is freed.
 * softc: an interface is joined to another (`xconnect`) by a weak handle: the join of what goes is refused, and
 * what was joined before no longer resolves, whoever has the slot by then.
 */
import { MTU } from "../../../core/device/device.ts";
import { BORN, ifCounters } from "../../../core/memory/counters.ts";
import { ifSet } from "../../../core/net/config.ts";
import { ifInput } from "../../../core/net/input.ts";
import { IfnetObject } from "../../../core/net/ifnet_object.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import { homed } from "../drivers/checked.ts";
import { assertLedger, attachIf, type CpuWorld, openCpu, openInstance } from "../../../testing/world.ts";
import { type OneIf, oneIf } from "../threads.ts";
import { unlessLost } from "../lent.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Joining extends OneIf {
  /** Slot 2. */
  readonly port: IfEntry;
  /** lagg0 as the user holds it. */
  readonly lagg: IfnetObject;
}

export default defineLitmus({
  id: "R18",
  title: "joining an aggregate that is being destroyed",
  stored: "0.1-4.0",
  legacy: {
    name: "R18 legacy",
    // Object 1 is the port: word 1 its if_lagg. Object 2 is the softc of lagg0; word 1 of object 3: on lagg_list.
    threads: [
      legacy("B lagg_clone_destroy", (l) => {
        l.store(1, 1, 0);
        l.store(3, 1, 0);
        l.free(2);
      }, [[3, 1, 1]]),
      legacy("A lagg_ioctl, link task", (l) => {
        if (l.load(3, 1) === 0) return;
        l.store(1, 1, 2);
        const lagg = l.load(1, 1);
        if (lagg !== 0) l.touch(lagg, "lagg softc of the port");
      }),
    ],
  },
  softc: {
    name: "R18",
    mustHappen: ["joined", "lost"],
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Joining> {
        const one = oneIf(t, homed);
        await openInstance(one.w, 1, true);
        const lagg = new IfnetObject(one.w.ifs, one.e, MTU, () => {});
        return { ...one, lagg, port: attachIf(one.w, homed, { name: "tap0" }) };
      },
      operations: {
        async destroy(_t, { w, e }: Joining) {
          await detachEntry(w.ifs, e);
          // Another one in the slot: no port is its.
          attachIf(w, homed, { name: "lagg1" });
        },
        async join(t, { w, lagg, port }: Joining) {
          await w.control.step("join: begins");
          try {
            await unlessLost(t, async () => {
              await ifSet(w.ifs, port, w.ifs.handle(port), { xconnect: lagg }, MTU);
              t.happened("joined");
            });
          } catch (x) {
            // Not live any more: refused.
            if ((x as { code?: string }).code !== "SOFTC_IF_ARGUMENT") throw x;
            t.happened("lost");
          }
        },
      },
    }, {
      name: "A receives on the port",
      prepare: (t) => openCpu(t),
      run(_t, w: CpuWorld) {
        const b = w.net.borrow(2);
        b.n = w.cpu.pool.alloc(b.ids, 0, 1, BORN.rx, 64);
        b.bytes(0).fill(0);
        ifInput(w.net, 2, b);
        w.net.giveBack();
      },
    }],
    check({ arena }) {
      assertLedger(arena);
      // The slot's counters begin with lagg1.
      const { opackets, oqdrops } = ifCounters(arena, 1);
      if (opackets + oqdrops > 0) throw new Error("lagg1 was given what was for lagg0");
    },
  },
});
