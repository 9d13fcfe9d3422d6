/**
 * R12: a link event after the drain (X3, rule 4a).
 *
 * Origin: FreeBSD D39614; kern/270813 (if_ena).
 *
 *     A: if_detach(if0): unlink, grace         B: taskqueue
 *     A: drains if_linktask
 *     A: driver resets the hardware: if_link_state_change(if0): task queued
 *     A: if_free, callbacks run
 *                                              B: do_link_state_change(if0)  <- freed
 *
 * Forbidden: the task runs on a freed interface.
 * softc: what a driver's CPU says of its link names slot and occupant; CPU 0 compares, and ignores it after unlink.
 */
import { defineDriver, type Dev, type Driver } from "../../../core/device/mod.ts";
import { MAIL } from "../../../core/cpu/mailbox.ts";
import { store } from "../../../core/doors/arena.ts";
import { ifLinkChanged } from "../../../core/net/config.ts";
import { detachEntry } from "../../../core/net/lifecycle.ts";
import { assertLedger, attachIf, scratch } from "../../../testing/world.ts";
import { DONE, type OneIf, oneIf, worker } from "../threads.ts";
import { defineLitmus } from "../litmus.ts";
import { legacy } from "../legacy.ts";

/** What the driver on this thread was given. */
let dev: Dev | undefined;

/** Its reset takes the link down, as if_ena's does. */
const resetting = defineDriver({
  name: "resetting",
  api: 1,
  attach(d: Dev) {
    dev = d;
    d.ifnet({ type: "ether" });
    return {};
  },
  transmit: (_sc, b) => b.freeAll(),
  stop: () => dev!.link(false),
}) as Driver<never>;

export default defineLitmus({
  id: "R12",
  title: "a link event after the drain",
  stored: ".",
  large: ["softc"],
  legacy: {
    name: "R12 legacy",
    // Word 1 of object 1: listed; word 2: if_linktask is queued; object 2 is the ifnet.
    threads: [
      legacy("A if_detach", (l) => {
        l.store(1, 1, 0);
        l.grace();
        l.await(1, 2, 0);
        l.store(1, 2, 1);
        l.grace();
        l.free(2);
      }, [[1, 1, 1]]),
      legacy("B taskqueue", (l) => {
        l.await(1, 2, 1);
        l.touch(2, "ifnet of the link task");
      }),
    ],
  },
  softc: {
    name: "R12",
    mustHappen: ["heard", "ignored"],
    threads: [{
      name: "CPU 0",
      prepare(t) {
        const one = oneIf(t, resetting, { home: 1 });
        const { w } = one;
        w.control.on(MAIL.link, (m) => {
          const before = w.events.seq;
          ifLinkChanged(w.ifs, m.a, m.b, m.c);
          t.happened(w.events.seq > before ? "heard" : "ignored");
        });
        return one;
      },
      operations: {
        async turn(_t, { w }: OneIf) {
          await w.control.step("a turn of CPU 0");
          w.control.turn();
        },
        async reuse(t, { w, e }: OneIf) {
          const order: string[] = [];
          w.events.listen((x) => void order.push(`${x.type} ${x.name}`));
          await detachEntry(w.ifs, e);
          attachIf(w, resetting, { name: "if1" });
          w.control.turn();
          store(w.a, scratch(t.arena, DONE), 1);
          const departed = order.indexOf("departure if0");
          const link = order.findLastIndex((x) => x.startsWith("link"));
          if (link > departed || order.includes("link if1")) throw new Error(`events: ${order.join(", ")}`);
        },
      },
    }, worker("B driver's CPU", () => dev!.link(true), resetting, true)],
    check: ({ arena }) => assertLedger(arena),
  },
});
