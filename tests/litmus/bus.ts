/** CPU 0 of a scenario with the module table, the cloners and the device tree: what the kernel makes, without boot. @module */
import { DeviceTree } from "../../core/device/bus.ts";
import { Cloners } from "../../core/device/cloner.ts";
import type { Driver } from "../../core/device/driver.ts";
import { ModuleTable } from "../../core/device/modules.ts";
import type { ThreadContext } from "../../testing/mod.ts";
import { vmove } from "../../vnet/vmove.ts";
import type { VnetObject } from "../../vnet/vnet.ts";
import { type ControlWorld, openControl, unscheduled } from "../../testing/world.ts";

/** CPU 0 with what comes and goes. */
export interface BusWorld extends ControlWorld {
  readonly table: ModuleTable;
  readonly cloners: Cloners;
  readonly tree: DeviceTree;
}

/** Puts it together, with the one module of the scenario loaded. For `arena: { cpus: 1 }`: no other CPU imports it. */
export async function openBus(t: ThreadContext, driver: Driver<never>): Promise<BusWorld> {
  const w = openControl(t, driver);
  const { control, instances, events, ifs, vnets } = w;
  const table = new ModuleTable({
    control,
    instances,
    events,
    vnetVars: vnets.vars,
    resolve: (spec) => spec,
    drain: () => instances.callbacks.drain(),
    hookDeadline: 5000,
  });
  const cloners = new Cloners(ifs, table, 5000);
  const tree = new DeviceTree({
    ifs,
    cloners,
    modules: table,
    move: (e, to, name) => vmove(ifs, e, to as VnetObject, { name }),
    fault(_what, cause) {
      throw cause;
    },
  });
  await unscheduled(w, () => table.load("scenario:driver"));
  return { ...w, table, cloners, tree };
}
