/**
 * A driver instance as CPU 0 sees it: every step is mail to the CPUs that run it.
 *
 * @module
 */
import type { Control } from "../cpu/control.ts";
import { MAIL } from "../cpu/mailbox.ts";
import { SoftcError } from "../error.ts";
import { CLUSTER, HEADROOM } from "../memory/arena.ts";
import { DISPATCH, ETHER_HEADER, IFCAP } from "../net/flags.ts";
import type { IfDevice } from "../net/ifdevice.ts";
import type { IfChange } from "../net/ifnet.ts";
import type { IfEntry, IfSpec } from "../net/interfaces.ts";
import type { Vnet } from "../net/vnet.ts";
import { checkNames, type Names } from "../options.ts";
import type { Clone } from "./cloner.ts";
import type { DeviceId, Driver, IfDeclaration } from "./driver.ts";
import type { InstanceFacts } from "./instance.ts";
import { VETO } from "./instances.ts";
import type { LoadedModule } from "./modules.ts";

/** Smallest and largest MTU, bytes of payload: IPv4's minimum, and what one cluster holds. */
export const MTU = { min: 72, max: CLUSTER - HEADROOM - ETHER_HEADER - 12, default: 1500 } as const;

const DECLARED: Names<IfDeclaration> = {
  type: true,
  mac: true,
  mtu: true,
  name: true,
  groups: true,
  queues: true,
  capabilities: true,
  dispatch: true,
};

/** What a device is made from. */
export interface DeviceSpec {
  readonly module: LoadedModule;
  readonly driver: Driver<never>;
  /** Home CPU. */
  readonly home: number;
  readonly options: unknown;
  readonly id: DeviceId;
  /** Set for a device of a bus. */
  readonly plugged?: Plugged | undefined;
}

/** What a bus attaches an instance with. */
export interface Plugged {
  /** The live object behind the device; its driver then runs on CPU 0. */
  readonly resource?: object | undefined;
  /** The device whose shared softc is the window to the other side. */
  readonly parent?: Device | undefined;
  /** Told of the instances, before their attach. */
  made(devices: readonly Device[], entries: readonly IfEntry[]): void;
  /** Throws when the device is gone: right before publication. */
  admit(): void;
}

/** What hangs off a device: it reaches it through its shared softc. */
export interface Child {
  /** Pulls it out; idempotent. Rejects when something of it is left for good. */
  unplug(): Promise<void>;
}

/** An instance, on CPU 0. */
export class Device implements IfDevice {
  /** The driver's own counters, as each CPU reported them last. */
  readonly #counted: (Readonly<Record<string, number>> | undefined)[] = [];
  /** CPUs that are asked for them and have not answered: never asked twice at a time. */
  readonly #counting: (Promise<void> | undefined)[] = [];
  /** Slots of the same cloner call, set before attach. */
  peers: { index: number; born: number }[] = [];
  /** The create that it came from. */
  clone: Clone | undefined;
  index = 0;
  born = 0;
  name = "";
  /** Word offset of the shared struct. */
  #shared = 0;
  /** What every part of it is told, as mail carries it. */
  #text = "";
  #attached = false;
  /** A hook missed its deadline on the way in: the memory may still be in use. */
  stalled = false;
  /** The device that hangs off this one, and what is left of those before it: pulled out when it goes, and waited for. */
  readonly children = new Set<Child>();
  readonly #control: Control;
  readonly #deadline: number;

  constructor(readonly spec: DeviceSpec, control: Control, deadline: number) {
    this.#control = control;
    this.#deadline = deadline;
  }

  /** Word offset of the shared softc; 0 = none. */
  get sharedAt(): number {
    return this.#shared;
  }

  get driver(): string {
    return this.spec.driver.name;
  }

  /** CPUs that run it. */
  get cpus(): readonly number[] {
    return this.spec.driver.queues === "per-cpu" ? this.#control.everyCpu : [this.spec.home];
  }

  /** Runs `attach` on the home CPU; answers what the interface will be. */
  async attach(): Promise<IfSpec> {
    const { driver } = this.spec;
    if (driver.shared !== undefined) {
      this.#shared = this.#control.heap.alloc(driver.shared.words, `shared softc of ${this.name}`);
    }
    const resource = this.spec.plugged?.resource;
    if (resource !== undefined) this.#control.cpu.resources.set(this.index, resource);
    this.#text = this.#facts();
    try {
      const declared = await this.#ask(this.spec.home, MAIL.attach, "attach", this.#text) as IfDeclaration;
      this.#attached = true;
      return this.#interface(declared);
    } catch (e) {
      this.#control.cpu.resources.delete(this.index);
      this.stalled = isStall(e);
      if (!this.#attached && !this.stalled) this.#freeShared();
      throw e;
    }
  }

  async open(): Promise<void> {
    const results = await Promise.allSettled(
      this.cpus.map((k) => this.#ask(k, MAIL.open, "open", this.#text)),
    );
    const failed = results.filter((r) => r.status === "rejected").map((r) => r.reason as unknown);
    this.stalled = failed.some(isStall);
    if (failed.length > 0) throw failed.find(isStall) ?? failed[0];
  }

  async quiet(): Promise<void> {
    await Promise.all(this.cpus.map((k) => this.#ask(k, MAIL.closeTransmit, "quiet")));
  }

  async stop(): Promise<void> {
    for (const c of this.children) void c.unplug().catch(() => {});
    await this.#ask(this.spec.home, MAIL.stopInstance, "stop");
  }

  async close(): Promise<void> {
    // The home CPU is one of them.
    const { cpus } = this;
    const counts = await Promise.all(cpus.map((k) => this.#ask(k, MAIL.close, "close")));
    counts.forEach((c, i) => {
      if (typeof c === "object") this.counted(cpus[i]!, c as Record<string, number>);
    });
  }

  async destroy(): Promise<void> {
    // Quarantine: what a child that never answered may still touch is kept.
    const ended = await Promise.allSettled([...this.children].map((c) => c.unplug()));
    await this.#ask(this.spec.home, MAIL.destroy, "destroy");
    this.#control.cpu.resources.delete(this.index);
    if (ended.every((r) => r.status === "fulfilled")) this.#freeShared();
  }

  /** Ends an instance whose interface was not published: what attach and open did is undone, destroy is called. */
  async unwind(): Promise<void> {
    if (!this.#attached || this.stalled) return;
    try {
      await this.quiet();
      await this.stop();
      await this.close();
      await this.destroy();
    } catch {
      // Only a deadline gets here: what a hook throws is reported and passed over.
      this.stalled = true;
    }
  }

  async canMove(to: Vnet): Promise<true | string> {
    if (this.spec.driver.canMove === undefined) return true;
    return await this.#ask(
      this.spec.home,
      MAIL.ask,
      "canMove",
      JSON.stringify({ id: to.id, name: to.name }),
      VETO.move,
    ) as true | string;
  }

  async canDetach(): Promise<true | string> {
    if (this.spec.driver.canDetach === undefined) return true;
    return await this.#ask(this.spec.home, MAIL.ask, "canDetach", "", VETO.detach) as true | string;
  }

  async reassign(to: Vnet): Promise<void> {
    if (this.spec.driver.reassign === undefined) return;
    await this.#ask(this.spec.home, MAIL.reassign, "reassign", JSON.stringify({ id: to.id, name: to.name }));
  }

  async set(change: IfChange): Promise<void> {
    if (this.spec.driver.set === undefined) return;
    await this.#ask(this.spec.home, MAIL.set, "set", JSON.stringify(change));
  }

  async flush(): Promise<number> {
    if (this.spec.driver.queues === "per-cpu") return 0;
    return await this.#ask(this.spec.home, MAIL.flush, "flush") as number;
  }

  async purge(): Promise<number> {
    if (this.spec.driver.queues === "per-cpu") return 0;
    return await this.#ask(this.spec.home, MAIL.purge, "purge") as number;
  }

  /** Tells every part that the device is gone: signals abort. */
  unplugged(): void {
    for (const k of this.cpus) {
      this.#control.post(k, MAIL.unplug, this.index, 0, 0, this.born);
    }
  }

  async refreshCounters(ms = this.#deadline): Promise<number[]> {
    const late: number[] = [];
    await Promise.all(
      this.cpus.map((k) =>
        this.#control.within(this.#count(k), ms, `counters of ${this.name}`, k).catch(() => late.push(k))
      ),
    );
    return late.sort((x, y) => x - y);
  }

  #count(k: number): Promise<void> {
    const asked = this.#counting[k];
    if (asked !== undefined) return asked;
    const answer = this.#control.ask(k, MAIL.inspect, {
      a: this.index,
      d: this.born,
      label: `counters of ${this.name}`,
    }).then((counts) => {
      // None, or 0 by mail, from a CPU where it has ended: what it counted came with its close.
      if (typeof counts === "object") this.counted(k, counts as Record<string, number>);
    }).finally(() => void (this.#counting[k] = undefined));
    this.#counting[k] = answer;
    return answer;
  }

  /** Takes what one CPU counted so far. */
  counted(k: number, values: Readonly<Record<string, number>>): void {
    this.#counted[k] = values;
  }

  /** The driver's own counters, added up over CPUs. */
  get counters(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const part of this.#counted.filter((c) => c !== undefined)) {
      for (const [name, n] of Object.entries(part)) sum[name] = (sum[name] ?? 0) + n;
    }
    return sum;
  }

  #ask(k: number, kind: number, hook: string, text = "", b?: number): Promise<unknown> {
    const { module, driver } = this.spec;
    return this.#control.ask(k, kind, {
      a: this.index,
      b: b ?? module.id,
      c: module.def.drivers.indexOf(driver),
      d: this.born,
      text,
      label: `hook "${hook}" of ${this.name}`,
      deadline: this.#deadline,
    });
  }

  #facts(): string {
    const { options, id } = this.spec;
    const facts: InstanceFacts = {
      index: this.index,
      born: this.born,
      name: this.name,
      options,
      id,
      peers: this.peers,
      shared: this.#shared,
      window: this.spec.plugged?.parent?.sharedAt ?? this.#shared,
    };
    return JSON.stringify(facts);
  }

  /** What the driver declared, checked and completed. */
  #interface(d: IfDeclaration): IfSpec {
    const { driver, home } = this.spec;
    checkNames(`declare the interface of ${this.name}`, d, DECLARED);
    const mtu = d.mtu ?? MTU.default;
    const refuse = (what: string, state: string, wanted: string): never => {
      throw new SoftcError("SOFTC_DEV_IFNET", `Cannot declare ${what} of ${this.name}`, { state, wanted });
    };
    if (d.type !== "ether" && d.type !== "loop") refuse("the type", String(d.type), '"ether" or "loop"');
    if (!(Number.isInteger(mtu) && mtu >= MTU.min && mtu <= MTU.max)) {
      refuse("the MTU", String(mtu), `${MTU.min} to ${MTU.max} bytes`);
    }
    const mac = d.mac === undefined ? undefined : Uint8Array.from(d.mac);
    if (mac !== undefined && mac.length !== 6) refuse("the MAC address", `${mac.length} bytes`, "6 bytes");
    const most = driver.queues === "per-cpu" ? 0 : driver.queues ?? 1;
    const queues = most === 0 ? 0 : d.queues ?? most;
    if (!(Number.isInteger(queues) && queues >= Math.min(1, most) && queues <= most)) {
      refuse("the queues", String(queues), `1 to ${most}`);
    }
    const caps = d.capabilities ?? [];
    const unknown = caps.find((c) => !Object.hasOwn(IFCAP, c));
    if (unknown !== undefined) refuse("a capability", String(unknown), Object.keys(IFCAP).join(", "));
    if (
      typeof d.dispatch === "number" &&
      !(Number.isInteger(d.dispatch) && d.dispatch >= 0 && d.dispatch < this.#control.cpus)
    ) {
      refuse("the dispatch CPU", String(d.dispatch), `0 to ${this.#control.cpus - 1}`);
    }
    return {
      type: d.type,
      mac: mac ??
        (d.type === "loop"
          ? new Uint8Array(6)
          : Uint8Array.of(0x02, 0x73, 0x63, this.born & 255, this.index >> 8, this.index & 255)),
      mtu,
      queues,
      ringSize: driver.queueLength ?? 512,
      home,
      dispatch: typeof d.dispatch === "number" ? d.dispatch : DISPATCH[d.dispatch ?? "direct"],
      caps: caps.reduce((bits, c) => bits | IFCAP[c], 0),
      groups: [driver.cloner ?? driver.name, ...d.groups ?? []],
    };
  }

  #freeShared(): void {
    if (this.#shared !== 0) this.#control.heap.free(this.#shared, "ifDetach");
    this.#shared = 0;
  }
}

function isStall(e: unknown): boolean {
  return (e as { code?: string }).code === "SOFTC_DRIVER_STALLED";
}
