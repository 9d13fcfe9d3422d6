/**
 * R23: a parent that departs under its vlans (rules 1a, 2).
 *
 * Origin: FreeBSD if_vlan.c, vlan_ifdetach.
 *
 *     vlan5 hangs off if0
 *     A: enter; t = if0.trunk                  B: if_detach(if0): departure: trunk = NULL, vlans and trunk freed
 *     A: v = t.vlan5; v.input(m)  <- freed
 *
 * Forbidden: the trunk or a vlan of it is touched after it was freed.
 * softc: an interface reaches the other one of its cloner call by slot and occupant, compared in the section that
 * then takes the packet in. A rename is no departure.
 */
import { load, store } from "../../../core/doors/arena.ts";
import { MTU } from "../../../core/device/device.ts";
import { ifSet } from "../../../core/net/config.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import epair from "../../../drivers/epair.ts";
import type { Driver } from "../../../core/device/mod.ts";
import {
  assertLedger,
  attachIf,
  type ControlWorld,
  type CpuWorld,
  openControl,
  openCpu,
  openInstance,
  scratch,
  sendOne,
  serveMail,
} from "../../../testing/world.ts";
import { DONE } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

const driver = epair as Driver<never>;

interface Family {
  readonly w: ControlWorld;
  readonly child: IfEntry;
}

/** Both ends on one CPU: each knows the other by slot and first link. */
async function openBoth(w: CpuWorld, home: boolean): Promise<void> {
  await openInstance(w, 1, home, { peers: [{ index: 2, born: 1 }] });
  await openInstance(w, 2, home, { peers: [{ index: 1, born: 1 }] });
}

export default defineLitmus({
  id: "R23",
  title: "a parent that departs under its vlans",
  stored: "0.1-4.0",
  legacy: {
    name: "R23 legacy",
    // Object 1 is if0: word 1 its if_vlantrunk. Object 2 is the trunk: word 1 vlan5. Object 3 is vlan5.
    threads: [
      legacy("B vlan_ifdetach", (l) => {
        const trunk = l.load(1, 1);
        l.store(trunk, 1, 0);
        l.free(3);
        l.store(1, 1, 0);
        l.free(2);
      }, [[1, 1, 2], [2, 1, 3]]),
      legacy("A vlan_input", (l) =>
        l.section(() => {
          const trunk = l.load(1, 1);
          if (trunk === 0) return;
          const vlan = l.touch(trunk, "if_vlantrunk");
          if (vlan !== 0) l.touch(vlan, "vlan5");
        })),
    ],
  },
  softc: {
    name: "R23",
    mustHappen: ["delivered", "dropped", "renamed"],
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Family> {
        const w = openControl(t, driver);
        attachIf(w, driver, { name: "if0" });
        const child = attachIf(w, driver, { name: "vlan5" });
        await openBoth(w, true);
        return { w, child };
      },
      operations: {
        async depart(t, { w, child }: Family) {
          await ifSet(w.ifs, child, w.ifs.handle(child), { name: "vlan6" }, MTU);
          t.happened("renamed");
          await detachEntry(w.ifs, child);
          // Another one in the slot: no vlan of if0.
          attachIf(w, driver, { name: "if1" });
          store(w.a, scratch(t.arena, DONE), 1);
        },
      },
    }, {
      name: "A input",
      async prepare(t) {
        const w = openCpu(t, driver);
        await openBoth(w, false);
        return w;
      },
      run(t, w: CpuWorld) {
        let delivered = 0;
        w.net.sink = (index, b) => {
          if (index !== 2 || load(w.a, t.arena.ifnetAt(2) + IFNET.born) !== 1) {
            throw new Error(`if#${index} was given what was for vlan5`);
          }
          delivered++;
          b.freeAll();
        };
        sendOne(w, 1, 1);
        const done = scratch(t.arena, DONE);
        serveMail(w, [done], () => load(w.a, done) === 1);
        t.happened(delivered > 0 ? "delivered" : "dropped");
        // The slot is another's now.
        sendOne(w, 1, 1);
      },
    }],
    check: ({ arena }) => assertLedger(arena),
  },
});
