/**
 * The vnets of a kernel, on CPU 0: made, listed, destroyed.
 *
 * @module
 */
import { store } from "../core/doors/arena.ts";
import { SoftcError } from "../core/error.ts";
import { VNET } from "../core/memory/arena.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import type { IfEntry, Interfaces } from "../core/net/interfaces.ts";
import { detachEntry } from "../core/net/lifecycle.ts";
import { stateOf } from "../core/net/state.ts";
import type { Vnet } from "../core/net/vnet.ts";
import { VarTable } from "./vars.ts";
import { vmove } from "./vmove.ts";
import { VnetObject } from "./vnet.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** The table. */
export class VnetTable {
  readonly vars: VarTable;
  readonly #ifs: Interfaces;
  readonly #wrap: (e: IfEntry) => Ifnet;
  readonly #end: (e: IfEntry) => Promise<void>;
  readonly #vnets = new Map<number, VnetObject>();
  /** Ids carry a generation, so that a stale one never names a later vnet. */
  readonly #freeSlots: number[] = [];
  #nextSlot = 1;
  readonly #generations: number[] = [];

  /** `end` detaches an interface with what was created together with it; `fault` is told what threw. */
  constructor(
    ifs: Interfaces,
    wrap: (e: IfEntry) => Ifnet,
    end: (e: IfEntry) => Promise<void>,
    fault: (what: string, cause: unknown) => void = (what, cause) =>
      ifs.events.emit("fault", what, { detail: String(cause) }),
  ) {
    this.#ifs = ifs;
    this.#wrap = wrap;
    this.#end = end;
    this.vars = new VarTable(() => this.#vnets.values(), fault);
    ifs.net.vnets = (id) => this.#vnets.get(id);
  }

  /** Vnets that are listed, oldest first. */
  all(): VnetObject[] {
    return [...this.#vnets.values()];
  }

  /** By name. */
  byName(name: string): VnetObject | undefined {
    return this.all().find((v) => v.name === name);
  }

  /** Makes a vnet; it is listed only after every constructor ran. */
  create(parent: VnetObject | undefined, name: string): VnetObject {
    if (typeof name !== "string" || !NAME.test(name)) {
      throw new SoftcError("SOFTC_VNET_ARGUMENT", `Cannot name a vnet "${String(name)}"`, {
        wanted: "1 to 63 letters, digits, dots, dashes or underscores",
      });
    }
    if (parent !== undefined && parent.state !== "live") {
      throw new SoftcError("SOFTC_VNET_STATE", `Cannot make vnet "${name}" in "${parent.name}"`, {
        state: parent.state,
        wanted: "live",
      });
    }
    if (this.byName(name) !== undefined) {
      throw new SoftcError("SOFTC_VNET_EXISTS", `Cannot make vnet "${name}"`, {
        state: "exists",
        wanted: "a free name",
      });
    }
    const { vnets } = this.#ifs.arena.plan.config;
    const slot = this.#freeSlots.pop() ?? this.#nextSlot++;
    if (slot >= vnets) {
      this.#nextSlot--;
      throw new SoftcError("SOFTC_VNET_FULL", `Cannot make vnet "${name}"`, { state: `${vnets - 1} vnets` });
    }
    const generation = this.#generations[slot] = (this.#generations[slot] ?? -1) + 1;
    const v = new VnetObject(generation * vnets + slot, name, parent, this.#ifs, this.#wrap);
    const { a } = this.#ifs.arena;
    const at = this.#ifs.arena.vnetAt(slot);
    a.fill(0, at, at + VNET.WORDS);
    store(a, at + VNET.state, 1);
    try {
      this.vars.construct(v);
    } catch (e) {
      this.#freeSlots.push(slot);
      throw e;
    }
    v.state = "live";
    this.#vnets.set(v.id, v);
    parent?.children.add(v);
    this.#ifs.events.emit("vnet", name);
    return v;
  }

  /** Destroys a vnet: borrowed interfaces go home first, its own are detached, destructors run in reverse. */
  async destroy(v: VnetObject): Promise<void> {
    if (v.parent === undefined || v.children.size > 0) {
      throw new SoftcError("SOFTC_VNET_ORDER", `Cannot destroy vnet "${v.name}"`, {
        state: v.parent === undefined
          ? "the first vnet"
          : `has ${[...v.children].map((c) => c.name).join(", ")}`,
        wanted: "a vnet without children",
      });
    }
    if (v.state !== "live") {
      throw new SoftcError("SOFTC_VNET_STATE", `Cannot destroy vnet "${v.name}"`, {
        state: v.state,
        wanted: "live",
      });
    }
    await this.#close(v);
  }

  /** Ends every vnet, children first: shutdown. Returns what is wedged. */
  async destroyAll(): Promise<unknown[]> {
    const wedged: unknown[] = [];
    const end = async (v: VnetObject): Promise<void> => {
      await Promise.all([...v.children].map(end));
      await this.#close(v).catch((e) => wedged.push(e));
    };
    await Promise.all(this.all().filter((v) => v.parent === undefined).map(end));
    return wedged;
  }

  async #close(v: VnetObject): Promise<void> {
    if (v.state !== "live") return;
    v.state = "closing";
    const { control } = this.#ifs;
    await control.until(`destroy vnet ${v.name}: moves under way`, [], () => v.holds === 0);
    const wedged: unknown[] = [];
    const note = (e: unknown): void => void wedged.push(e);
    const inside = this.#ifs.inVnet(v.id);
    // 1. Borrowed interfaces go home; one whose home goes too is detached.
    await Promise.all(inside.filter((e) => e.homeVnet !== v).map((e) => this.#sendHome(e).catch(note)));
    // 2. Its own, here or lent, detach together and share grace periods.
    const own = [...this.#ifs.all()].filter((e) =>
      e.homeVnet === v && e.detaching === undefined &&
      // One that moves between other vnets meanwhile is told, and goes forward into detach.
      ["attached", "moving"].includes(stateOf(this.#ifs.arena.a, this.#ifs.at(e)))
    );
    await Promise.all(own.map((e) => this.#end(e).catch(note)));
    // An interface that somebody else detaches is waited for too.
    await Promise.all(
      [...this.#ifs.all()].filter((e) => e.vnet === v && e.detaching !== undefined).map((e) =>
        e.detaching!.catch(note)
      ),
    );
    // 3. Destructors, in exact reverse.
    this.vars.destruct(v);
    v.state = "gone";
    this.#vnets.delete(v.id);
    v.parent?.children.delete(v);
    this.#ifs.dropVnet(v.id);
    store(
      this.#ifs.arena.a,
      this.#ifs.arena.vnetAt(v.id % this.#ifs.arena.plan.config.vnets) + VNET.state,
      0,
    );
    this.#freeSlots.push(v.id % this.#ifs.arena.plan.config.vnets);
    this.#ifs.events.emit("vnet gone", v.name);
    if (wedged.length > 0) throw wedged[0];
  }

  async #sendHome(e: IfEntry): Promise<void> {
    const home = e.homeVnet as VnetObject;
    if (home.state !== "live") return await detachEntry(this.#ifs, e);
    try {
      await vmove(this.#ifs, e, home, { fromClosing: true });
    } catch (cause) {
      // A move that the driver vetoes ends in detach: a vnet that goes cannot keep what it borrowed.
      if (e.detaching === undefined && this.#ifs.byName(e.vnet.id, e.name) === e) {
        await detachEntry(this.#ifs, e);
      } else if (e.detaching !== undefined) await e.detaching;
      else throw cause;
    }
  }
}

/** A vnet of this package. @throws {SoftcError} `SOFTC_VNET_ARGUMENT` */
export function ownVnet(v: Vnet): VnetObject {
  if (!(v instanceof VnetObject)) {
    throw new SoftcError("SOFTC_VNET_ARGUMENT", "Cannot use what was given as a vnet", {
      state: typeof v,
      wanted: "a vnet of this kernel",
    });
  }
  return v;
}
