/**
 * Cloners: interfaces made by name, one or several at once, and ended as one.
 *
 * @module
 */
import type { Control } from "../cpu/control.ts";
import { SoftcError } from "../error.ts";
import { checkIfName } from "../net/config.ts";
import type { IfHint } from "../net/ifnet.ts";
import type { IfEntry, IfSpec, Interfaces } from "../net/interfaces.ts";
import { attachEntries, detachEntry, wedgeEntry } from "../net/lifecycle.ts";
import { transition } from "../net/state.ts";
import type { Vnet } from "../net/vnet.ts";
import { checkNames, type Names } from "../options.ts";
import { Device, type Plugged } from "./device.ts";
import type { DeviceId, Driver } from "./driver.ts";
import type { LoadedModule, ModuleTable, ModuleUser } from "./modules.ts";

/** Options of a create. */
export interface CloneOptions {
  /** Name of the interface, or of the pair: letters are added. */
  readonly name?: string;
  /** Number of the home CPU, from 0; chosen evenly unless told. */
  readonly cpu?: number;
  /** The driver's options; `{}` unless told, for a driver that has a schema. */
  readonly options?: unknown;
  /** What its interfaces take over of those that went, in their order: see `replace` of `modules.load`. */
  readonly hints?: readonly IfHint[];
}

const NAMES: Names<CloneOptions> = { name: true, cpu: true, options: true, hints: true };

/** The interfaces of one create: ended as one. */
export class Clone implements ModuleUser {
  entries: IfEntry[] = [];
  place = -1;
  /** Set by the destroyer that won; a veto gives it back. */
  claimed = false;
  /** It ends: there is no veto any more. */
  ending = false;

  constructor(
    readonly name: string,
    /** The vnet that it was made in. */
    readonly vnet: Vnet,
    readonly module: LoadedModule,
    readonly end: (c: Clone) => Promise<void>,
  ) {}

  async canDetach(): Promise<true | string> {
    for (const e of this.entries) {
      if (e.detaching !== undefined) continue;
      const answer = await e.device.canDetach();
      if (answer !== true) return answer;
    }
    return true;
  }

  remove(): Promise<void> {
    this.claimed = true;
    return this.end(this);
  }
}

/** The create that an interface came from, until that has ended. */
export function cloneOf(e: IfEntry): Clone | undefined {
  return (e.device as Device).clone;
}

// On the device, not in a Map: what was a key of one outlives young collections in V8, and so all that hangs off it.
function setClone(e: IfEntry, clone: Clone | undefined): void {
  (e.device as Device).clone = clone;
}

/** The cloners of a kernel, on CPU 0. */
export class Cloners {
  readonly #ifs: Interfaces;
  readonly #control: Control;
  readonly #modules: ModuleTable;
  readonly #deadline: number;
  /** The lowest number of each prefix that may be free, by vnet: it goes with the vnet. */
  readonly #units = new WeakMap<Vnet, Map<string, number>>();
  #nextHome = 0;

  constructor(ifs: Interfaces, modules: ModuleTable, deadline: number) {
    this.#ifs = ifs;
    this.#control = ifs.control;
    this.#modules = modules;
    this.#deadline = deadline;
  }

  /** Makes the interfaces of one create; all of them or none. */
  async create(
    vnet: Vnet,
    cloner: string,
    o: CloneOptions,
    id?: DeviceId,
  ): Promise<IfEntry[]> {
    checkNames(`create "${cloner}"`, o, NAMES);
    const { module, driver } = this.#modules.cloner(cloner);
    return await this.createWith(vnet, module, driver as Driver<never>, o, id);
  }

  /** The same for a driver that is known: what a bus attaches. */
  async createWith(
    vnet: Vnet,
    module: LoadedModule,
    driver: Driver<never>,
    o: CloneOptions,
    id?: DeviceId,
    plugged?: Plugged,
  ): Promise<IfEntry[]> {
    if (o.name !== undefined) checkIfName(o.name);
    const home = this.#home(driver, o.cpu);
    this.#admit(vnet, module, driver.name);
    module.creating++;
    try {
      const options = await this.#validate(driver, o.options);
      this.#admit(vnet, module, driver.name);
      return await this.#make(
        vnet,
        module,
        driver,
        o,
        home,
        options,
        id ?? { bus: "cloner", address: driver.cloner ?? driver.name },
        plugged,
      );
    } finally {
      module.creating--;
      this.#control.cpu.ring(0);
    }
  }

  /** Ends all interfaces of one create. The claim decides: its loser gets ENXIO (behaviour 21). */
  async destroy(e: IfEntry): Promise<void> {
    const clone = cloneOf(e);
    if (clone === undefined || clone.claimed) {
      throw new SoftcError("SOFTC_IF_GONE", `Cannot destroy ${e.name}`, {
        state: clone === undefined ? "gone" : "being destroyed",
        wanted: "attached",
      });
    }
    clone.claimed = true;
    const veto = await clone.canDetach().catch((x: Error) => x.message);
    if (veto !== true) {
      // Somebody who does not ask may have come meanwhile.
      clone.claimed = clone.ending;
      throw new SoftcError("SOFTC_DEV_BUSY", `Cannot destroy ${clone.name}: ${veto}`, {
        state: "vetoed",
        wanted: "idle",
      });
    }
    await this.#end(clone);
  }

  /** Detaches one interface; when it was the last of its create, there is nothing left to destroy. */
  detach(e: IfEntry): Promise<void> {
    const clone = cloneOf(e);
    const first = e.detaching === undefined;
    const done = detachEntry(this.#ifs, e);
    if (first && clone !== undefined) {
      const over = (): void => {
        if (clone.claimed || !clone.entries.every((x) => this.#ifs.gone(x))) return;
        clone.claimed = true;
        this.#forget(clone);
      };
      done.then(over, () => {});
    }
    return done;
  }

  /** Ends it without asking: shutdown, vnet destruction, unplug. */
  async end(e: IfEntry): Promise<void> {
    const clone = cloneOf(e);
    if (clone === undefined) return await detachEntry(this.#ifs, e);
    clone.claimed = true;
    await this.#end(clone);
  }

  async #end(clone: Clone): Promise<void> {
    clone.ending = true;
    const results = await Promise.allSettled(clone.entries.map((e) => detachEntry(this.#ifs, e)));
    for (const r of results) if (r.status === "rejected") throw r.reason;
    this.#forget(clone);
  }

  #forget(clone: Clone): void {
    for (const e of clone.entries) setClone(e, undefined);
    clone.module.users.delete(clone);
    this.#freeUnit(clone.vnet, clone.name);
  }

  /** Its number is free again: the next create takes the lowest. */
  #freeUnit(vnet: Vnet, name: string): void {
    const unit = /^(.*?)(\d+)$/.exec(name);
    if (unit === null) return;
    const units = this.#unitsOf(vnet);
    units.set(unit[1]!, Math.min(units.get(unit[1]!) ?? 0, Number(unit[2])));
  }

  #unitsOf(vnet: Vnet): Map<string, number> {
    let units = this.#units.get(vnet);
    if (units === undefined) this.#units.set(vnet, units = new Map());
    return units;
  }

  async #make(
    vnet: Vnet,
    module: LoadedModule,
    driver: Driver<never>,
    o: CloneOptions,
    home: number,
    options: unknown,
    id: DeviceId,
    plugged?: Plugged,
  ): Promise<IfEntry[]> {
    const n = driver.instances ?? 1;
    const names = this.#names(vnet, driver, o, n);
    const clone = new Clone(n === 1 ? names[0]! : names[0]!.slice(0, -1), vnet, module, (c) => this.#end(c));
    // One piece of code: slots, names and the module's user are claimed together.
    const devices: Device[] = [];
    const entries: IfEntry[] = [];
    try {
      for (const [i, name] of names.entries()) {
        const device = new Device(
          { module, driver, home, options, id: n === 1 ? id : { ...id, instance: devices.length }, plugged },
          this.#control,
          this.#deadline,
        );
        const e = this.#ifs.allocate(vnet, name, device, o.hints?.[i]);
        Object.assign(device, { index: e.index, born: e.born, name });
        devices.push(device);
        entries.push(e);
        transition(this.#ifs.arena.a, this.#ifs.at(e), "attach", name);
      }
    } catch (e) {
      for (const x of entries) this.#ifs.abandon(x);
      for (const name of names) this.#ifs.unreserve(vnet, name);
      this.#freeUnit(vnet, clone.name);
      throw e;
    }
    clone.entries = entries;
    plugged?.made(devices, entries);
    for (const d of devices) {
      d.peers = entries.filter((e) => e.index !== d.index).map(({ index, born }) => ({ index, born }));
    }
    const attached: IfSpec[] = [];
    try {
      for (const d of devices) attached.push(await d.attach());
    } catch (cause) {
      await this.#unwind(clone, devices, cause);
      throw cause;
    }
    try {
      await attachEntries(this.#ifs, entries, attached, () => {
        this.#admit(vnet, module, clone.name);
        plugged?.admit();
        module.users.add(clone);
        for (const e of entries) setClone(e, clone);
      });
    } catch (cause) {
      await this.#unwind(clone, devices, cause);
      throw cause;
    }
    return entries;
  }

  /** Undoes attaches that were not published. A hook that stalled leaves its slot wedged: its memory may still be in use. */
  async #unwind(clone: Clone, devices: readonly Device[], cause: unknown): Promise<void> {
    for (const d of devices) await d.unwind();
    const wedged: IfEntry[] = [];
    clone.entries.forEach((e, i) => {
      if (devices[i]!.stalled) {
        wedgeEntry(this.#ifs, e, cause);
        wedged.push(e);
      } else this.#ifs.abandon(e);
    });
    this.#forget(clone);
    if (wedged.length === 0) return;
    // Its memory may still be in use: its module cannot go.
    clone.entries = wedged;
    for (const e of wedged) setClone(e, clone);
    clone.module.users.add(clone);
  }

  #admit(vnet: Vnet, module: LoadedModule, name: string): void {
    if (vnet.state !== "live") {
      throw new SoftcError("SOFTC_VNET_STATE", `Cannot create ${name} in vnet "${vnet.name}"`, {
        state: vnet.state,
        wanted: "live",
      });
    }
    if (module.state !== "loaded") {
      throw new SoftcError("SOFTC_MODULE_STATE", `Cannot create ${name}: module "${module.name}" is going`, {
        state: module.state,
        wanted: "loaded",
      });
    }
  }

  /** Reserves the names of one create. */
  #names(vnet: Vnet, driver: Driver<never>, o: CloneOptions, n: number): string[] {
    const letters = (base: string): string[] =>
      n === 1 ? [base] : Array.from({ length: n }, (_, i) => base + String.fromCharCode(97 + i));
    const reserve = (names: string[]): string[] => {
      names.forEach((name, i) => {
        try {
          this.#ifs.reserve(vnet, name, driver.name);
        } catch (e) {
          for (const before of names.slice(0, i)) this.#ifs.unreserve(vnet, before);
          throw e;
        }
      });
      return names;
    };
    if (o.name !== undefined) {
      const names = letters(o.name);
      for (const name of names) checkIfName(name);
      return reserve(names);
    }
    const wished = o.hints?.map((hint) => hint.name) ?? [];
    if (wished.length === n && wished.every((name) => this.#ifs.nameFree(vnet, name))) return reserve(wished);
    const prefix = driver.cloner ?? driver.name;
    const units = this.#unitsOf(vnet);
    for (let unit = units.get(prefix) ?? 0;; unit++) {
      const names = letters(`${prefix}${unit}`);
      if (!names.every((name) => this.#ifs.nameFree(vnet, name))) continue;
      units.set(prefix, unit + 1);
      return reserve(names);
    }
  }

  /** Chosen evenly: a driver with one home is spread over the CPUs, one with a part on every CPU is led from CPU 0. */
  #home(driver: Driver<never>, wanted: number | undefined): number {
    const { cpus } = this.#control;
    if (wanted !== undefined) {
      if (!(Number.isInteger(wanted) && wanted >= 0 && wanted < cpus)) {
        throw new SoftcError("SOFTC_DEV_CPU", `Cannot place ${driver.name} on CPU ${wanted}`, {
          state: `${cpus} CPUs`,
          wanted: `0 to ${cpus - 1}`,
        });
      }
      return wanted;
    }
    if (driver.queues === "per-cpu") return 0;
    this.#nextHome = (this.#nextHome + 1) % cpus;
    return this.#nextHome;
  }

  async #validate(driver: Driver<never>, value: unknown): Promise<unknown> {
    if (driver.options === undefined) return value;
    const result = await driver.options["~standard"].validate(value ?? {});
    if (result.issues === undefined) return result.value;
    throw new SoftcError(
      "SOFTC_DRIVER_OPTIONS",
      `Cannot create ${driver.name}: ${result.issues.map(issueText).join("; ")}`,
    );
  }
}

/** An issue of a schema: with the option that it is about, when its message does not say. */
function issueText(
  { message, path = [] }: { message: string; path?: readonly unknown[] | undefined },
): string {
  const at = path.map((s) => String(typeof s === "object" && s !== null && "key" in s ? s.key : s)).join(".");
  return message.includes(at) ? message : `${at}: ${message}`;
}
