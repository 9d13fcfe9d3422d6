/**
 * Pulling out and plugging back in: what an operator does to try what happens then.
 *
 * Nobody can refuse it. A device of a bus is unplugged there; what a cloner made is detached, both ends of a
 * pair. What this system made comes back as it was: name, vnet, MTU, flags, addresses, routes, and its traffic.
 *
 * @module
 */
import { type DeviceId, type Ifnet, inetAddress, inetRoute, type PluggedDevice, SoftcError } from "../mod.ts";
import { routesOf } from "./lab/inet.ts";
import { build } from "./lab/plan.ts";
import type { LabRoute } from "./lab/schema.ts";
import { type Unit, unitsIn } from "./lab/units.ts";
import type { System } from "./system.ts";

/** How a device is plugged in by request. */
export interface PlugSpec {
  readonly id: DeviceId;
  readonly vnet?: string | undefined;
  /** The interface whose driver is the other side of the device. */
  readonly parent?: string | undefined;
  readonly cpu?: number | undefined;
  readonly options?: unknown;
}

/** Something that was pulled out. */
export interface Pulled {
  readonly name: string;
  /** What it is, for people. */
  readonly what: string;
  /** Whether it can be plugged back: others' devices are theirs to bring. */
  readonly replug: boolean;
}

interface Kept extends Pulled {
  back(): Promise<readonly Ifnet[]>;
}

/** Things that are remembered: the oldest is forgotten. */
const MOST = 64;

/** What is plugged in by request, and what was pulled out. */
export class Plugs {
  readonly #system: System;
  readonly #specs = new Map<string, PlugSpec>();
  readonly #pulled = new Map<string, Kept>();

  constructor(system: System) {
    this.#system = system;
  }

  /** What was pulled out, oldest first. */
  list(): Pulled[] {
    return [...this.#pulled.values()].map(({ name, what, replug }) => ({ name, what, replug }));
  }

  /** Plugs a device in. @throws {SoftcError} `SOFTC_DEV_EXISTS` */
  async plug(spec: PlugSpec): Promise<PluggedDevice> {
    const { id, vnet, parent, cpu, options } = spec;
    const device = await this.#system.kernel.devices.plug(id, {
      ...(vnet === undefined ? {} : { vnet: this.#system.vnet(vnet) }),
      ...(parent === undefined ? {} : { parent: this.#system.ifnet(parent) }),
      ...(cpu === undefined ? {} : { cpu }),
      ...(options === undefined ? {} : { options }),
    });
    this.#specs.set(device.name, spec);
    this.#pulled.delete(device.name);
    return device;
  }

  /** A device by its name. @throws {SoftcError} `SOFTC_DEV_GONE` */
  device(name: string): PluggedDevice {
    const all = this.#system.kernel.devices.list();
    const found = all.find((d) => d.name === name);
    if (found !== undefined) return found;
    throw new SoftcError("SOFTC_DEV_GONE", `Cannot find the device "${name}"`, {
      state: `plugged in: ${all.map((d) => d.name).join(", ") || "none"}`,
      fix: "name a device of: softc dev list",
    });
  }

  /** Pulls a device out. */
  async unplugDevice(name: string): Promise<Pulled> {
    const device = this.device(name);
    const spec = this.#specs.get(name);
    const kept = this.#keep({
      name,
      what: `device ${name}${device.driver === undefined ? "" : ` of ${device.driver}`}`,
      replug: spec !== undefined,
      back: async () => (await this.plug(spec!)).ifnets,
    });
    await this.#system.kernel.devices.unplug(device);
    return kept;
  }

  /** Pulls an interface out: its device, or all that the same create made. @throws {SoftcError} `SOFTC_IF_UNKNOWN` */
  async unplug(id: string): Promise<Pulled> {
    const system = this.#system;
    const ifnet = system.ifnet(id);
    const device = system.kernel.devices.list().find((d) => d.ifnets.some((i) => i.index === ifnet.index));
    if (device !== undefined) return await this.unplugDevice(device.name);
    const made = system.made.some((m) => m.indexes.includes(ifnet.index));
    const unit = unitsIn(system).find((u) =>
      u.ends.some((e) => e.name === ifnet.name && e.vnet === ifnet.vnet.name)
    );
    if (unit === undefined) {
      throw new SoftcError("SOFTC_IF_GONE", `Cannot unplug ${id}`, {
        state: ifnet.state,
        wanted: "attached",
      });
    }
    const routes = [...new Set(unit.ends.map((e) => e.vnet))].map((v) => ({
      vnet: v,
      routes: routesOf(system, v),
    }));
    const kept = this.#keep({
      name: `${unit.vnet}:${unit.name}`,
      what: `${unit.cloner} ${unit.ends.map((e) => `${e.vnet}:${e.name}`).join(" = ")}`,
      replug: made && unit.half !== true,
      back: () => this.#rebuild(unit, routes),
    });
    await Promise.all(unit.ends.map((e) => system.detach(`${e.vnet}:${e.name}`)));
    return kept;
  }

  /** Plugs back what was pulled out. @throws {SoftcError} `SOFTC_API_REPLUG` */
  async replug(name: string): Promise<readonly Ifnet[]> {
    const kept = this.#pulled.get(name);
    if (kept === undefined || !kept.replug) {
      const can = this.list().filter((p) => p.replug).map((p) => p.name);
      throw new SoftcError("SOFTC_API_REPLUG", `Cannot plug "${name}" back in`, {
        state: kept === undefined
          ? `can be plugged back: ${can.join(", ") || "nothing"}`
          : "it was not plugged in here",
        wanted: "something that was pulled out here",
      });
    }
    const ifnets = await kept.back();
    this.#pulled.delete(name);
    return ifnets;
  }

  /** Something of that name was made: it is not away any more. */
  forget(name: string): void {
    this.#pulled.delete(name);
  }

  #keep(kept: Kept): Pulled {
    this.#pulled.delete(kept.name);
    this.#pulled.set(kept.name, kept);
    if (this.#pulled.size > MOST) this.#pulled.delete(this.#pulled.keys().next().value!);
    const { name, what, replug } = kept;
    return { name, what, replug };
  }

  async #rebuild(
    unit: Unit,
    before: readonly { readonly vnet: string; readonly routes: readonly LabRoute[] }[],
  ): Promise<readonly Ifnet[]> {
    const system = this.#system;
    await build(system, unit);
    const ends = unit.ends.map((e) => ({ ...e, ifnet: system.ifnet(`${e.vnet}:${e.name}`) }));
    for (const { ifnet, addresses = [] } of ends) {
      for (const a of addresses) await inetAddress(ifnet, a, { dad: false });
    }
    for (const { vnet, routes } of before) {
      const now = routesOf(system, vnet);
      const v = system.vnet(vnet);
      for (const r of routes) {
        if (now.some((n) => n.to === r.to)) continue;
        inetRoute(v, r.to, v.ifnets.find((i) => i.name === r.via) ?? r.via);
      }
    }
    for (const { spec } of [...system.traffic.values()]) {
      if (!ends.some((e) => e.vnet === spec.vnet && e.name === spec.ifnet.split(":").at(-1))) continue;
      await system.stopTraffic(spec.name);
      await system.startTraffic(spec);
    }
    return ends.map((e) => e.ifnet);
  }
}
