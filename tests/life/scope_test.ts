import { assertEquals, assertStringIncludes } from "@std/assert";
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

Deno.test("a task that fails is its caller's to hear of, else the instance's fault; the scope still closes", async () => {
  await withKernel({}, async ({ k }) => {
    const faults: string[] = [];
    const scope = new Scope(k.parts.cpu, new Interrupts(), k.callbacks, "x0", (label, fn) => {
      try {
        fn();
      } catch (e) {
        faults.push(`${label}: ${(e as Error).message}`);
      }
    });
    const fail = (why: string): Promise<never> => Promise.reject(new Error(why));
    assertEquals(await codeOf(scope.task(() => fail("awaited"))), "no code: awaited");
    const caught: string[] = [];
    scope.task(() => fail("caught")).catch((e) => void caught.push(e.message));
    scope.task(() => fail("finally")).finally(() => {}).catch(() => {});
    const kept = scope.task(() => fail("raced"));
    await Promise.race([kept]).catch(() => {});
    assertEquals(await scope.task(() => Promise.resolve(7)), 7);
    void scope.task(() => fail("nobody listens"));
    void scope.task(async (signal) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    });
    await until("both were heard of", () => faults.length > 0 && caught.length > 0);
    await scope.close();
    assertEquals([faults, caught], [["task: nobody listens"], ["caught"]]);
    assertEquals(scope.size, 0);
  });
});

Deno.test("an instance whose task fails unheard goes, on every CPU, and what was thrown is told", async () => {
  await withKernel({ cpus: 2 }, async ({ k, faults, folder }) => {
    const api = new URL("../../core/device/mod.ts", import.meta.url).href;
    Deno.writeTextFileSync(
      `${folder}/tasks.js`,
      `import { defineDriver } from ${JSON.stringify(api)};
export default defineDriver({
  name: "tasks", api: 1, cloner: "tasks",
  attach(dev) { dev.ifnet({ type: "ether" }); return { dev }; },
  set(sc) { void sc.dev.task(async () => { await null; throw new Error("receive broke"); }); },
  transmit: (_, b) => b.freeAll(),
});`,
    );
    await k.modules.load(`${folder}/tasks.js`);
    for (const cpu of [0, 1]) {
      const [i] = await ifCloneCreate(k.vnet0, "tasks", { cpu });
      await i.up().catch(() => {}); // it may be gone by then
      await until("it went", () => i.state === "freed");
      assertStringIncludes(faults[cpu]!.message, `Hook "task" of tasks0 threw on CPU ${cpu}: receive broke`);
    }
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
