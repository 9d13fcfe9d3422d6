/**
 * R05: queued packets whose receive interface is gone and its slot reused (rules 4b, 1b).
 *
 * Origin: FreeBSD D32811.
 *
 *     packets wait in a deferred dispatcher, received on if0
 *     A: takes a packet                        B: detach and free if0
 *     A: rcvif -> the slot                     B: alloc if1: the same slot
 *     A: processes it as received on if1
 *
 * Forbidden: a packet is processed as received on another interface, or freed memory is touched.
 * softc: a packet carries index and gencnt; whoever takes it up in a later section compares again.
 */
import { load } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { BORN, ENDED } from "../../../core/memory/counters.ts";
import { ifInput, inputWaits, pollInput } from "../../../core/net/input.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { assertLedger, attachIf, type CpuWorld, openCpu } from "../../../testing/world.ts";
import { type OneIf, oneIf } from "../threads.ts";
import { homed } from "../drivers/checked.ts";
import { set } from "../../../core/doors/arena.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R05",
  title: "queued packets, their interface gone and its slot reused",
  stored: ".",
  legacy: {
    name: "R05 legacy",
    // Word 1 of object 1 is the slot: 2 = if0, 3 = if1.
    threads: [
      legacy("B if_free, if_alloc", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.free(2);
        l.store(1, 1, 3);
      }, [[1, 1, 2]]),
      legacy("A dispatcher", (l) =>
        l.section(() => {
          const p = l.load(1, 1);
          if (p === 0) return;
          if (p !== 2) throw new Error("a packet of if0 is processed as received on if1");
          l.touch(p, "rcvif");
        })),
    ],
  },
  softc: {
    name: "R05",
    mustHappen: ["delivered", "dropped"],
    threads: [{
      name: "B detach, attach",
      prepare(t) {
        const one = oneIf(t, homed);
        const { w } = one;
        // Received here, dispatched to CPU 1: it waits in the ring between them.
        set(w.a, t.arena.ifnetAt(1) + IFNET.dispatch, 1);
        const b = w.net.borrow(1);
        b.n = w.cpu.pool.alloc(b.ids, 0, 1, BORN.rx, 64);
        b.bytes(0).fill(0);
        b.bytes(0)[12] = 0x86;
        b.bytes(0)[13] = 0xdd;
        ifInput(w.net, 1, b);
        w.net.giveBack();
        return one;
      },
      operations: {
        async reuse(_t, { w, e }: OneIf) {
          await detachEntry(w.ifs, e);
          attachIf(w, homed, { name: "if1" });
        },
      },
    }, {
      name: "A dispatcher",
      prepare(t) {
        const w = openCpu(t);
        w.net.domains.length = 0;
        w.net.domains.push({
          name: "inet6",
          family: 1,
          etherTypes: [0x86dd],
          afdataWords: 16,
          ifattach() {},
          input(_s, p, b) {
            const born = load(w.a, t.arena.ifnetAt(p) + IFNET.born);
            if (born !== 1) throw new Error("a packet of if0 is processed as received on if1");
            t.happened("delivered");
            w.cpu.pool.end(b.ids, 0, b.n, ENDED.delivered, "input (delivered or dropped)");
            b.release();
          },
        });
        return w;
      },
      run(t, w: CpuWorld) {
        if (!inputWaits(w.net)) throw new Error("no packet waits");
        const before = w.t.arena.f[w.t.arena.cpuCountersAt(1) + ENDED.delivered]!;
        pollInput(w.net, 8);
        if (w.t.arena.f[w.t.arena.cpuCountersAt(1) + ENDED.delivered] === before) t.happened("dropped");
      },
    }],
    check: ({ arena }) => assertLedger(arena),
  },
});
