/**
 * What a system is made of, in the shape of a lab: each create as one unit, one interface or a pair.
 *
 * @module
 */
import type { IfJSON } from "../../mod.ts";
import type { CreateSpec, System } from "../system.ts";
import { addressesOf, routesOf } from "./inet.ts";
import type { Lab, LabEnd } from "./schema.ts";

/** The lab of a system with nothing in it. */
export const EMPTY: Lab = { modules: [], vnets: {}, interfaces: [], links: [], traffic: [] };

/** The cloner of emulated links. */
const NETEM = "link";

/** What one create makes: one interface, or a pair. */
export interface Unit extends CreateSpec {
  readonly name: string;
  readonly ends: readonly (LabEnd & { readonly name: string })[];
  /** What is left of a pair: it can go, and cannot be made. */
  readonly half?: boolean;
}

/** The system as a lab: applying it to this system does nothing. */
export function labOf(system: System): Lab {
  const units = unitsIn(system);
  const some = <K extends string, T>(key: K, list: readonly T[] | undefined): { [k in K]?: readonly T[] } =>
    list === undefined || list.length === 0 ? {} : { [key]: list } as { [k in K]: readonly T[] };
  const end = ({ vnet, up, mtu, addresses }: LabEnd): LabEnd => ({
    vnet,
    up,
    mtu,
    ...some("addresses", addresses),
  });
  return {
    cpus: system.kernel.cpus,
    modules: system.kernel.modules.list().map((m) => {
      const { module, host } = system.specOf(m);
      return host === true ? { module, host } : module;
    }),
    vnets: Object.fromEntries(
      system.kernel.vnets.filter((v) => v.parent !== undefined).map((v) => [v.name, {
        ...(v.parent === system.kernel.vnet0 ? {} : { parent: v.parent!.name }),
        discard: system.discards.has(v.name),
        ...(system.forwarding.has(v.name) ? { forwarding: true } : {}),
        ...some("routes", routesOf(system, v.name)),
      }]),
    ),
    interfaces: units.filter((u) => u.ends.length === 1).map((u) => ({
      name: u.ends[0]!.name,
      cloner: u.cloner,
      ...(u.vnet === u.ends[0]!.vnet ? {} : { home: u.vnet }),
      cpu: u.cpu,
      options: u.options as Record<string, unknown> | undefined,
      ...end(u.ends[0]!),
    })),
    links: units.filter((u) => u.ends.length === 2).map((u) => ({
      name: u.name,
      cpu: u.cpu,
      ...(u.cloner === NETEM
        ? { cloner: "epair", netem: u.options ?? {} }
        : { cloner: u.cloner, options: u.options as Record<string, unknown> | undefined }),
      ends: u.ends.map(end),
    })),
    traffic: [...system.traffic.values()].map((t) => t.spec),
  };
}

/** What a lab declares. */
export function unitsOf(lab: Lab): Unit[] {
  return [
    ...lab.interfaces.map((x): Unit => ({
      vnet: x.home ?? x.vnet,
      cloner: x.cloner,
      name: x.name,
      cpu: x.cpu,
      options: x.options,
      ends: [x],
    })),
    ...lab.links.map((x): Unit => ({
      vnet: x.ends[0]!.vnet,
      cloner: x.netem === undefined ? x.cloner : NETEM,
      name: x.name,
      cpu: x.cpu,
      options: x.netem ?? x.options,
      ends: x.ends.map((e, i) => ({ ...e, name: x.name + "ab"[i] })),
    })),
  ];
}

/** What is there, put together as it was made. What others made stands for itself, under its driver's name. */
export function unitsIn(system: System): Unit[] {
  const attached = system.kernel.ifnets.filter((i) => i.state === "attached");
  const there = attached.map((i) => i.toJSON());
  const end = (i: IfJSON): Unit["ends"][number] => ({
    name: i.name,
    vnet: i.vnet,
    up: i.flags.includes("UP"),
    mtu: i.mtu,
    addresses: addressesOf(attached.find((x) => x.index === i.index)!),
  });
  const known = system.made.flatMap((m) => {
    const parts = m.indexes.flatMap((x) => there.find((i) => i.index === x && i.home === m.spec.vnet) ?? []);
    return parts.length === m.indexes.length ? [{ m, parts }] : [];
  });
  const halves = new Set(system.made.filter((m) => m.indexes.length > 1).flatMap((m) => m.indexes));
  const covered = new Set(known.flatMap((k) => k.parts.map((p) => p.index)));
  return [
    ...known.map(({ m, parts }): Unit => ({
      vnet: m.spec.vnet,
      cloner: m.spec.cloner,
      name: m.name,
      cpu: parts[0]!.cpu,
      options: m.spec.options,
      ends: parts.map(end),
    })),
    ...there.filter((i) => !covered.has(i.index)).map((i): Unit => ({
      vnet: i.home,
      cloner: i.driver,
      name: i.name,
      cpu: i.cpu,
      ends: [end(i)],
      half: halves.has(i.index),
    })),
  ];
}
