import { assertRejects } from "@std/assert";
import { boot, epochOpen, ifCloneCreate, type Kernel } from "../../mod.ts";
import { ownKernel } from "../../kernel/api.ts";
import { assertNoLeaks, poll, workerThreads } from "../helpers/leaks.ts";

/** The body leaves something of a kernel behind; it is named, and then cleaned up. */
async function planted(
  expected: string,
  o: { cpus: number },
  leave: (k: Kernel) => void | (() => void) | Promise<void | (() => void)>,
): Promise<void> {
  let kernel: Kernel | undefined;
  const undo: (() => void)[] = [];
  await assertRejects(
    () =>
      assertNoLeaks(async (watch) => {
        kernel = watch(await boot(o));
        const mend = await leave(kernel);
        if (mend !== undefined) undo.push(mend);
      }, { deadline: 20 }),
    Error,
    expected,
  );
  for (const mend of undo) mend();
  await kernel!.shutdown();
  await poll(() => workerThreads().length === 0, 2000);
}

Deno.test("a kernel that was shut down leaves no worker, timer or wait", async () => {
  await assertNoLeaks(async (watch) => {
    const k = watch(await boot({ cpus: 3 }));
    await k.modules.load("softc:loopback");
    await ifCloneCreate(k.vnet0, "lo");
    await k.shutdown();
  });
});

Deno.test("a kernel left running is found: its workers", () =>
  planted("worker cpu 2", { cpus: 3 }, () => {}));

Deno.test("a kernel left running is found: its threads", () =>
  planted("thread worker-", { cpus: 2 }, () => {}));

Deno.test("a kernel left running is found: what keeps its process alive", () =>
  planted("timer keep alive", { cpus: 1 }, () => {}));

Deno.test("a kernel left running is found: its pump", () =>
  planted("wait pump of cpu 0", { cpus: 1 }, () => {}));

Deno.test("a wait of a structural operation that nobody ends is found by its label", () =>
  planted("wait planted wait", { cpus: 1 }, (k) => {
    let over = false;
    // Shutdown may come before a turn of the pump has seen that it is over: then the wait fails.
    ownKernel(k).control.until("planted wait", [], () => over).catch(() => {});
    return () => void (over = true);
  }));

Deno.test("a grace period that a section holds up is found", () =>
  planted("wait grace period", { cpus: 1 }, async (k) => {
    const section = epochOpen(k, "planted");
    const { control } = ownKernel(k);
    control.grace.wait().catch(() => {});
    await poll(() => control.pending().length > 0, 2000);
    return () => section.close();
  }));

Deno.test("a timer that is armed on a CPU is found", () =>
  planted("timer timer of cpu 0", { cpus: 1 }, (k) => {
    const timer = ownKernel(k).parts.cpu.timers.after(60_000, () => {});
    return () => void (timer.armed = false);
  }));
