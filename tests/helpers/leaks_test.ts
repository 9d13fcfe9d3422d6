import { assertEquals, assertRejects } from "@std/assert";
import { Worker as NodeWorker } from "node:worker_threads";
import { assertNoLeaks, type Inspection, poll, unterminatedWorkers, workerThreads } from "./leaks.ts";

const IDLE = "data:text/javascript,postMessage('up'); onmessage = () => self.close()";

/** A worker that is up. */
async function spawn(): Promise<Worker> {
  const worker = new Worker(IDLE, { type: "module", name: "planted" });
  await new Promise((resolve) => worker.onmessage = resolve);
  return worker;
}

Deno.test("assertNoLeaks() passes when every worker was terminated or closed itself", async () => {
  await assertNoLeaks(async () => {
    (await spawn()).terminate();
    (await spawn()).postMessage("close");
  });
});

Deno.test("assertNoLeaks() names a worker that was left running", async () => {
  let leaked: Worker | undefined;
  const error = await assertRejects(
    () =>
      assertNoLeaks(async () => {
        leaked = await spawn();
      }, { deadline: 20 }),
    Error,
    "thread worker-",
  );
  assertEquals(error.message.split("\n").length, 2);
  leaked!.terminate();
  await poll(() => workerThreads().length === 0, 2000);
});

Deno.test("assertNoLeaks() sees a worker of node:worker_threads", async () => {
  let leaked: NodeWorker | undefined;
  await assertRejects(
    () =>
      assertNoLeaks(async () => {
        leaked = new NodeWorker("setInterval(() => {}, 1000)", { eval: true });
        await new Promise((resolve) => leaked!.once("online", resolve));
      }, { deadline: 20 }),
    Error,
    "thread worker-",
  );
  await leaked!.terminate();
});

Deno.test("unterminatedWorkers() counts where threads cannot be listed", async () => {
  const before = unterminatedWorkers().length;
  const worker = await spawn();
  assertEquals(unterminatedWorkers().length, before + 1);
  worker.terminate();
  assertEquals(unterminatedWorkers().length, before);
});

Deno.test("assertNoLeaks() names what a kernel still has: worker, wait, timer", async () => {
  const none: Inspection = { workers: [], waits: [], timers: [] };
  await assertNoLeaks((watch) => void watch({ inspect: () => none }));
  for (const kind of ["workers", "waits", "timers"] as const) {
    await assertRejects(
      () => assertNoLeaks((watch) => void watch({ inspect: () => ({ ...none, [kind]: ["planted"] }) })),
      Error,
      `kernel 0: ${kind.slice(0, -1)} planted`,
    );
  }
});
