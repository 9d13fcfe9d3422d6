/**
 * R20: a bridge's member changes while the bridge moves home (rule 1b).
 *
 * Origin: FreeBSD D28860.
 *
 *     bridge0 and its member are in jail J, which is destroyed
 *     A: bridge0 detached from J: its AF data is gone
 *     A: the member is removed: bridge0's lladdr changes: iflladdr_event
 *     A: listener: bridge0.afdata  <- NULL
 *
 * Forbidden: a listener follows address-family data that is not there.
 * softc: an event comes while its interface is whole: departure before the data goes, arrival after it is back.
 * A listener that looks at other interfaces too finds each word valid or zero.
 */
import { load } from "../../../core/doors/arena.ts";
import { MTU } from "../../../core/device/device.ts";
import { Arena, IFNET } from "../../../core/memory/arena.ts";
import { ifSet } from "../../../core/net/config.ts";
import { AF } from "../../../core/net/domain.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import type { VnetObject } from "../../../vnet/vnet.ts";
import { vmove } from "../../../vnet/vmove.ts";
import { AFDATA } from "../../../vnet/inet/layout.ts";
import { checkOn, homed } from "../drivers/checked.ts";
import { ifnetOf, type InetWorld, openInetControl } from "../inet.ts";
import {
  attachIf,
  type ControlWorld,
  type CpuWorld,
  openCpu,
  openInstance,
  unscheduled,
} from "../../../testing/world.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import type { ScenarioThread, ThreadContext } from "../../../testing/mod.ts";
import { gone } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

interface Jail {
  readonly w: InetWorld;
  readonly jail: VnetObject;
  readonly bridge: IfEntry;
  readonly member: IfEntry;
}

/** What the original's listener does: follows the data of whatever the event names. */
function listenTo(t: ThreadContext, w: ControlWorld): void {
  w.events.listen((e) => {
    const named = e.handle === undefined ? undefined : w.ifs.find(e.handle);
    if (named === undefined || e.type === "freed") return;
    const data = load(w.a, w.ifs.at(named) + IFNET.afdata + AF.inet);
    if (data === 0) throw new Error(`NULL address-family data at ${e.type} of ${e.name}`);
    load(w.a, data + AFDATA.hopLimit);
    t.happened("read");
  });
}

const reader: ScenarioThread = {
  name: "reader",
  prepare: (t) => openCpu(t),
  run(_t, w: CpuWorld) {
    const s = w.net.open(0);
    ifnetByIndexAttached(s, 1);
    w.net.close(s);
  },
};

export default defineLitmus({
  id: "R20",
  title: "a bridge's member changes while the bridge moves home",
  stored: ".",
  legacy: {
    name: "R20 legacy",
    // Object 1 is bridge0: word 1 its if_afdata. Object 2 is the data.
    threads: [legacy("A vnet_destroy", (l) => {
      l.store(1, 1, 0);
      l.free(2);
      // bridge_delete_member: the listener of iflladdr_event.
      l.touch(l.load(1, 1), "AF data of bridge0");
    }, [[1, 1, 2]])],
  },
  softc: {
    name: "R20",
    mustHappen: ["told while it moves", "read"],
    arena: { heap: 16384 },
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Jail> {
        const w = checkOn(openInetControl(t, homed));
        const bridge = attachIf(w, homed, { name: "bridge0" });
        const member = attachIf(w, homed, { name: "tap0" });
        await openInstance(w, 1, true);
        await openInstance(w, 2, true);
        // One that attaches: it has no data yet.
        attachIf(w, homed, { name: "tap1", unpublished: true });
        const jail = w.vnets.create(w.vnet0, "J");
        w.inet.open(ifnetOf(w, bridge), AF.inet);
        await unscheduled(w, () => vmove(w.ifs, bridge, jail));
        listenTo(t, w);
        return { w, jail, bridge, member };
      },
      operations: {
        destroyVnet: (_t, { w, jail }: Jail) => w.vnets.destroy(jail),
        async member(t, { w, bridge, member }: Jail) {
          await w.control.step("the member changes");
          if (load(w.a, w.ifs.at(bridge)) % 2 === 0) t.happened("told while it moves");
          // The stack's own listener looks at every interface then.
          await ifSet(w.ifs, member, w.ifs.handle(member), { mtu: 1000 }, MTU);
        },
      },
    }, reader],
    check({ arena }) {
      if (load(arena.a, arena.ifnetAt(1) + IFNET.vnet) !== 1) throw new Error("the bridge is not at home");
      // A listener that takes 0 for an address writes over the arena's magic word.
      Arena.open(arena.memory, arena.plan.config);
    },
  },
  more: {
    // It is not moved but detached: departure comes while the data is there.
    detach: {
      name: "R20 detach",
      mustHappen: ["read"],
      arena: { heap: 16384 },
      threads: [{
        name: "CPU 0",
        async prepare(t): Promise<Pick<Jail, "w" | "bridge">> {
          const w = checkOn(openInetControl(t, homed));
          const bridge = attachIf(w, homed, { name: "bridge0" });
          await openInstance(w, 1, true);
          w.inet.open(ifnetOf(w, bridge), AF.inet);
          listenTo(t, w);
          return { w, bridge };
        },
        operations: { detach: (_t, { w, bridge }: Jail) => detachEntry(w.ifs, bridge) },
      }, reader],
      check: gone,
    },
  },
});
