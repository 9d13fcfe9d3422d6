/**
 * R34: a table that grows under its readers (the epoch).
 *
 * Origin: FreeBSD if.c, if_alloc_domain: the interface index table, before its growth waited for the epoch.
 *
 *     the table is full
 *     A: enter; t = table                      B: allocates a larger one, copies, publishes it, frees the old
 *     A: t[i]              <- freed
 *
 * Forbidden: A reads a table that is freed.
 * softc: the index table is fixed at boot, and a full one refuses. What does grow (an interface's addresses) is
 * built anew, published by one store, and the old one freed in an epoch callback.
 */
import { get, load } from "../../../core/doors/arena.ts";
import { AF, afdata } from "../../../core/net/domain.ts";
import { ifnetByIndexAttached } from "../../../core/net/section.ts";
import { ADDR, ADDR_KIND, ADDRS, AFDATA } from "../../../vnet/inet/layout.ts";
import type { Address } from "../../../vnet/inet/address.ts";
import { homed } from "../drivers/checked.ts";
import { ifnetOf, type InetWorld, inSection, openInetControl, openInetCpu } from "../inet.ts";
import { attachIf, type CpuWorld, openInstance } from "../../../testing/world.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

type IfInet = ReturnType<InetWorld["inet"]["open"]>;

interface Growing {
  readonly w: InetWorld;
  readonly on: IfInet;
}

/** 10.0.0.n. */
const address = (n: number): Address => [0x0a000000 | n, 0, 0, 0];

export default defineLitmus({
  id: "R34",
  title: "a table that grows under its readers",
  stored: "0.1-3.0",
  legacy: {
    name: "R34 legacy",
    // Word 1 of object 1 is the table: 2, then 3.
    threads: [
      legacy("B if_grow", (l) => {
        l.store(1, 1, 3);
        l.free(2);
      }, [[1, 1, 2]]),
      legacy("A ifnet_byindex", (l) =>
        l.section(() => {
          const table = l.load(1, 1);
          l.touch(table, "index table");
        })),
    ],
  },
  softc: {
    name: "R34",
    mustHappen: ["one", "two", "full"],
    arena: { heap: 16384, ifnets: 3 },
    threads: [{
      name: "CPU 0",
      async prepare(t): Promise<Growing> {
        const w = openInetControl(t, homed);
        const e = attachIf(w, homed);
        await openInstance(w, 1, true);
        const on = w.inet.open(ifnetOf(w, e), AF.inet);
        w.inet.addRow(on, address(1), 24, ADDR_KIND.address);
        return { w, on };
      },
      operations: {
        async addresses(_t, { w, on }: Growing) {
          await w.control.step("a second address");
          w.inet.addRow(on, address(2), 24, ADDR_KIND.address);
          await w.instances.callbacks.drain();
        },
        async slots(t, { w }: Growing) {
          attachIf(w, homed, { name: "if1" });
          await w.control.step("the table is full");
          try {
            attachIf(w, homed, { name: "if2" });
          } catch (e) {
            if ((e as { code?: string }).code !== "SOFTC_IF_FULL") throw e;
            t.happened("full");
          }
        },
      },
    }, {
      name: "A input",
      prepare: (t) => openInetCpu(t),
      run(t, w: CpuWorld) {
        inSection(w, (s) => {
          const p = ifnetByIndexAttached(s, 1);
          if (p === undefined) throw new Error("if0 is not there");
          const list = load(w.a, afdata(s, p, AF.inet) + AFDATA.addrs);
          const n = get(w.a, list + ADDRS.count);
          for (let i = 0; i < n; i++) {
            const word = get(w.a, list + ADDRS.entries + i * ADDRS.ENTRY + ADDR.address);
            if (word !== address(i + 1)[0]) throw new Error(`address ${i} is ${word}`);
          }
          t.happened(n === 1 ? "one" : "two");
        });
      },
    }],
    check({ arena }) {
      if (load(arena.a, arena.ifnetAt(1)) !== 1) throw new Error("if0 is not attached");
    },
  },
});
