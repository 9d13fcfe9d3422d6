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
 * Boots a kernel.
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
 * @throws {SoftcError} `SOFTC_BOOT_ARGUMENT` for an option or an aborted signal, `SOFTC_OPTION_UNKNOWN`, `SOFTC_BOOT_CPU` when a CPU's worker does not start
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
