/**
 * The driver instances of one CPU, and what CPU 0's mail does with them.
 *
 * @module
 */
import type { Callbacks } from "../cpu/callbacks.ts";
import type { Cpu } from "../cpu/cpu.ts";
import { MAIL, type Mail } from "../cpu/mailbox.ts";
import { get, hookEntry } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import type { IfChange } from "../net/ifnet.ts";
import type { Net } from "../net/net.ts";
import { flushQueue, type OwnedQueue, purgeQueue, purgeStale, ringAt } from "../net/output.ts";
import type { Driver, IfDeclaration, VnetName } from "./driver.ts";
import { type InstanceFacts, LocalInstance } from "./instance.ts";
import { type ModuleDef, readModule } from "./module_def.ts";
import { Interrupts } from "./scope.ts";

/** Which veto is asked. */
export const VETO = { detach: 1, move: 2 } as const;

/** A driver's own counters on one CPU. */
type Counts = Readonly<Record<string, number>>;

/** Imports a module's file. */
export type Importer = (url: string) => Promise<unknown>;

/** A CPU's instances. */
export class Instances {
  readonly interrupts = new Interrupts();
  /** Epoch callbacks of this CPU. */
  readonly callbacks: Callbacks;
  readonly #net: Net;
  readonly #import: Importer;
  readonly #modules = new Map<number, ModuleDef>();
  /** By slot. No Map: what was in one outlives young collections in V8, and so all that hangs off it. */
  readonly #instances: (LocalInstance | undefined)[] = [];

  constructor(cpu: Cpu, net: Net, importer: Importer, callbacks: Callbacks) {
    this.callbacks = callbacks;
    this.#net = net;
    this.#import = importer;
    cpu.on(MAIL.importModule, (m) => this.#importModule(m.a, m.text));
    cpu.on(MAIL.dropModule, (m) => void this.#modules.delete(m.a));
    cpu.on(MAIL.attach, (m) => this.#attach(m));
    cpu.on(MAIL.open, (m) => this.#open(m));
    cpu.on(MAIL.closeTransmit, (m) => this.#quiet(this.#occupant(m)));
    cpu.on(MAIL.stopInstance, (m) => this.#stop(this.#occupant(m)));
    cpu.on(MAIL.close, (m) => this.#close(this.#occupant(m)));
    cpu.on(MAIL.destroy, (m) => this.#destroy(this.#occupant(m)));
    cpu.on(MAIL.set, (m) => this.#set(this.#of(m), JSON.parse(m.text)));
    cpu.on(MAIL.ask, (m) => this.#ask(this.#of(m), m.b, JSON.parse(m.text || "null")));
    cpu.on(MAIL.reassign, (m) => this.#reassign(this.#of(m), JSON.parse(m.text)));
    cpu.on(MAIL.flush, (m) => this.#flush(this.#of(m)));
    cpu.on(MAIL.purge, (m) => this.#purge(this.#of(m)));
    cpu.on(MAIL.drain, () => this.callbacks.drain());
    cpu.on(MAIL.inspect, (m) => {
      const i = this.#occupant(m);
      return i === undefined ? undefined : { ...i.counts };
    });
    cpu.on(MAIL.unplug, (m) => {
      this.#occupant(m)?.scope.abort(new SoftcError("SOFTC_DEV_GONE", "The device was unplugged"));
    });
  }

  /** Instances that this CPU has. */
  get size(): number {
    return this.#instances.filter((i) => i !== undefined).length;
  }

  /** A module that this CPU imported. */
  module(id: number): ModuleDef | undefined {
    return this.#modules.get(id);
  }

  async #importModule(id: number, url: string): Promise<void> {
    const exported = await this.#import(url) as { default?: unknown };
    this.#modules.set(id, readModule(exported.default, url));
  }

  #driver(module: number, driver: number): Driver {
    const d = this.#modules.get(module)?.drivers[driver];
    if (d === undefined) {
      throw new SoftcError(
        "SOFTC_DRIVER_UNKNOWN",
        `CPU ${this.#net.cpu.id} has no driver ${driver} of module ${module}`,
      );
    }
    return d;
  }

  /** The instance that mail is for, if it is still that one: who asks may not have heard that it went. */
  #occupant(m: Mail): LocalInstance | undefined {
    const i = this.#instances[m.a];
    return i?.born === m.d ? i : undefined;
  }

  #of(m: Mail): LocalInstance {
    const i = this.#occupant(m);
    if (i === undefined) throw new Error(`CPU ${this.#net.cpu.id} has no such instance at slot ${m.a}`);
    return i;
  }

  /** Home CPU: runs the driver's attach; answers what it declared. */
  #attach(m: Mail): IfDeclaration | Promise<IfDeclaration> {
    const i = new LocalInstance(
      this.#net,
      this.interrupts,
      this.callbacks,
      this.#driver(m.b, m.c),
      JSON.parse(m.text) as InstanceFacts,
    );
    this.#instances[i.index] = i;
    try {
      hookEntry("attach");
      const made = i.driver.attach(i as never);
      if (!(made instanceof Promise)) return this.#attached(i, made);
      return made.then((softc) => this.#attached(i, softc)).catch((e) => this.#unwind(i, e));
    } catch (e) {
      return this.#unwind(i, e);
    }
  }

  #attached(i: LocalInstance, softc: unknown): IfDeclaration {
    if (typeof softc !== "object" || softc === null) {
      throw new SoftcError("SOFTC_DRIVER_SHAPE", `attach of ${i.name} returned no softc`, {
        state: typeof softc,
        wanted: "an object",
      });
    }
    if (i.declared === undefined) {
      throw new SoftcError("SOFTC_DEV_IFNET", `attach of ${i.name} declared no interface`);
    }
    i.softc = i.adopt(softc);
    return i.declared;
  }

  /** An attach that threw: the scope is closed and drained; destroy is not called. */
  async #unwind(i: LocalInstance, cause: unknown): Promise<never> {
    await i.scope.close();
    i.dropUnused();
    this.#instances[i.index] = undefined;
    throw cause;
  }

  /** Each CPU that runs it: makes this CPU's part, puts the gate in place. */
  #open(m: Mail): void | Promise<void> {
    let i = this.#instances[m.a];
    if (i === undefined) {
      i = new LocalInstance(
        this.#net,
        this.interrupts,
        this.callbacks,
        this.#driver(m.b, m.c),
        JSON.parse(m.text) as InstanceFacts,
      );
      this.#instances[i.index] = i;
    }
    if (i.driver.queues !== "per-cpu") return this.#openGate(i, i.softc!);
    const inst = i;
    hookEntry("open");
    const local = inst.driver.open!(inst as never, inst.shared, this.#net.cpu.id);
    if (local instanceof Promise) return local.then((l) => this.#openGate(inst, l));
    this.#openGate(inst, local);
  }

  #openGate(i: LocalInstance, target: object): void {
    // An open that settles after its deadline finds the way out taken: no gate for a slot that may be another's.
    if (this.#instances[i.index] !== i) return;
    i.target = target;
    i.open = true;
    this.#net.gates[i.index] = i;
    const a = this.#net.arena.a;
    const at = this.#net.arena.ifnetAt(i.index);
    const queues = get(a, at + IFNET.queues);
    const { cpus } = this.#net.arena.plan.config;
    for (let queue = 0; queue < queues; queue++) {
      const rings = Array.from(
        { length: cpus },
        (_, k) => ringAt(get(a, at + IFNET.rings), get(a, at + IFNET.ringSize), cpus, queue, k),
      );
      this.#net.queues.push({ index: i.index, queue, rings, blocked: false });
    }
  }

  /** Purges the queues that this CPU owns and closes the transmit gate; answers how many packets were dropped. */
  #quiet(i: LocalInstance | undefined): number {
    if (i === undefined) return 0;
    let purged = 0;
    for (const q of this.#owned(i)) {
      purged += purgeQueue(this.#net, q);
      this.#net.queues.splice(this.#net.queues.indexOf(q), 1);
    }
    i.open = false;
    this.#net.gates[i.index] = undefined;
    return purged;
  }

  /** Home CPU: the driver stops its device. A throw is reported; the way out goes on. */
  #stop(i: LocalInstance | undefined): void | Promise<void> {
    if (i?.softc === undefined) return;
    const stop = (): void | Promise<void> => {
      if (i.driver.stop !== undefined) return this.#hook(i, "stop", () => i.driver.stop!(i.softc!));
    };
    return i.running.size === 0 ? stop() : Promise.all(i.running).then(stop);
  }

  /** This CPU's part ends, then its scope. */
  #close(i: LocalInstance | undefined): Counts | undefined | Promise<Counts | undefined> {
    if (i === undefined) return undefined;
    const { driver, target } = i;
    const closed = driver.queues === "per-cpu" && driver.close !== undefined && target !== undefined
      ? this.#hook(i, "close", () => driver.close!(target))
      : undefined;
    if (closed === undefined && i.scope.idle) {
      i.scope.end();
      return this.#closed(i);
    }
    return Promise.resolve(closed).then(() => i.scope.close()).then(() => this.#closed(i));
  }

  /** The driver's own counters are the answer: one that came later would find the slot free. */
  #closed(i: LocalInstance): Counts | undefined {
    i.dropUnused();
    i.target = undefined;
    // The home CPU keeps it until destroy.
    if (i.softc === undefined) this.#instances[i.index] = undefined;
    return Object.keys(i.counts).length > 0 ? { ...i.counts } : undefined;
  }

  /** Home CPU: nobody is in any hook, nor can be. */
  #destroy(i: LocalInstance | undefined): void {
    if (i === undefined) return;
    try {
      if (i.softc !== undefined) {
        hookEntry("destroy");
        i.driver.destroy?.(i.softc);
      }
    } catch (e) {
      i.fault("destroy", e);
    }
    i.forget();
    this.#instances[i.index] = undefined;
  }

  #set(i: LocalInstance, change: IfChange): void | Promise<void> {
    if (i.driver.set === undefined) return;
    hookEntry("set");
    return this.#running(i, i.driver.set(i.softc!, change));
  }

  #ask(i: LocalInstance, veto: number, to: VnetName | null): true | string {
    const { driver } = i;
    hookEntry("veto");
    if (veto === VETO.detach) return driver.canDetach?.(i.softc!) ?? true;
    return driver.canMove?.(i.softc!, to!) ?? true;
  }

  #reassign(i: LocalInstance, to: VnetName): void | Promise<void> {
    if (i.driver.reassign === undefined) return;
    hookEntry("reassign");
    return this.#running(i, i.driver.reassign(i.softc!, to));
  }

  /** Transmits what is queued, as far as the driver takes it. */
  #flush(i: LocalInstance): number {
    let sent = 0;
    for (const q of this.#owned(i)) sent += flushQueue(this.#net, q);
    return sent;
  }

  #purge(i: LocalInstance): number {
    let dropped = 0;
    for (const q of this.#owned(i)) dropped += purgeStale(this.#net, q);
    return dropped;
  }

  #owned(i: LocalInstance): OwnedQueue[] {
    return this.#net.queues.filter((q) => q.index === i.index);
  }

  /** Keeps an asynchronous hook in sight until it settles. */
  #running(i: LocalInstance, hook: void | Promise<void>): void | Promise<void> {
    if (!(hook instanceof Promise)) return;
    const settled: Promise<void> = hook.then(() => {}, () => {}).finally(() => i.running.delete(settled));
    i.running.add(settled);
    return hook;
  }

  /** Calls an ending hook: what it throws is reported, and the ending goes on. */
  #hook(i: LocalInstance, label: string, fn: () => void | Promise<void>): void | Promise<void> {
    hookEntry(label);
    try {
      const r = fn();
      return r instanceof Promise ? r.catch((e) => i.fault(label, e)) : undefined;
    } catch (e) {
      i.fault(label, e);
    }
  }
}
