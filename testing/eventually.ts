/** Waiting for a condition in a test, with a deadline instead of a sleep. @module */
import { performance } from "node:perf_hooks";

/**
 * Resolves when `condition` holds. It is asked about once a millisecond: CPUs and the event loop run meanwhile.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 * import { eventually } from "@softc/softc/testing";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [i] = await ifCloneCreate(kernel.vnet0, "null");
 * await i.up();
 * await eventually("the interface is UP", () => i.toJSON().flags.includes("UP"));
 * await kernel.shutdown();
 * ```
 * @param what for the error: what was waited for
 * @param ms of real time, also under a virtual clock
 * @throws {Error} naming `what` when it does not hold within `ms` milliseconds; what `condition` throws
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 5000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`Not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
