/**
 * R32: a multicast membership that outlives its interface (rules 4a, 4b).
 *
 * Origin: FreeBSD if.c, if_detach_internal; r337866; D55246 (ip6_mroute).
 *
 *     a socket has joined a group on if0
 *     A: close: leaves the group               B: detaches and frees if0
 *     A: membership.ifp: driver ioctl  <- freed
 *
 * Forbidden: leaving touches a freed interface, or another one in its slot.
 * softc: a membership names the interface's link, not the interface: when that is gone there is nothing to leave.
 */
import { get, load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import type { IfEntry } from "../../../core/net/interfaces.ts";
import { UdpSocketObject } from "../../../vnet/inet/udp.ts";
import { VnetInet } from "../../../vnet/inet/vnet_inet.ts";
import { checkOn, homed } from "../drivers/checked.ts";
import { ifnetOf, type InetWorld, inSection, openInetControl, openInetCpu } from "../inet.ts";
import { attachIf, type CpuWorld, openInstance, scratch } from "../../../testing/world.ts";
import { AF, afdata } from "../../../core/net/domain.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { ADDR, ADDR_KIND, ADDRS, AFDATA } from "../../../vnet/inet/layout.ts";
import { DONE } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

const GROUP = "224.0.0.251";
const GROUP_WORD = 0xe00000fb | 0;

interface Joined {
  readonly w: InetWorld;
  readonly e: IfEntry;
  readonly first: UdpSocketObject;
  readonly second: UdpSocketObject;
}

/** Whether the interface in slot 1 is in the group: what its input asks. */
function member(a: Int32Array, data: number): boolean {
  const list = load(a, data + AFDATA.addrs);
  for (let i = 0; list !== 0 && i < get(a, list + ADDRS.count); i++) {
    const e = list + ADDRS.entries + i * ADDRS.ENTRY;
    if (get(a, e + ADDR.kind) === ADDR_KIND.group && get(a, e + ADDR.address) === GROUP_WORD) return true;
  }
  return false;
}

export default defineLitmus({
  id: "R32",
  title: "a multicast membership that outlives its interface",
  stored: ".",
  legacy: {
    name: "R32 legacy",
    // Object 1 is the socket's membership: word 1 its ifp. Object 2 is the ifnet.
    threads: [
      legacy("B if_detach, if_free", (l) => {
        l.store(3, 1, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 2], [3, 1, 1]]),
      legacy("A inp_freemoptions", (l) => {
        const ifp = l.swap(1, 1, 0);
        if (ifp !== 0) l.touch(ifp, "ifp of the membership");
      }),
    ],
  },
  softc: {
    name: "R32",
    mustHappen: ["left first", "left last", "member"],
    arena: { heap: 32768 },
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Joined> {
        const w = checkOn(openInetControl(t, homed));
        const e = attachIf(w, homed);
        await openInstance(w, 1, true);
        const open = (port: number): UdpSocketObject => {
          const s = new UdpSocketObject(VnetInet.of(w.vnet0), { port });
          s.join(GROUP, ifnetOf(w, e));
          return s;
        };
        return { w, e, first: open(1001), second: open(1002) };
      },
      operations: {
        async reuse(t, { w, e, second }: Joined) {
          const old = ifnetOf(w, e);
          await detachEntry(w.ifs, e);
          const other = attachIf(w, homed, { name: "if1" });
          const third = new UdpSocketObject(VnetInet.of(w.vnet0), { port: 1003 });
          third.join(GROUP, ifnetOf(w, other));
          // Late: the slot is another's, and that one stays in the group.
          second.leave(GROUP, old);
          second.close();
          const data = load(w.a, w.ifs.at(other) + IFNET.afdata + AF.inet);
          if (!member(w.a, data)) throw new Error("if1 has left the group too");
          store(w.a, scratch(t.arena, DONE), 1);
        },
        async close(t, { w, e, first }: Joined) {
          await w.control.step("close: begins");
          t.happened(w.ifs.resolve(w.ifs.handle(e)) === "live" ? "left first" : "left last");
          first.close();
        },
      },
    }, {
      name: "A input",
      prepare: (t) => openInetCpu(t),
      run(t, w: CpuWorld) {
        inSection(w, (s) => {
          const p = ifnetByIndexAttached(s, 1);
          if (p === undefined) return;
          const data = afdata(s, p, AF.inet);
          if (data === 0) throw new Error("NULL address-family data");
          if (member(w.a, data)) t.happened("member");
        });
      },
    }],
  },
});
