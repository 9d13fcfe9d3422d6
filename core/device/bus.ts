/**
 * The device tree: what is plugged in, which driver has it, and what happens when it is pulled out.
 *
 * 1. A device's place (bus and address) is claimed in one piece of code; a second plug there is refused.
 * 2. Attach is a create of the cloners, so it unwinds as one; a device that goes meanwhile is refused right
 *    before publication, so nothing of it is ever found by anybody.
 * 3. `detach` asks the driver and may be refused. `unplug` asks nobody: in one piece of code it marks the
 *    device gone, lets the bus fail its transfers and aborts `dev.signal`; then what is attached is detached,
 *    what attaches unwinds, what moves goes forward into detach (the state table does both).
 * 4. A device with a serial number keeps its identity: plugged in again, anywhere on its bus, it gets back its
 *    name, vnet, MTU and flags, after what is left of the last time has gone.
 * 5. What hangs off an interface has its window alone: a second device there is refused, and the next one's driver
 *    attaches when nothing is left of the one before. Two drivers would take each other's answers, and a `stop`
 *    whose reset another's overtook would wait for ever.
 *
 * @module
 */
import { get } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import { ifSet, ifUp } from "../net/config.ts";
import type { KernelEvent } from "../net/event.ts";
import { IFF } from "../net/flags.ts";
import type { IfEntry, Interfaces } from "../net/interfaces.ts";
import { stateOf } from "../net/state.ts";
import type { Vnet } from "../net/vnet.ts";
import type { Cloners } from "./cloner.ts";
import { type Child, type Device, MTU } from "./device.ts";
import type { DeviceId } from "./driver.ts";
import type { ModuleTable } from "./modules.ts";
import { probeAll, type Verdict } from "./probe.ts";

/** State of a plugged device. */
export type DeviceState = "unclaimed" | "attaching" | "attached" | "detaching" | "gone";

/** How a device is plugged in. */
export interface NodeOptions {
  /** Vnet of its interface, when its identity does not remember another. */
  readonly vnet: Vnet;
  /** The device that it hangs off: it goes when that goes. */
  readonly parent?: Device | undefined;
  /** The live object behind it: its driver then runs on CPU 0. `unplugged()` of it is called first of all. */
  readonly resource?: { unplugged?(): void } | undefined;
  /** Options for the driver. */
  readonly options?: unknown;
  /** Home CPU of the driver. */
  readonly cpu?: number | undefined;
}

/** What comes back when a device with a serial number is plugged in again. */
interface Identity {
  name: string;
  homeName: string;
  vnet: Vnet;
  home: Vnet;
  mtu: number;
  up: boolean;
  promisc: boolean;
}

/** A device in the tree. */
export class DeviceNode implements Child {
  entries: readonly IfEntry[] = [];
  devices: readonly Device[] = [];
  verdicts: readonly Verdict[] = [];
  /** Why the last attach failed, or what of its identity could not be restored. */
  trouble: string | undefined;
  gone = false;
  attaching: Promise<void> | undefined;
  restoring = false;
  unplugging: Promise<void> | undefined;

  constructor(
    readonly id: DeviceId,
    readonly options: NodeOptions,
    readonly ifs: Interfaces,
    readonly tree: DeviceTree,
  ) {}

  /** The device that it hangs off goes. */
  unplug(): Promise<void> {
    return this.tree.unplug(this);
  }

  /** "virtio:vhost0". */
  get name(): string {
    return `${this.id.bus}:${this.id.address}`;
  }

  get driver(): string | undefined {
    return this.live.length > 0 || this.attaching !== undefined ? this.devices[0]?.driver : undefined;
  }

  /** Its interfaces that still have their slot. */
  get live(): readonly IfEntry[] {
    return this.entries.filter((e) => this.ifs.entries[e.index] === e);
  }

  get state(): DeviceState {
    if (this.gone) return "gone";
    if (this.attaching !== undefined) return "attaching";
    const { live } = this;
    if (live.length === 0) return "unclaimed";
    return live.some((e) => e.detaching !== undefined) ? "detaching" : "attached";
  }
}

/** What the device tree needs of the floors above. */
export interface BusHost {
  readonly ifs: Interfaces;
  readonly cloners: Cloners;
  readonly modules: ModuleTable;
  /** Moves an interface into the vnet that its identity remembers. */
  move(e: IfEntry, to: Vnet, name: string): Promise<unknown>;
  /** Told of what threw. */
  fault(what: string, cause: unknown): void;
}

/** The device tree of a kernel, on CPU 0. */
export class DeviceTree {
  readonly #host: BusHost;
  readonly #nodes = new Map<string, DeviceNode>();
  readonly #identities = new Map<string, Identity>();
  /** What is left of a device that was pulled out: its identity is free when this has settled. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #owner = new WeakMap<IfEntry, DeviceNode>();

  constructor(host: BusHost) {
    this.#host = host;
    host.ifs.events.listen((e) => this.#remember(e));
  }

  /** What is plugged in, in the order in which it was. */
  all(): DeviceNode[] {
    return [...this.#nodes.values()];
  }

  /** Plugs a device in; resolves when its driver has attached, or nobody wants it. @throws {SoftcError} `SOFTC_DEV_EXISTS` */
  async plug(id: DeviceId, options: NodeOptions): Promise<DeviceNode> {
    // A frozen copy: neither who plugs it in nor a probe changes what the others see.
    const node = new DeviceNode(Object.freeze({ ...id }), options, this.#host.ifs, this);
    const siblings = options.parent?.children;
    const there = this.#nodes.get(node.name) ?? this.all().find((n) => siblings?.has(n));
    if (there !== undefined) {
      throw new SoftcError("SOFTC_DEV_EXISTS", `Cannot plug in ${node.name}`, {
        state: `${there.name} is ${there.state} there`,
        wanted: "an empty place",
      });
    }
    this.#nodes.set(node.name, node);
    siblings?.add(node);
    this.#host.ifs.events.emit("device", node.name, { detail: "plugged in" });
    await this.attach(node);
    return node;
  }

  /** Looks for a driver and attaches it. One at a time for a device; does nothing when one is attached. */
  attach(node: DeviceNode): Promise<void> {
    if (node.state !== "unclaimed") return node.attaching ?? Promise.resolve();
    const done = this.#attach(node).catch((e: Error) => void (node.trouble = e.message)).then(() => {
      node.attaching = undefined;
    });
    return node.attaching = done;
  }

  /** Looks again for drivers of what nobody has: after a module was loaded. */
  async rescan(): Promise<void> {
    await Promise.all(this.all().filter((n) => n.state === "unclaimed").map((n) => this.attach(n)));
  }

  /** Takes the driver off a device that stays plugged in. @throws {SoftcError} `SOFTC_DEV_BUSY` when the driver refuses */
  async detach(node: DeviceNode): Promise<void> {
    await node.attaching;
    const [e] = node.live;
    if (e !== undefined) await this.#host.cloners.destroy(e);
  }

  /** The device was pulled out. Nobody is asked; idempotent; resolves when nothing of it is left. */
  unplug(node: DeviceNode): Promise<void> {
    if (node.unplugging !== undefined) return node.unplugging;
    // Its own `unplugged` may ask again.
    if (node.gone) return Promise.resolve().then(() => node.unplugging);
    node.gone = true;
    this.#nodes.delete(node.name);
    try {
      node.options.resource?.unplugged?.();
    } catch (cause) {
      // Nobody can refuse, by throwing either.
      this.#host.fault(`unplugged() of ${node.name}`, cause);
    }
    for (const d of node.devices) d.unplugged();
    this.#host.ifs.events.emit("device gone", node.name);
    const key = identityKey(node.id);
    // What is wedged stays its parent's child: it may still touch the window that they share.
    const out = this.#takeOut(node).then(() => void node.options.parent?.children.delete(node));
    const done = out.finally(() => {
      if (key !== undefined && this.#leaving.get(key) === done) this.#leaving.delete(key);
    });
    if (key !== undefined) this.#leaving.set(key, done);
    // A waiter may come later or never.
    done.catch(() => {});
    return node.unplugging = done;
  }

  /** Why a driver has it, or why none does, in words. */
  explain(node: DeviceNode): string[] {
    const verdicts = node.state === "unclaimed"
      ? probeAll(node.id, this.#host.modules.all()).verdicts
      : node.verdicts;
    const lines = verdicts.map((v) => `${v.driver}: ${v.why}`);
    if (verdicts.length === 0) lines.push("no driver is loaded");
    if (node.driver !== undefined) {
      lines.push(`${node.driver} has it, as ${node.live.map((e) => e.name).join(", ")}`);
    }
    if (node.trouble !== undefined) lines.push(`last trouble: ${node.trouble}`);
    return lines;
  }

  /** Pulls everything out: shutdown. */
  async close(): Promise<void> {
    await Promise.allSettled(this.all().map((n) => this.unplug(n)));
  }

  async #attach(node: DeviceNode): Promise<void> {
    const key = identityKey(node.id);
    const leaving = key === undefined ? undefined : this.#leaving.get(key);
    if (leaving !== undefined) await leaving.catch(() => {});
    if (node.gone) return;
    // While this one is plugged in, all others are gone. What is wedged never gives the window back: its error is
    // why this one has no driver.
    for (const c of [...node.options.parent?.children ?? []]) if (c !== node) await c.unplug();
    if (node.gone) return;
    node.trouble = undefined;
    const { winner, verdicts } = probeAll(node.id, this.#host.modules.all());
    node.verdicts = verdicts;
    if (winner === undefined) return;
    const known = key === undefined ? undefined : this.#identities.get(key);
    // A copy: what is attached now overwrites the record.
    const identity = known === undefined ? undefined : { ...known };
    const home = identity?.home.state === "live" ? identity.home : node.options.vnet;
    const { cpu, options, resource, parent } = node.options;
    const name = identity?.homeName;
    const admit = (): void => {
      if (node.gone) throw new SoftcError("SOFTC_DEV_GONE", `${node.name} was pulled out`);
    };
    node.restoring = true;
    try {
      const entries = await this.#host.cloners.createWith(
        home,
        winner.module,
        winner.driver,
        {
          ...(name !== undefined && this.#host.ifs.nameFree(home, name) ? { name } : {}),
          ...(resource !== undefined ? { cpu: 0 } : cpu === undefined ? {} : { cpu }),
          options,
        },
        node.id,
        {
          resource,
          parent,
          made: (devices, made) => {
            node.devices = devices;
            node.entries = made;
            for (const e of made) this.#owner.set(e, node);
            if (node.gone) { for (const d of devices) d.unplugged(); }
          },
          admit,
        },
      );
      this.#host.ifs.events.emit("device", node.name, {
        detail: `${winner.driver.name} has it, as ${entries[0]!.name}`,
      });
      if (identity !== undefined && !node.gone) await this.#restore(node, entries[0]!, identity);
    } finally {
      node.restoring = false;
      if (!node.gone && node.live.length > 0) this.#record(node, node.live[0]!);
    }
  }

  /** Gives a device back what it had. What fails is noted; the rest goes on. */
  async #restore(node: DeviceNode, e: IfEntry, was: Identity): Promise<void> {
    const steps: [string, () => unknown][] = [];
    const { ifs } = this.#host;
    if (was.vnet !== e.vnet && was.vnet.state === "live") {
      steps.push(["vnet", () => this.#host.move(e, was.vnet, was.name)]);
    }
    steps.push(["mtu", () => ifSet(ifs, e, ifs.handle(e), { mtu: was.mtu }, MTU)]);
    if (was.promisc) steps.push(["promisc", () => ifSet(ifs, e, ifs.handle(e), { promisc: true }, MTU)]);
    if (was.up) steps.push(["up", () => ifUp(ifs, e, ifs.handle(e))]);
    for (const [what, step] of steps) {
      if (node.gone) return;
      try {
        await step();
      } catch (x) {
        node.trouble = `cannot restore ${what} of ${e.name}: ${(x as Error).message}`;
      }
    }
  }

  async #takeOut(node: DeviceNode): Promise<void> {
    const { arena } = this.#host.ifs;
    const end = (entries: readonly IfEntry[]): Promise<void>[] =>
      entries.map((e) => this.#host.cloners.end(e));
    // What is published goes at once, whatever else of the attach is under way.
    const now = end(
      node.live.filter((e) => ["attached", "moving"].includes(stateOf(arena.a, this.#host.ifs.at(e)))),
    );
    for (const p of now) p.catch(() => {});
    await node.attaching;
    await Promise.all([...now, ...end(node.live.filter((e) => e.detaching === undefined))]);
    await Promise.all(node.entries.map((e) => e.detaching));
  }

  /** Keeps what a device's interface is like while it is attached: in no other state is it what the user wants. */
  #remember(event: KernelEvent): void {
    if (event.handle === undefined || !["arrival", "up", "down", "rename", "change"].includes(event.type)) {
      return;
    }
    const e = this.#host.ifs.find(event.handle);
    const node = e === undefined ? undefined : this.#owner.get(e);
    if (node === undefined || node.gone || node.restoring) return;
    this.#record(node, e!, event.type === "down" ? false : undefined);
  }

  #record(node: DeviceNode, e: IfEntry, up?: boolean): void {
    const key = identityKey(node.id);
    const { ifs } = this.#host;
    const at = ifs.at(e);
    if (key === undefined || stateOf(ifs.arena.a, at) !== "attached") return;
    const flags = get(ifs.arena.a, at + IFNET.flags);
    this.#identities.set(key, {
      name: e.name,
      homeName: e.homeName ?? e.name,
      vnet: e.vnet,
      home: e.homeVnet,
      mtu: get(ifs.arena.a, at + IFNET.mtu),
      up: up ?? (flags & IFF.UP) !== 0,
      promisc: (flags & IFF.PROMISC) !== 0,
    });
  }
}

/** The identity of a device that tells its serial number. */
function identityKey(id: DeviceId): string | undefined {
  return id.serial === undefined
    ? undefined
    : `${id.bus} ${id.vendor ?? ""} ${id.product ?? ""} ${id.serial}`;
}
