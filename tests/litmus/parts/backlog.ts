/** Packets that one CPU received and another processes: each is taken once, with its bytes (input.ts, 3). */
import { set, until } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { BORN } from "../../../core/memory/counters.ts";
import { RING } from "../../../core/memory/ring.ts";
import { ifInput, inputWaits, pollInput } from "../../../core/net/input.ts";
import { defineScenario } from "../../../testing/mod.ts";
import { homed } from "../drivers/checked.ts";
import { type OneIf, oneIf } from "../threads.ts";
import { assertLedger, type CpuWorld, openCpu } from "../../../testing/world.ts";

const PACKETS = 2;

export default defineScenario({
  name: "backlog",
  mustHappen: ["one by one", "both at once"],
  threads: [{
    name: "CPU 0 receives",
    prepare(t) {
      const one = oneIf(t, homed);
      set(one.w.a, t.arena.ifnetAt(1) + IFNET.dispatch, 1);
      return one;
    },
    run(_t, { w }: OneIf) {
      for (let i = 0; i < PACKETS; i++) {
        const b = w.net.borrow(1);
        b.n = w.cpu.pool.alloc(b.ids, 0, 1, BORN.rx, 64 + i);
        ifInput(w.net, 1, b);
        w.net.giveBack();
      }
    },
  }, {
    name: "CPU 1 processes",
    prepare: (t) => openCpu(t),
    run(t, w: CpuWorld) {
      let taken = 0;
      w.net.sink = (_index, b) => {
        for (let i = 0; i < b.n; i++) {
          if (b.len(i) !== 64 + taken) throw new Error(`packet ${taken} has ${b.len(i)} bytes`);
          taken++;
        }
        t.happened(b.n === PACKETS ? "both at once" : "one by one");
        b.freeAll();
      };
      while (taken < PACKETS) {
        until(w.a, [t.arena.inputRingAt(0, 1) + RING.tail], () => inputWaits(w.net));
        pollInput(w.net, 8);
      }
    },
  }],
  check: ({ arena }) => assertLedger(arena),
});
