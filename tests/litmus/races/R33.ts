/**
 * R33: a name that is checked, and taken by somebody else (X2).
 *
 * Origin: FreeBSD if.c, the comment of if_rename, "XXX Lock" of if_vmove_loan.
 *
 *     no "x0" in J
 *     A: vmove if0 (as "x0") into J: free?     B: create "x0" in J: free?
 *     A: attaches                              B: attaches
 *
 * Forbidden: two "x0" in one vnet.
 * softc: the check reserves the name in the same piece of code; the loser gets EEXIST, once.
 */
import { ifSet } from "../../../core/net/config.ts";
import { vmove } from "../../../vnet/vmove.ts";
import { attachIf } from "../../../testing/world.ts";
import { homed } from "../drivers/checked.ts";
import { type Lent, lent } from "../lent.ts";
import { MTU } from "../../../core/device/device.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** Runs `fn`; says who won. */
async function won(
  t: { happened(l: string): void },
  label: string,
  fn: () => Promise<unknown>,
): Promise<void> {
  try {
    await fn();
    t.happened(label);
  } catch (e) {
    if ((e as { code?: string }).code !== "SOFTC_IF_EXISTS") throw e;
    t.happened("EEXIST");
  }
}

export default defineLitmus({
  id: "R33",
  title: "a name that is checked, and taken by somebody else",
  stored: "0.1-4.0",
  legacy: {
    name: "R33 legacy",
    threads: ["A if_vmove", "B if_clone_create"].map((name) =>
      legacy(name, (l) => {
        if (l.load(1, 1) !== 0) return;
        l.store(1, 2, l.load(1, 2) + 1);
        l.store(1, 1, 1);
        if (l.load(1, 2) > 1) throw new Error('two "x0" in one vnet');
      })
    ),
  },
  softc: {
    name: "R33",
    mustHappen: ["moved", "renamed", "EEXIST"],
    threads: [{
      name: "CPU 0",
      prepare(t) {
        const l = lent(t, homed);
        attachIf(l.w, homed, { name: "y0" });
        return l;
      },
      operations: {
        move: (t, { w, vnet }: Lent) =>
          won(t, "moved", () => vmove(w.ifs, w.ifs.byName(w.vnet0.id, "y0")!, vnet, { name: "x0" })),
        rename: (t, { w, e }: Lent) =>
          won(t, "renamed", async () => {
            await w.control.step("rename: begins");
            await ifSet(w.ifs, e, w.ifs.handle(e), { name: "x0" }, MTU);
          }),
      },
    }],
    check({ happened }) {
      if (!happened("EEXIST")) throw new Error("nobody was refused");
      if (happened("moved") === happened("renamed")) throw new Error("not exactly one of them won");
    },
  },
});
