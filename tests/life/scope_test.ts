import { assertEquals } from "@std/assert";
import { Interrupts, Scope } from "../../core/device/scope.ts";
import { ifCloneCreate, ifCloneDestroy, pktgen } from "../../mod.ts";
import { codeOf, codeThrown, frame, gate, until, withKernel } from "./rig.ts";

Deno.test("closing a scope forbids re-arming, then drains (X3)", async () => {
  await withKernel({ clock: "virtual" }, async ({ k }) => {
    const interrupts = new Interrupts();
    const { cpu } = k.parts;
    const ran: string[] = [];
    const scope = new Scope(cpu, interrupts, k.callbacks, "x0", (label, fn) => (ran.push(label), fn()));
    const timer = scope.timer(() => timer.set(10));
    const bell = scope.interrupt(() => {});
    timer.set(10);
    bell.ring();
    bell.ring();
    assertEquals(interrupts.poll(), 1, "several rings before it are one");
    k.advance(10);
    cpu.timers.run();
    assertEquals(ran, ["interrupt", "timer"]);

    const work = gate();
    const task = scope.task(async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      // A task that is told to end may not begin another one.
      ran.push(codeThrown(() => void scope.task(() => Promise.resolve())));
      ran.push(codeThrown(() => timer.set(1)));
      await work.promise;
      ran.push("task ends");
    });
    bell.ring();
    let closed = false;
    const closing = scope.close().then(() => void (closed = true));
    assertEquals([scope.signal.aborted, scope.idle], [true, false]);
    assertEquals([cpu.timers.size, interrupts.poll()], [0, 0], "nothing is armed any more");
    bell.ring();
    k.advance(1000);
    cpu.timers.run();
    assertEquals(interrupts.poll(), 0);
    await Promise.resolve();
    assertEquals(closed, false, "the task runs");
    work.open();
    await closing;
    await task;
    assertEquals(ran, ["interrupt", "timer", "SOFTC_DEV_SCOPE", "SOFTC_DEV_SCOPE", "task ends"]);
    for (
      const arm of [
        () => timer.set(1),
        () => scope.interrupt(() => {}),
        () => void scope.task(async () => {}),
      ]
    ) {
      assertEquals(codeThrown(arm), "SOFTC_DEV_SCOPE");
    }
    timer.cancel();
    assertEquals(scope.size, 0);
    await scope.close();
  });
});

Deno.test("a timer fires once for each arming, later arming wins, a cancelled one never", async () => {
  await withKernel({ clock: "virtual" }, async ({ k }) => {
    const { cpu } = k.parts;
    let fired = 0;
    const scope = new Scope(cpu, new Interrupts(), k.callbacks, "x0", (_, fn) => fn());
    const timer = scope.timer(() => void fired++);
    const pass = (ms: number): number => {
      k.advance(ms);
      cpu.timers.run();
      return fired;
    };
    timer.set(10);
    timer.set(20);
    assertEquals([pass(10), pass(9), pass(1), pass(100)], [0, 0, 1, 1]);
    timer.set(5);
    timer.cancel();
    assertEquals(pass(100), 1);
    await scope.close();
  });
});

Deno.test("a task that fails is the caller's to hear of, and the scope still closes", async () => {
  await withKernel({}, async ({ k }) => {
    const scope = new Scope(k.parts.cpu, new Interrupts(), k.callbacks, "x0", (_, fn) => fn());
    assertEquals(await codeOf(scope.task(() => Promise.reject(new Error("planted")))), "no code: planted");
    void scope.task(() => Promise.reject(new Error("nobody listens")));
    await scope.close();
    assertEquals(scope.size, 0);
  });
});

Deno.test("[B27] timer, task and interrupt of an instance run on its CPU, and end with it", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, journal, clear }) => {
    await probe();
    for (const cpu of [0, 1]) {
      clear();
      const [i] = await ifCloneCreate(k.vnet0, "probe", {
        cpu,
        options: { timer: 1, task: true, interrupt: true },
      });
      await i.up();
      const g = await pktgen({ vnet: k.vnet0, ifnet: i, cpus: [1 - cpu], count: 32, frame: frame(64) });
      await until(
        "timer and interrupt ran",
        () =>
          journal().filter((l) => l === `timer@${cpu}`).length > 2 && journal().includes(`interrupt@${cpu}`),
      );
      await g.stop();
      await ifCloneDestroy(i);
      const lines = journal();
      assertEquals(lines.slice(-3), ["task ends", "re-arming refused: SOFTC_DEV_SCOPE", `destroy@${cpu}`]);
      assertEquals(lines.filter((l) => l.endsWith(`@${1 - cpu}`)), []);
      // Nothing of it comes later: another round of every pump passes.
      await k.ledger();
      await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(journal(), lines);
    }
  });
});
