/**
 * R30: a worker that is pending when its clone is destroyed (X3).
 *
 * Origin: FreeBSD if_epair.c, epair_clone_destroy and epair_free_sc.
 *
 *     a packet was queued from a to b, the task is pending
 *     A: destroys the pair: flush, frees queues
 *                                              B: task: tx(q)  <- freed
 *
 * Forbidden: the queue is touched after it was freed.
 * softc: each queue owner purges its own ring and answers; the rings are freed after that.
 */
import { load, store } from "../../../core/doors/arena.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { type CpuWorld, openCpu, openInstance, scratch, sendOne, serveRing } from "../../../testing/world.ts";
import { checkOn, homed } from "../drivers/checked.ts";
import { DONE, gone, type OneIf, oneIf } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

export default defineLitmus({
  id: "R30",
  title: "a worker that is pending when its clone is destroyed",
  stored: ".",
  large: ["softc"],
  legacy: {
    name: "R30 legacy",
    threads: [
      legacy("A epair_clone_destroy", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 1], [1, 2, 1]]),
      legacy("B epair_tx_start_deferred", (l) => {
        if (l.load(1, 2) === 1) l.touch(2, "queue");
      }),
    ],
  },
  softc: {
    name: "R30",
    mustHappen: ["sent", "refused"],
    threads: [{
      name: "CPU 0",
      prepare: (t) => oneIf(t, homed, { home: 1 }),
      operations: {
        send: (t, { w }: OneIf) => {
          t.happened(sendOne(w, 1, 1) > 0 ? "sent" : "refused");
          return Promise.resolve();
        },
        async detach(t, { w, e }: OneIf) {
          await detachEntry(w.ifs, e);
          store(w.a, scratch(t.arena, DONE), 1);
        },
      },
    }, {
      name: "queue owner",
      async prepare(t) {
        const w = checkOn(openCpu(t, homed));
        await openInstance(w, 1, true);
        return w;
      },
      run(t, w: CpuWorld) {
        const done = scratch(t.arena, DONE);
        serveRing(w, 0, [done], () => load(w.a, done) === 1);
      },
    }],
    check(end) {
      gone(end);
      const { f } = end.arena;
      return f[end.arena.cpuCountersAt(1) + 5] === 1 ? "wire" : "dropped";
    },
  },
});
