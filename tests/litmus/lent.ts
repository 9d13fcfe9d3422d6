/** CPU 0 with an interface of vnet0 that is lent to vnet "J". @module */
import type { Driver } from "../../core/device/driver.ts";
import { set } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import type { ThreadContext } from "../../testing/mod.ts";
import type { VnetObject } from "../../vnet/vnet.ts";
import { type OneIf, oneIf } from "./threads.ts";

/** What {@linkcode lent} makes. */
export interface Lent extends OneIf {
  readonly vnet: VnetObject;
}

/** Makes them, as a vmove would have left them. */
export function lent(t: ThreadContext, driver: Driver<never>): Lent {
  const { w, e } = oneIf(t, driver);
  const vnet = w.vnets.create(w.vnet0, "J");
  w.ifs.unlink(e);
  e.homeName = e.name;
  w.ifs.reserve(w.vnet0, e.name, "lent");
  e.vnet = vnet;
  set(w.a, w.ifs.at(e) + IFNET.vnet, vnet.id);
  const { a } = w;
  set(a, w.ifs.at(e) + IFNET.gencnt, 3);
  w.ifs.linkName(e);
  return { w, e, vnet };
}

/** What came too late says "lost"; anything else is a finding. */
export async function unlessLost(t: ThreadContext, fn: () => Promise<unknown>): Promise<void> {
  try {
    await fn();
  } catch (e) {
    const { code, cause } = e as { code?: string; cause?: unknown };
    // What a driver threw is a finding, whatever it is answered as.
    if (cause !== undefined) throw cause;
    if (!["SOFTC_VNET_LOST", "SOFTC_IF_GONE", "SOFTC_VNET_STATE", "SOFTC_VNET_SAME"].includes(code ?? "")) {
      throw e;
    }
    t.happened("lost");
  }
}
