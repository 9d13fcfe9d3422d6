/** A CPU that lies down: no wake-up is lost (pump.ts, 1). */
import { wait } from "../../../core/doors/arena.ts";
import { MAIL, mailboxAt, MailSender } from "../../../core/cpu/mailbox.ts";
import { type CpuWorld, openCpu } from "../../../testing/world.ts";
import type { Scenario } from "../../../testing/mod.ts";

/** CPU 0 mails these kinds, the last of which is `stop`. */
export const sleeper = (mails: readonly number[]): Scenario => ({
  name: "sleep",
  mustHappen: ["slept", "did not sleep"],
  threads: [{
    name: "CPU 0",
    prepare: (t) => openCpu(t),
    run(t, w: CpuWorld) {
      const down = new MailSender(t.arena, mailboxAt(t.arena, 1, "down"), () => w.cpu.ring(1));
      for (const kind of mails) down.post([kind, 0]);
    },
  }, {
    name: "CPU 1",
    prepare: (t) => openCpu(t),
    run(t, w: CpuWorld) {
      const { cpu } = w;
      // What nap() of the pump does, with no time-out.
      for (let naps = 0; !cpu.stopped; naps++) {
        if (cpu.mail()) continue;
        const bell = cpu.lieDown();
        const sleeps = !cpu.workWaits();
        if (sleeps) wait(t.arena.a, cpu.bell, bell, 1e9);
        t.happened(sleeps ? "slept" : "did not sleep");
        cpu.getUp();
      }
    },
  }],
});

export default sleeper([MAIL.stop]);
