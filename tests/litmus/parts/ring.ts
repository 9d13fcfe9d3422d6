/** A ring of two entries: what is pushed comes out, in order, once (ring.ts, 1 to 5). */
import { until } from "../../../core/doors/arena.ts";
import {
  RING,
  ringInit,
  ringPeek,
  ringPush,
  ringReady,
  ringRelease,
  ringRoom,
  ringWaits,
} from "../../../core/memory/ring.ts";
import { defineScenario } from "../../../testing/mod.ts";

const SENT = 3;
const IDS = Int32Array.from([11, 12, 13]);

export default defineScenario({
  name: "ring",
  mustHappen: ["full", "a batch of two"],
  setup: (arena) => ringInit(arena.a, arena.plan.heap, 2),
  threads: [{
    name: "producer",
    run(t) {
      const { a } = t.arena;
      const r = t.arena.plan.heap;
      for (let sent = 0; sent < SENT;) {
        const n = ringPush(a, r, IDS, sent, Math.min(2, SENT - sent), 7);
        sent += n;
        if (n > 0) continue;
        t.happened("full");
        until(a, [r + RING.head], () => ringRoom(a, r, 1) > 0);
      }
    },
  }, {
    name: "consumer",
    run(t) {
      const { a } = t.arena;
      const r = t.arena.plan.heap;
      const ids = new Int32Array(4);
      const stamps = new Int32Array(4);
      for (let got = 0; got < SENT;) {
        const n = ringReady(a, r, 2);
        if (n === 0) {
          until(a, [r + RING.tail], () => ringWaits(a, r));
          continue;
        }
        if (n > 2) throw new Error(`${n} entries in a ring of two`);
        if (n === 2) t.happened("a batch of two");
        ringPeek(a, r, ids, stamps, n);
        for (let i = 0; i < n; i++) {
          if (ids[i] !== IDS[got + i] || stamps[i] !== 7) throw new Error(`entry ${got + i} is ${ids[i]}`);
        }
        ringRelease(a, r, n);
        got += n;
      }
    },
  }],
});
