/**
 * Addresses and routes of a lab: taken away before anything moves, given when everything is in its place.
 *
 * An address goes with its interface's move, a route with its interface. So both are taken away first wherever
 * something is made, moved or destroyed, and given again in the end: what is undone is undone in that order too.
 *
 * @module
 */
import type { Ifnet } from "../../mod.ts";
import { inetAddress, inetAddresses, inetRoute, inetRoutes } from "../../mod.ts";
import type { System } from "../system.ts";
import type { Step } from "./plan.ts";
import type { Lab, LabRoute } from "./schema.ts";

/** An end of a unit, as far as addresses go. */
export interface InetEnd {
  readonly name: string;
  readonly vnet: string;
  readonly addresses?: readonly string[] | undefined;
}

/** One end as it is and as it is wanted; without the one it is new, without the other it goes. */
export interface InetChange {
  readonly from?: InetEnd | undefined;
  readonly to?: InetEnd | undefined;
}

/** The addresses of an interface as a lab declares them: link-local ones come by themselves. */
export function addressesOf(i: Ifnet): string[] {
  return inetAddresses(i).map((a) => a.prefix).filter((p) => !p.startsWith("fe80:"));
}

/** The routes of a vnet that were set by hand. */
export function routesOf(system: System, vnet: string): LabRoute[] {
  return inetRoutes(system.vnet(vnet)).filter((r) => r.kind === "static" || r.kind === "reject").map((r) => ({
    to: r.prefix,
    via: r.gateway ?? r.ifnet ?? "reject",
  }));
}

/** Steps for addresses and routes: those to do first, and those to do when all is in place. */
export function inetSteps(
  system: System,
  lab: Lab,
  changes: readonly InetChange[],
): { first: Step[]; then: Step[] } {
  const taken: Step[] = [];
  const given: Step[] = [];
  const dirty = new Set<string>();
  for (const { from, to } of changes) {
    const moved = from === undefined || to === undefined || from.vnet !== to.vnet;
    const have = (from?.addresses ?? []).map(canonical);
    const want = (to?.addresses ?? []).map(canonical);
    const less = moved ? have : have.filter((a) => !want.includes(a));
    const more = moved ? want : want.filter((a) => !have.includes(a));
    if (moved || less.length + more.length > 0) {
      for (const e of [from, to]) if (e !== undefined) dirty.add(e.vnet);
    }
    for (const a of less) taken.push(inverse(addressStep(system, from!, a)));
    for (const a of more) given.push(addressStep(system, to!, a));
  }
  const routesTaken: Step[] = [];
  const routesGiven: Step[] = [];
  const there = system.kernel.vnets.filter((v) => v.parent !== undefined).map((v) => v.name);
  for (const v of new Set([...there, ...Object.keys(lab.vnets)])) {
    const have = there.includes(v) ? routesOf(system, v) : [];
    const want = (lab.vnets[v]?.routes ?? []).map((r) => ({ to: canonical(r.to), via: canonical(r.via) }));
    const same = (a: LabRoute, b: LabRoute): boolean => a.to === b.to && a.via === b.via;
    const stays = (r: LabRoute, others: readonly LabRoute[]): boolean =>
      !dirty.has(v) && others.some((o) => same(o, r));
    for (const r of have) if (!stays(r, want)) routesTaken.push(inverse(routeStep(system, v, r)));
    for (const r of want) if (!stays(r, have)) routesGiven.push(routeStep(system, v, r));
  }
  return { first: [...routesTaken, ...taken], then: [...given, ...routesGiven] };
}

function addressStep(system: System, end: InetEnd, prefix: string): Step {
  const id = `${end.vnet}:${end.name}`;
  return {
    text: `+ ${prefix} on ${id}`,
    // A lab says who has which address: looking for duplicates would take seconds.
    run: () => inetAddress(system.ifnet(id), prefix, { dad: false }),
    undo: () => Promise.resolve(inetAddresses(system.ifnet(id)).find((a) => a.prefix === prefix)?.remove()),
  };
}

function routeStep(system: System, vnet: string, r: LabRoute): Step {
  return {
    text: `+ route ${r.to} via ${r.via} in ${vnet}`,
    run: () => {
      const v = system.vnet(vnet);
      const own = v.ifnets.find((i) => i.name === r.via);
      return Promise.resolve(inetRoute(v, r.to, own ?? r.via));
    },
    undo: () =>
      Promise.resolve(
        inetRoutes(system.vnet(vnet)).find((x) =>
          x.prefix === r.to && (x.gateway ?? x.ifnet ?? "reject") === r.via
        )?.remove(),
      ),
  };
}

function inverse({ text, run, undo }: Step): Step {
  return { text: `-${text.slice(1)}`, run: undo, undo: run };
}

/** IPv6 in its one form (RFC 5952), as the kernel prints it. */
function canonical(text: string): string {
  const [address, length] = text.split("/");
  if (!address!.includes(":") || address!.includes("%")) return text;
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  return length === undefined ? host : `${host}/${length}`;
}
