/**
 * From what is to what is wanted: the steps, in order. Pure look-ups until a step is run.
 *
 * A lab declares the whole system: what it does not name goes. Order: what must make room goes first, then
 * modules, vnets, interfaces, moves and changes are made, then the rest goes, traffic starts last. Each step
 * can be undone; the undo of a destroy makes the thing anew, under a new handle.
 *
 * @module
 */
import { SoftcError } from "../../mod.ts";
import type { System, TrafficSpec } from "../system.ts";
import { inetSteps } from "./inet.ts";
import { moduleSteps } from "./modules.ts";
import type { Lab } from "./schema.ts";
import { type Unit, unitsIn, unitsOf } from "./units.ts";

/** One step of an apply. */
export interface Step {
  /** As `lab diff` prints it; begins with `+`, `-` or `~`. */
  readonly text: string;
  run(): Promise<unknown>;
  undo(): Promise<unknown>;
}

function halfPair(u: Unit): SoftcError {
  return new SoftcError("SOFTC_LAB_APPLY", `Cannot make ${u.name} again`, {
    state: "half of a pair",
    wanted: "whole",
  });
}

const spell = (u: Unit): string =>
  `${u.cloner} ${u.ends.map((e) => `${e.vnet}:${e.name}`).join(" = ")}${
    u.cpu === undefined ? "" : ` on CPU ${u.cpu}`
  }`;

/** Steps that make the system what the lab says; none when it is. @throws {SoftcError} `SOFTC_LAB_BAD` */
export function planLab(system: System, lab: Lab): Step[] {
  const { kernel } = system;
  if (lab.cpus !== undefined && lab.cpus !== kernel.cpus) {
    throw new SoftcError("SOFTC_LAB_BAD", "Cannot change the number of CPUs of a running system", {
      state: String(kernel.cpus),
      wanted: String(lab.cpus),
      fix: "start the lab anew: softc start LAB",
    });
  }
  const have = unitsIn(system);
  const want = unitsOf(lab);
  const modules = moduleSteps(system, lab, want);
  const same = (a: Unit, b: Unit): boolean =>
    !modules.taken.has(a.name) && a.vnet === b.vnet && a.cloner === b.cloner && a.name === b.name &&
    a.ends.length === b.ends.length &&
    (b.cpu === undefined || a.cpu === b.cpu) && canonical(a.options) === canonical(b.options);
  const kept = want.flatMap((w) => {
    const h = have.find((x) => same(x, w));
    return h === undefined ? [] : [{ h, w }];
  });
  const fresh = want.filter((w) => !kept.some((k) => k.w === w));
  const gone = have.filter((h) => !kept.some((k) => k.h === h));
  const taken = new Set(
    fresh.flatMap((w) => w.ends.flatMap((e) => [`${e.vnet}:${e.name}`, `${w.vnet}:${e.name}`])),
  );
  // A lent interface keeps a name at home that only the kernel knows: it may be in the way of all made there.
  const lentFrom = (u: Unit): boolean => u.ends.some((e) => e.vnet !== u.vnet);
  const clashes = (u: Unit): boolean =>
    modules.taken.has(u.name) || u.ends.some((e) =>
      taken.has(`${e.vnet}:${e.name}`) || taken.has(`${u.vnet}:${e.name}`)
    ) ||
    lentFrom(u) && fresh.some((w) => w.vnet === u.vnet || w.ends.some((e) => e.vnet === u.vnet));

  const vnets = vnetSteps(system, lab);
  const traffic = trafficSteps(
    system,
    lab,
    new Set([...fresh, ...gone].flatMap((u) => u.ends.map((e) => e.name))),
  );
  const inet = inetSteps(system, lab, [
    ...kept.flatMap(({ h, w }) => w.ends.map((to, i) => ({ from: h.ends[i]!, to }))),
    ...fresh.flatMap((u) => u.ends.map((to) => ({ to }))),
    ...gone.flatMap((u) => u.ends.map((from) => ({ from }))),
  ]);
  const destroy = (u: Unit): Step => ({
    text: `- ${spell(u)}`,
    run: () => system.destroy(`${u.ends[0]!.vnet}:${u.ends[0]!.name}`),
    undo: () => u.half === true ? Promise.reject(halfPair(u)) : build(system, u),
  });
  return [
    ...traffic.stop,
    ...inet.first,
    ...gone.filter(clashes).map(destroy),
    ...modules.swap,
    ...modules.load,
    ...vnets.create,
    ...fresh.map((u): Step => ({
      text: `+ ${spell(u)}`,
      run: () => build(system, u),
      undo: () => system.destroy(`${u.ends[0]!.vnet}:${u.ends[0]!.name}`),
    })),
    ...kept.flatMap(({ h, w }) => changes(system, h, w)),
    ...vnets.change,
    ...inet.then,
    ...gone.filter((u) => !clashes(u)).map(destroy),
    ...vnets.destroy,
    ...modules.unload,
    ...traffic.start,
  ];
}

/** Makes a unit as declared; when that fails midway, none of it stays. */
export async function build(system: System, u: Unit): Promise<void> {
  const made = await system.create(u);
  try {
    for (const [i, end] of u.ends.entries()) {
      if (made[i]!.name !== end.name) await made[i]!.set({ name: end.name });
      const there = end.vnet === u.vnet
        ? made[i]!
        : (await system.vmove(`${u.vnet}:${end.name}`, end.vnet)).ifnet;
      if (end.mtu !== undefined) await there.set({ mtu: end.mtu });
      if (end.up) await there.up();
    }
  } catch (e) {
    const first = system.kernel.ifnets.find((x) => x.index === made[0].index);
    if (first !== undefined) await system.destroy(first.toJSON().handle);
    throw e;
  }
}

/** Where each end is, and what it is set to. */
function changes(system: System, h: Unit, w: Unit): Step[] {
  return w.ends.flatMap((to, i): Step[] => {
    const from = h.ends[i]!;
    const id = `${to.vnet}:${to.name}`;
    const steps: Step[] = [];
    if (from.vnet !== to.vnet || from.name !== to.name) {
      const was = `${from.vnet}:${from.name}`;
      const go = (a: string, e: { vnet: string; name: string }, same: boolean): Promise<unknown> =>
        same ? system.set(a, { name: e.name }) : system.vmove(a, e.vnet, { name: e.name });
      steps.push({
        text: `~ ${was} -> ${id}`,
        run: () => go(was, to, from.vnet === to.vnet),
        undo: () => go(id, from, from.vnet === to.vnet),
      });
    }
    if (to.mtu !== undefined && from.mtu !== to.mtu) {
      steps.push({
        text: `~ ${id} mtu ${from.mtu} -> ${to.mtu}`,
        run: () => system.set(id, { mtu: to.mtu! }),
        undo: () => system.set(id, { mtu: from.mtu! }),
      });
    }
    if (from.up !== to.up) {
      const turn = (up: boolean): Promise<void> => up ? system.ifnet(id).up() : system.ifnet(id).down();
      steps.push({
        text: `~ ${id} ${to.up ? "down -> up" : "up -> down"}`,
        run: () => turn(to.up),
        undo: () => turn(from.up),
      });
    }
    return steps;
  });
}

function vnetSteps(system: System, lab: Lab): { create: Step[]; change: Step[]; destroy: Step[] } {
  const have = system.kernel.vnets.filter((v) => v.parent !== undefined);
  const byDepth = (names: string[], parent: (n: string) => string | undefined): string[] => {
    const depth = (n: string): number => {
      const p = parent(n);
      return p === undefined || p === "vnet0" ? 0 : 1 + depth(p);
    };
    return names.sort((a, b) => depth(a) - depth(b));
  };
  const parentNow = (n: string): string | undefined => have.find((v) => v.name === n)?.parent?.name;
  const make =
    (n: string, parent: string | undefined, discard: boolean, forwarding: boolean) =>
    async (): Promise<void> => {
      await system.createVnet(n, parent);
      try {
        if (discard) system.setDiscard(n, true);
        if (forwarding) system.setForwarding(n, true);
      } catch (e) {
        await system.destroyVnet(n);
        throw e;
      }
    };
  const create: Step[] = [];
  const change: Step[] = [];
  for (const n of byDepth(Object.keys(lab.vnets), (x) => lab.vnets[x]?.parent)) {
    const { parent = "vnet0", discard, forwarding = false } = lab.vnets[n]!;
    if (parentNow(n) === undefined) {
      create.push({
        text: `+ vnet ${n}`,
        run: make(n, parent, discard, forwarding),
        undo: () => system.destroyVnet(n),
      });
      continue;
    }
    if (parentNow(n) !== parent) {
      throw new SoftcError("SOFTC_LAB_BAD", `Cannot give the vnet "${n}" another parent`, {
        state: parentNow(n),
        wanted: parent,
        fix: "apply without the vnet first, then with it",
      });
    }
    if (system.forwarding.has(n) !== forwarding) {
      change.push({
        text: `~ vnet ${n} forwarding ${forwarding ? "off -> on" : "on -> off"}`,
        run: () => Promise.resolve(system.setForwarding(n, forwarding)),
        undo: () => Promise.resolve(system.setForwarding(n, !forwarding)),
      });
    }
    if (system.discards.has(n) !== discard) {
      change.push({
        text: `~ vnet ${n} discard ${discard ? "off -> on" : "on -> off"}`,
        run: () => Promise.resolve(system.setDiscard(n, discard)),
        undo: () => Promise.resolve(system.setDiscard(n, !discard)),
      });
    }
  }
  const gone = have.map((v) => v.name).filter((n) => !Object.hasOwn(lab.vnets, n));
  const destroy = byDepth(gone, parentNow).reverse().map((n): Step => {
    const remake = make(n, parentNow(n), system.discards.has(n), system.forwarding.has(n));
    return { text: `- vnet ${n}`, run: () => system.destroyVnet(n), undo: remake };
  });
  return { create, change, destroy };
}

function trafficSteps(
  system: System,
  lab: Lab,
  remade: ReadonlySet<string>,
): { stop: Step[]; start: Step[] } {
  const have = [...system.traffic.values()].map((t) => t.spec);
  const want: readonly TrafficSpec[] = lab.traffic;
  const stays = (a: TrafficSpec, b: TrafficSpec): boolean =>
    canonical(a) === canonical(b) && !remade.has(a.ifnet.split(":").at(-1)!);
  const there = (t: TrafficSpec): boolean =>
    system.kernel.ifnets.some((i) =>
      i.vnet.name === t.vnet && i.name === t.ifnet.split(":").at(-1) && i.state === "attached"
    );
  return {
    stop: have.filter((h) => !want.some((w) => stays(h, w))).map((t) => ({
      text: `- traffic ${t.name}`,
      run: () => system.stopTraffic(t.name),
      // A stream whose interface went away before cannot be started again, and sent nothing.
      undo: () => there(t) ? system.startTraffic(t) : Promise.resolve(),
    })),
    start: want.filter((w) => !have.some((h) => stays(h, w))).map((t) => ({
      text: `+ traffic ${t.name} from ${t.vnet}:${t.ifnet}`,
      run: () => system.startTraffic(t),
      undo: () => system.stopTraffic(t.name),
    })),
  };
}

/** JSON with keys in order: equal text means equal data. */
function canonical(x: unknown): string {
  return JSON.stringify(
    x,
    (_, v: unknown) =>
      typeof v === "object" && v !== null && !Array.isArray(v)
        ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => a < b ? -1 : 1))
        : v,
  ) ?? "undefined";
}
