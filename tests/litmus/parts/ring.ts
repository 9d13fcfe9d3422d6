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
  ringStamp,
  ringWaits,
} from "../../../core/memory/ring.ts";
import { defineScenario } from "../../../testing/mod.ts";

const SENT = 3;
const IDS = Int32Array.from([11, 12, 13]);
/** Of each entry: a push has one, so 11 goes alone, and 12 and 13 may be taken one by one. */
const STAMPS = [7, 8, 8];

export default defineScenario({
  name: "ring",
  mustHappen: ["full", "a run of two", "a run that ends"],
  setup: (arena) => ringInit(arena.a, arena.plan.heap, 2),
  threads: [{
    name: "producer",
    run(t) {
      const { a } = t.arena;
      const r = t.arena.plan.heap;
      for (let sent = 0; sent < SENT;) {
        const n = Math.min(sent === 0 ? 1 : SENT - sent, ringRoom(a, r, SENT - sent));
        if (n > 0) {
          ringPush(a, r, IDS, sent, n, STAMPS[sent]!);
          sent += n;
          continue;
        }
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
      for (let got = 0; got < SENT;) {
        const ready = ringReady(a, r, 2);
        if (ready === 0) {
          until(a, [r + RING.tail], () => ringWaits(a, r));
          continue;
        }
        if (ready > 2) throw new Error(`${ready} entries in a ring of two`);
        const n = ringPeek(a, r, ids, ready);
        if (n === 2) t.happened("a run of two");
        if (n < ready) t.happened("a run that ends");
        const stamp = ringStamp(a, r);
        for (let i = 0; i < n; i++) {
          if (ids[i] !== IDS[got + i] || stamp !== STAMPS[got + i]) {
            throw new Error(`entry ${got + i} is ${ids[i]}, stamp ${stamp}`);
          }
        }
        ringRelease(a, r, n);
        got += n;
      }
    },
  }],
});
