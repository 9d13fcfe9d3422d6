/**
 * R14: unplug against a media query (rule 3a).
 *
 * Origin: opnsense/src#288; FreeBSD usb_ethernet.c, uether_ifdetach.
 *
 *     ue0 is attached, with a phy as its child
 *     A: dump: ref(ue0)                        B: pulled out: drains its process
 *     A: ioctl: media status                   B: deletes the phy
 *     A: phy.read: a USB request  <- freed     B: if_detach, if_free, frees the softc
 *
 * Forbidden: the query uses the phy, softc or mutex after they were freed.
 * softc: the interface goes first. A hook that was entered is waited for before the device stops; one that comes
 * later is refused.
 */
import { defineDriver, type Dev, type Driver } from "../../../core/device/mod.ts";
import { MTU } from "../../../core/device/device.ts";
import { ifSet } from "../../../core/net/config.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import type { DeviceNode } from "../../../core/device/bus.ts";
import type { ThreadContext } from "../../../testing/mod.ts";
import { type BusWorld, openBus } from "../bus.ts";
import { unscheduled } from "../../../testing/world.ts";
import { unlessLost } from "../lent.ts";
import { gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Ue {
  phy: { status: number } | undefined;
}

let step: (label: string) => Promise<void> = () => Promise.resolve();

/** Asks its phy over USB, and writes what it was told. */
const ue = defineDriver({
  name: "ue",
  api: 1,
  match: [{ bus: "usb" }],
  attach(dev: Dev): Ue {
    dev.ifnet({ type: "ether" });
    return { phy: { status: 1 } };
  },
  transmit: (_sc, b) => b.freeAll(),
  async set(sc) {
    if (sc.phy === undefined) throw new Error("a query of a phy that is gone");
    await step("USB request to the phy");
    if (sc.phy === undefined) throw new Error("the phy went during a query");
    sc.phy.status++;
  },
  stop: (sc) => void (sc.phy = undefined),
}) as Driver<never>;

interface Plugged {
  readonly w: BusWorld;
  readonly node: DeviceNode;
  readonly e: IfEntry;
}

async function plug(t: ThreadContext): Promise<Plugged> {
  const w = await openBus(t, ue);
  step = (label) => w.control.step(label);
  const node = await unscheduled(w, () => w.tree.plug({ bus: "usb", address: "1-1" }, { vnet: w.vnet0 }));
  return { w, node, e: node.live[0]! };
}

export default defineLitmus({
  id: "R14",
  title: "unplug against a media query",
  stored: "0.1-3.0",
  legacy: {
    name: "R14 legacy",
    // Object 1: word 1 listed, word 2 ue_miibus. Object 2 is the phy's softc, object 3 that of ue0.
    threads: [
      legacy("B uether_ifdetach", (l) => {
        // The bus child is deleted, and nobody clears ue_miibus.
        l.free(2);
        l.store(1, 1, 0);
        l.grace();
        l.free(3);
      }, [[1, 1, 1], [1, 2, 2]]),
      legacy("A netlink dump", (l) => {
        let found = 0;
        l.section(() => found = l.load(1, 1));
        if (found !== 0) l.touch(l.load(1, 2), "softc of the phy");
      }),
    ],
  },
  softc: {
    name: "R14",
    mustHappen: ["answered", "lost"],
    arena: { cpus: 1 },
    threads: [{
      name: "CPU 0",
      prepare: plug,
      operations: {
        unplug: (_t, { w, node }: Plugged) => w.tree.unplug(node),
        query: (t, { w, e }: Plugged) => {
          const handle = w.ifs.handle(e);
          return unlessLost(t, async () => {
            await w.control.step("query: begins");
            await ifSet(w.ifs, e, handle, { mtu: 1000 }, MTU);
            t.happened("answered");
          });
        },
        async again(_t, { w, node }: Plugged) {
          await w.control.step("pulled out again");
          await w.tree.unplug(node);
        },
      },
    }],
    check: gone,
  },
});
