/**
 * What a module is: drivers, and what the module itself needs. A file that exports a driver is a module of one.
 *
 * @module
 */
import { SoftcError } from "../error.ts";
import type { VnetVar } from "../net/vnet.ts";
import { checkNames, type Names } from "../options.ts";
import { checkDriver, type Driver, DRIVER_API } from "./driver.ts";

/** A module of drivers. Its hooks settle within `boot({ hookDeadline })` milliseconds, as those of drivers do. */
export interface ModuleDef {
  /** Its name: unique in the kernel. */
  readonly name: string;
  /** Version of the driver API that it is written for. */
  readonly api: 1;
  /** Its drivers, of any options. */
  // deno-lint-ignore no-explicit-any
  readonly drivers: readonly Driver<any>[];
  /** Names of modules that must be loaded first, and cannot go first. */
  readonly depends?: readonly string[];
  /** Virtualised variables: their constructors run for every vnet at load, their destructors at unload. */
  readonly vnetVars?: readonly VnetVar<unknown>[];
  /** CPU 0, may await: after the drivers are known, before anything attaches. A throw, or being late (`SOFTC_DRIVER_STALLED`), unwinds the load. */
  load?(): void | Promise<void>;
  /** CPU 0, may await: a reason not to be unloaded now. A throw or being late is one. */
  quiesce?(): true | string | Promise<true | string>;
  /** CPU 0, may await: the last call into the module. A throw or being late is reported as a fault, and the module goes. */
  unload?(): void | Promise<void>;
}

/**
 * Defines a module of several drivers. Only infers types: its shape is checked when it is loaded.
 *
 * @example
 * ```ts
 * import { defineDriver, defineModule } from "@softc/softc/driver";
 *
 * const hole = defineDriver({
 *   name: "hole",
 *   api: 1,
 *   attach(dev) {
 *     dev.ifnet({ type: "ether" });
 *     return {};
 *   },
 *   transmit: (_sc, batch) => batch.freeAll(),
 * });
 * export default defineModule({ name: "holes", api: 1, drivers: [hole] });
 * ```
 */
export function defineModule(m: ModuleDef): ModuleDef {
  return m;
}

const NAMES: Names<ModuleDef> = {
  name: true,
  api: true,
  drivers: true,
  depends: true,
  vnetVars: true,
  load: true,
  quiesce: true,
  unload: true,
};

/** Reads what a module file exports: a driver, several, or a module. @throws {SoftcError} `SOFTC_DRIVER_SHAPE`, `SOFTC_DRIVER_API`, `SOFTC_OPTION_UNKNOWN` */
export function readModule(exported: unknown, url: string): ModuleDef {
  const from = `module ${url}`;
  if (typeof exported === "object" && exported !== null && "drivers" in exported) {
    const m = exported as ModuleDef;
    if (m.api !== DRIVER_API) {
      throw new SoftcError("SOFTC_DRIVER_API", `Cannot use ${from}`, {
        state: `driver API ${String(m.api)}`,
        wanted: `driver API ${DRIVER_API}`,
      });
    }
    if (typeof m.name !== "string" || m.name === "" || !Array.isArray(m.drivers)) {
      throw new SoftcError("SOFTC_DRIVER_SHAPE", `Cannot use ${from}`, {
        state: "no name or no drivers",
        wanted: "{ name, api: 1, drivers: [...] }",
      });
    }
    checkNames(`use module "${m.name}" of ${from}`, m, NAMES);
    for (const d of m.drivers) checkDriver(d, from);
    return m;
  }
  const drivers = (Array.isArray(exported) ? exported : [exported]).map((d) => checkDriver(d, from));
  if (drivers.length === 0) {
    throw new SoftcError("SOFTC_DRIVER_SHAPE", `Cannot use ${from}`, {
      state: "no drivers",
      wanted: "at least one",
    });
  }
  return { name: drivers[0]!.name, api: 1, drivers };
}
