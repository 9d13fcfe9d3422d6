/**
 * R21: an ioctl that sleeps inside the epoch (X5).
 *
 * Origin: FreeBSD D26418 = rS366500; D24250 (bridge).
 *
 *     A: enter; for each member: member.ioctl  B: the driver's configuration thread
 *     A: sleeps until B has answered           B: waits for a grace period, then answers
 *
 * Forbidden: a sleep inside a section: here neither ever goes on.
 * softc: a section is one synchronous function. One that returns a promise is refused and is closed by then;
 * options are changed on CPU 0, outside every section.
 */
import { store } from "../../../core/doors/arena.ts";
import { MTU } from "../../../core/device/device.ts";
import { ifSet } from "../../../core/net/config.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { runSection } from "../../../vnet/section.ts";
import { homed } from "../drivers/checked.ts";
import { attachIf, type CpuWorld, openCpu, openInstance, scratch } from "../../../testing/world.ts";
import { DONE, type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R21",
  title: "an ioctl that sleeps inside the epoch",
  stored: "0.1",
  legacy: {
    name: "R21 legacy",
    // Word 1 of object 1: the driver has answered.
    threads: [
      legacy("B configuration", (l) => {
        l.grace();
        l.store(1, 1, 1);
      }),
      legacy("A bridge_ioctl", (l) =>
        l.section(() => {
          l.await(1, 1, 1);
        })),
    ],
  },
  softc: {
    name: "R21",
    mustHappen: ["refused", "changed"],
    threads: [{
      name: "CPU 0",
      async prepare(t) {
        const one = oneIf(t, homed);
        attachIf(one.w, homed, { name: "if1" });
        await openInstance(one.w, 1, true);
        await openInstance(one.w, 2, true);
        return one;
      },
      operations: {
        async detach(t, { w, e }: OneIf) {
          await detachEntry(w.ifs, e);
          store(w.a, scratch(t.arena, DONE), 1);
        },
        async ioctl(t, { w }: OneIf) {
          const member = w.ifs.byName(1, "if1")!;
          await w.control.step("ioctl: begins");
          await ifSet(w.ifs, member, w.ifs.handle(member), { mtu: 1000 }, MTU);
          t.happened("changed");
        },
      },
    }, {
      name: "A bridge_ioctl",
      prepare: (t) => openCpu(t),
      run(t, w: CpuWorld) {
        try {
          // The type says no; JavaScript does not.
          runSection(w.net, undefined, (() => new Promise(() => {})) as never);
          throw new Error("a section that awaits was accepted");
        } catch (e) {
          if ((e as { code?: string }).code !== "SOFTC_EPOCH_ASYNC") throw e;
          t.happened("refused");
        }
        if ((w.cpu.epoch.seq & 1) === 1) throw new Error("the section is still open");
      },
    }],
  },
});
