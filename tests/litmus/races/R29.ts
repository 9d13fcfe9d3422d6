/**
 * R29: revived between stop and detach (rule 3a).
 *
 * Origin: FreeBSD if_vtnet.c, vtnet_detach; a review of iflib.
 *
 *     A: detach: stop; drain tasks             B: set UP: init: timer and interrupts on
 *     A: (gap)                                 B: transmit: a task is queued
 *     A: if_detach; frees queues               B: the task runs  <- freed
 *
 * Forbidden: a timer, task or interrupt after the queues are freed.
 * softc: the interface is unlinked and every gate closed before the device is stopped: no transmit follows stop.
 */
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";
import { detachVsSender } from "../threads.ts";

export default defineLitmus({
  id: "R29",
  title: "a device that is revived between its stop and its detach",
  stored: "0.1-6.0",
  legacy: {
    name: "R29 legacy",
    // Word 1 of object 1: attached; word 2: tasks pending; object 2: the queues.
    threads: [
      legacy("A vtnet_detach", (l) => {
        l.store(1, 2, 0);
        l.store(1, 1, 0);
        l.grace();
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("B if_transmit, taskqueue", (l) => {
        l.section(() => {
          if (l.load(1, 1) === 1) l.store(1, 2, 1);
        });
        if (l.load(1, 2) === 1) l.touch(2, "queue");
      }),
    ],
  },
  softc: detachVsSender("R29"),
});
