/** Mail: handled in order, answered once, and the answer's words belong to the question (mailbox.ts, 1 to 3). */
import { load, until } from "../../../core/doors/arena.ts";
import { mailboxAt, MailReceiver, MailSender } from "../../../core/cpu/mailbox.ts";
import { MAILBOX } from "../../../core/memory/arena.ts";
import { defineScenario } from "../../../testing/mod.ts";

export default defineScenario({
  name: "mail",
  mustHappen: ["answered"],
  threads: [{
    name: "CPU 0",
    run(t) {
      const down = new MailSender(t.arena, mailboxAt(t.arena, 1, "down"), () => {});
      const up = new MailReceiver(t.arena, mailboxAt(t.arena, 1, "up"));
      down.post([2, 5, 10]);
      down.post([2, 6, 20]);
      for (const [ticket, value] of [[5, 10], [6, 20]]) {
        until(t.arena.a, [up.word], () => up.waits());
        const m = up.next()!;
        if (m.ticket !== ticket || m.a !== value) throw new Error(`answer ${m.ticket} is ${m.a}`);
      }
      if (up.next() !== undefined) throw new Error("an answer came twice");
      t.happened("answered");
    },
  }, {
    name: "CPU 1",
    run(t) {
      const down = new MailReceiver(t.arena, mailboxAt(t.arena, 1, "down"));
      const up = new MailSender(t.arena, mailboxAt(t.arena, 1, "up"), () => {});
      for (let n = 0; n < 2; n++) {
        until(t.arena.a, [down.word], () => down.waits());
        const m = down.next()!;
        up.post([1, m.ticket, m.a]);
      }
    },
  }],
  check({ arena }) {
    const at = mailboxAt(arena, 1, "down");
    if (load(arena.a, at + MAILBOX.head) !== 2) throw new Error("mail is left");
  },
});
