/**
 * R08: output of one vnet through an interface that moves to another (rules 2, 3, 1b, 4b).
 *
 * Origin: FreeBSD review D49447, its last comment.
 *
 *     A, in vnet A: enter                        B: if_vmove(if0, vnet B)
 *     A: p = byindex(i)  (if_vnet is A)          B: off the list of A (the index still finds it)
 *     A: af = p.afdata                           B: wait; afdata = NULL; wait; old afdata freed
 *     A: ip6 output through af, p.transmit       B: if_vnet = B; new afdata; on the list of B
 *     A: exit
 *
 * Forbidden: NULL address-family data; a packet of vnet A that leaves under vnet B.
 * softc: unlink makes gencnt even, so no later look-up finds it; the grace period ends the earlier ones before
 * a field changes; ring entries carry the sender's gencnt.
 */
import { load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { AF, afdata, afdataWord } from "../../../core/net/domain.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import type { NetSection } from "../../../core/net/section.ts";
import { defineLitmus } from "../litmus.ts";
import type { Scenario, ScenarioThread } from "../../../testing/mod.ts";
import {
  assertLedger,
  attachIf,
  type ControlWorld,
  type CpuWorld,
  DATA,
  openControl,
  openCpu,
  openInstance,
  scratch,
  sendOne,
  serveRing,
} from "../../../testing/world.ts";
import { vmove } from "../../../vnet/vmove.ts";
import type { VnetObject } from "../../../vnet/vnet.ts";
import { legacy } from "../legacy.ts";
import { checkOn, everywhere, homed } from "../drivers/checked.ts";

interface Moving {
  readonly w: ControlWorld;
  readonly e: IfEntry;
  readonly to: VnetObject;
}

/** Reads what the address family keeps, as output does. */
function output6(s: NetSection): void {
  const data = afdata(s, 1 as never, AF.inet6);
  if (data === 0) throw new Error("NULL address-family data");
  const vnet = afdataWord(s, data, DATA.vnet);
  if (vnet !== s.vnetId) {
    throw new Error(`address-family data of vnet ${vnet} in a section of vnet ${s.vnetId}`);
  }
  afdataWord(s, data, DATA.hopLimit);
}

function mover(driver: typeof homed, home: number): ScenarioThread {
  return {
    name: "B ifVmove",
    prepare(t) {
      const w = checkOn(openControl(t, driver));
      const e = attachIf(w, driver, { home });
      return { w, e, to: w.vnets.create(w.vnet0, "B") } satisfies Moving;
    },
    operations: {
      async vmove(t, { w, e, to }: Moving) {
        await vmove(w.ifs, e, to);
        t.happened("moved");
        store(w.a, scratch(t.arena, 0), 1);
      },
    },
  };
}

function sender(prepare: ScenarioThread["prepare"]): ScenarioThread {
  return {
    name: "A sender",
    prepare: prepare!,
    run(t, w: CpuWorld) {
      const sent = sendOne(w, 1, 1, output6);
      t.happened(sent > 0 ? "sent" : "refused");
    },
  };
}

const check: NonNullable<Scenario["check"]> = ({ arena, happened }) => {
  assertLedger(arena);
  const slot = arena.ifnetAt(1);
  if (load(arena.a, slot + IFNET.vnet) !== 2 || (load(arena.a, slot) & 1) !== 1) {
    throw new Error("not in vnet B");
  }
  return happened("sent") ? "sent" : "refused";
};

export default defineLitmus({
  id: "R08",
  title: "output of one vnet through an interface that moves to another",
  stored: "5.1",
  large: ["more.ring"],
  legacy: {
    name: "R08 legacy",
    // Object 1 is the ifnet: word 1 if_vnet, word 2 if_afdata. Objects 2 and 3 are afdata of A and of B.
    threads: [
      legacy("B if_vmove", (l) => {
        // if_detach_internal(vmove): off the list; the index slot stays.
        l.grace();
        l.store(1, 2, 0);
        l.grace();
        l.free(2);
        // if_reassign, then if_attach_internal(vmove).
        l.store(1, 1, 2);
        l.store(1, 2, 3);
      }, [[1, 1, 1], [1, 2, 2]]),
      legacy("A sender", (l) =>
        l.section(() => {
          // ifnet_byindex filters by curvnet, and tests nothing else.
          if (l.load(1, 1) !== 1) return;
          l.touch(l.load(1, 2), "in6_ifextra");
          const vnet = l.load(1, 1);
          if (vnet !== 1) throw new Error(`a packet of vnet 1 leaves under vnet ${vnet}`);
        })),
    ],
  },
  softc: {
    name: "R08",
    mustHappen: ["sent", "refused", "moved"],
    threads: [
      mover(everywhere, 0),
      sender(async (t) => {
        const w = checkOn(openCpu(t, everywhere));
        await openInstance(w, 1, false);
        return w;
      }),
    ],
    check,
  },
  more: {
    ring: {
      name: "R08 ring",
      mustHappen: ["sent", "refused", "moved"],
      arena: { mbufs: 64 },
      threads: [
        mover(homed, 2),
        sender((t) => checkOn(openCpu(t, homed))),
        {
          name: "queue owner",
          async prepare(t) {
            const w = checkOn(openCpu(t, homed));
            await openInstance(w, 1, true);
            return w;
          },
          run(t, w: CpuWorld) {
            const moved = scratch(t.arena, 0);
            serveRing(w, 1, [moved], () => load(w.a, moved) === 1);
          },
        },
      ],
      check,
    },
  },
});
