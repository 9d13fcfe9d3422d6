/**
 * Boot: the arena, then the kernel in it.
 *
 * @module
 */
import { SoftcError } from "../core/error.ts";
import { Arena } from "../core/memory/arena.ts";
import { poolInit } from "../core/memory/mbuf.ts";
import { inputInit } from "../core/net/input.ts";
import type { Kernel } from "./kernel.ts";
import { KernelObject } from "./kernel_object.ts";
import { arenaConfig, type BootOptions } from "./options.ts";

/**
 * Boots a kernel: CPU 0 is the calling thread, every other CPU a worker. Resolves when all of them run; when one does
 * not start, those that did are stopped. The arena is `SharedArrayBuffer` memory.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 *
 * const kernel = await boot({ cpus: 1 });
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await lo.up();
 * console.log(String(lo));
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_BOOT_ARGUMENT` for an option, an aborted signal, or tables that do not fit into the arena;
 * `SOFTC_OPTION_UNKNOWN`, `SOFTC_BOOT_CPU` when a CPU's worker does not start; a RangeError when there is no memory for
 * the arena. All reject the promise
 */
export async function boot(o: BootOptions = {}): Promise<Kernel> {
  const config = arenaConfig(o);
  if (o.signal?.aborted === true) {
    throw new SoftcError("SOFTC_BOOT_ARGUMENT", "Cannot boot: the signal is aborted");
  }
  const arena = Arena.create(config);
  poolInit(arena);
  inputInit(arena);
  const k = new KernelObject(arena, o);
  await k.start();
  return k;
}
