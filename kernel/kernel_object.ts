/**
 * The kernel on CPU 0: every floor put together, the other CPUs started; shutdown takes it apart again.
 *
 * @module
 */
import type { Report } from "../core/cpu/cpu.ts";
import { revive } from "../core/cpu/cpu.ts";
import type { Callbacks } from "../core/cpu/callbacks.ts";
import { Control } from "../core/cpu/control.ts";
import { MAIL } from "../core/cpu/mailbox.ts";
import { controlPump } from "../core/cpu/pump.ts";
import { DeviceTree } from "../core/device/bus.ts";
import { Cloners } from "../core/device/cloner.ts";
import { MTU } from "../core/device/device.ts";
import { ModuleTable } from "../core/device/modules.ts";
import { watchDoor } from "../core/doors/arena.ts";
import { openAsyncSections } from "../core/epoch/epoch.ts";
import { SoftcError } from "../core/error.ts";
import type { Arena } from "../core/memory/arena.ts";
import { sumCpus, WORK } from "../core/memory/counters.ts";
import { Sanitizer } from "../core/memory/sanitizer.ts";
import { type Blame, blameTree, whoHolds } from "../core/net/blame.ts";
import type { TimerEntry } from "../core/doors/clock.ts";
import { ifLinkChanged } from "../core/net/config.ts";
import { Events, type KernelEvent, type Subscription } from "../core/net/event.ts";
import type { Handle, Resolved } from "../core/net/handle.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import { IfnetObject } from "../core/net/ifnet_object.ts";
import { type IfEntry, Interfaces } from "../core/net/interfaces.ts";
import { books, type Ledger, takeLedger } from "../core/net/ledger.ts";
import type { Section, Sync } from "../core/net/section.ts";
import type { Vnet } from "../core/net/vnet.ts";
import { checkNames, type Names } from "../core/options.ts";
import { InetControl } from "../vnet/inet/control.ts";
import { runSection } from "../vnet/section.ts";
import { VnetTable } from "../vnet/table.ts";
import { vmove } from "../vnet/vmove.ts";
import type { VnetObject } from "../vnet/vnet.ts";
import { advanceClock } from "./clock.ts";
import { assemble, clockOf, type CpuParts } from "./cpu_kernel.ts";
import { type Devices, makeDevices } from "./devices.ts";
import { DriverHost, type HostOptions } from "./host.ts";
import { HostLinks } from "./host_links.ts";
import type { Inspection, Kernel, LoadOptions, Modules, ShutdownReport } from "./kernel.ts";
import type { BootOptions } from "./options.ts";
import { resolveModule } from "./resolve.ts";
import { CpuWorker } from "./workers.ts";
import { yieldToLoop } from "./yield.ts";

const kernels = new WeakMap<Vnet, KernelObject>();

/** The kernel of a vnet. @throws {SoftcError} `SOFTC_VNET_ARGUMENT`, `SOFTC_BOOT_DOWN` */
export function kernelOf(v: Vnet): KernelObject {
  const k = kernels.get(v);
  if (k === undefined) {
    throw new SoftcError("SOFTC_VNET_ARGUMENT", "Cannot use what was given as a vnet", {
      state: typeof v,
      wanted: "a vnet of a kernel",
    });
  }
  k.assertUp();
  return k;
}

const LOAD: Names<LoadOptions> = { host: true, replace: true };

/** The kernel as its own parts see it. */
export class KernelObject implements Kernel {
  readonly arena: Arena;
  readonly parts: CpuParts;
  readonly control: Control;
  readonly events: Events;
  readonly ifs: Interfaces;
  readonly table: ModuleTable;
  readonly cloners: Cloners;
  readonly tree: DeviceTree;
  readonly devices: Devices;
  readonly vnetTable: VnetTable;
  readonly callbacks: Callbacks;
  readonly vnet0: VnetObject;
  readonly modules: Modules;
  readonly options: BootOptions;
  /** Number of the next packet generator. */
  nextStream = 1;
  /** How to stop each packet generator that runs. */
  readonly streams = new Set<() => Promise<unknown>>();
  #workers: CpuWorker[] = [];
  readonly #links = new HostLinks();
  readonly #hosts = new Set<DriverHost>();
  #nextHost = 1;
  /** Modules of lost hosts that are being taken down. */
  readonly #losses = new Set<Promise<void>>();
  #pump: Promise<void> | undefined;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #down: Promise<ShutdownReport> | undefined;
  #ended = false;
  /** Set when a CPU died: nothing that is still under way can end. */
  #died: Error | undefined;
  readonly #outside = (what: string): void => this.assertOutsideHook(what);

  constructor(arena: Arena, o: BootOptions) {
    this.arena = arena;
    this.options = o;
    const clock = clockOf(arena, o.clock === "virtual");
    this.parts = assemble(
      0,
      arena,
      clock,
      { post: (m) => this.control.receive(m, 0) },
      this.#links.import,
      () => this.control.grace.wait(),
    );
    const { cpu, net, instances } = this.parts;
    this.control = new Control(cpu);
    this.control.onReport = (r, k) => this.#report(r, k);
    this.events = new Events(() => cpu.clock.now(), () => this.#snapshot(), (cause) =>
      // Not an event: who threw would hear it.
      this.#threw("An event listener", cause));
    this.ifs = new Interfaces(this.control, net, this.events, net.domains);
    cpu.sources.push({ poll: (budget) => this.ifs.taps.poll(budget), waits: () => this.ifs.taps.waits() });
    this.callbacks = instances.callbacks;
    this.control.on(
      MAIL.grace,
      (m, k) => void this.control.grace.wait().then(() => this.control.post(k, MAIL.grace, m.a), () => {}),
    );
    const wrap = (e: IfEntry): Ifnet => this.wrap(e);
    this.vnetTable = new VnetTable(
      this.ifs,
      wrap,
      (e) => this.cloners.end(e),
      (what, cause) => this.#fault(what, cause),
    );
    const { hookDeadline = 5000 } = o;
    this.table = new ModuleTable({
      control: this.control,
      instances,
      events: this.events,
      vnetVars: this.vnetTable.vars,
      resolve: resolveModule,
      drain: () => this.drain(),
      hookDeadline,
    });
    this.cloners = new Cloners(this.ifs, this.table, hookDeadline);
    this.tree = new DeviceTree({
      ifs: this.ifs,
      cloners: this.cloners,
      modules: this.table,
      move: (e, to, name) => vmove(this.ifs, e, to as VnetObject, { name }),
      fault: (what, cause) => this.#fault(what, cause),
    });
    this.modules = {
      load: (url, x) =>
        this.#structural("load a module", async () => {
          if (typeof url !== "string" && typeof url?.href !== "string") {
            throw new SoftcError("SOFTC_MODULE_ARGUMENT", "Cannot load what was given as a module", {
              state: typeof url,
              wanted: "its URL, path or package name: every CPU imports it itself",
            });
          }
          checkNames("load a module", x, LOAD);
          const host = x?.host;
          const m = await this.table.load(
            url,
            host === undefined ? undefined : (u) => this.#startHost(u, host),
            x?.replace,
          );
          await this.tree.rescan();
          return m;
        }),
      unload: (m, x) =>
        this.#structural("unload a module", async () => {
          checkNames("unload a module", x, { mode: true });
          await this.table.unload(m, x?.mode);
        }),
      explain: (m) => this.table.explain(m),
      list: () => this.table.all(),
    };
    cpu.on(MAIL.link, (m) => ifLinkChanged(this.ifs, m.a, m.b, m.c));
    this.control.on(MAIL.fault, (m, k) => this.#faulty(m.a, m.b, k));
    this.control.on(MAIL.link, (m) => ifLinkChanged(this.ifs, m.a, m.b, m.c));
    const inet = new InetControl(this.control, this.ifs, this.events, (fn) => this.callbacks.call(fn));
    cpu.sources.push(inet);
    this.vnetTable.vars.add([inet.vnetVar]);
    this.vnet0 = this.vnetTable.create(undefined, "vnet0");
    this.devices = makeDevices(this.tree, this);
    kernels.set(this.vnet0, this);
  }

  get cpus(): number {
    return this.arena.plan.config.cpus;
  }
  get vnets(): readonly Vnet[] {
    return this.vnetTable.all();
  }
  get ifnets(): readonly Ifnet[] {
    return [...this.ifs.all()].filter((e) => this.ifs.shown(e)).map((e) => this.wrap(e));
  }
  get gracePeriods(): number {
    return this.control.grace.count;
  }
  get pendingCallbacks(): number {
    return sumCpus(this.arena, WORK.callbacks);
  }

  /** Starts the other CPUs and the pump of this one. */
  async start(): Promise<void> {
    const { cpu } = this.parts;
    // A pending waitAsync keeps no process alive; a kernel does, until it is shut down.
    this.#keepAlive = setInterval(() => {}, 0x3fffffff);
    const started = await Promise.allSettled(
      Array.from(
        { length: this.cpus - 1 },
        (_, i) =>
          CpuWorker.start(
            i + 1,
            this.arena,
            this.options.clock === "virtual",
            (m) => this.control.receive(m, i + 1),
            (e) => this.#cpuDied(i + 1, e),
          ),
      ),
    );
    this.#workers = started.flatMap((r) => r.status === "fulfilled" ? [r.value] : []);
    this.#pump = controlPump(cpu, this.control, yieldToLoop).catch((e) => this.#cpuDied(0, e));
    const failed = started.find((r) => r.status === "rejected");
    if (failed !== undefined) {
      await this.#stopCpus();
      throw failed.reason;
    }
    this.options.signal?.addEventListener("abort", () => void this.shutdown(), { once: true });
  }

  section<R>(fn: (s: Section) => Sync<R>): R {
    this.assertUp();
    return runSection(this.parts.net, undefined, fn);
  }

  resolve(h: Handle): Resolved {
    return this.ifs.resolve(h);
  }

  subscribe(o: { after?: number; vnet?: Vnet } = {}): Subscription {
    this.assertUp();
    checkNames("subscribe", o, { after: true, vnet: true });
    const accept = (e: KernelEvent): boolean => o.vnet === undefined || e.vnet === o.vnet.name;
    return this.events.subscribe(o.after, accept);
  }

  ledger(): Promise<Ledger> {
    return this.#structural("take the ledger", () => takeLedger(this.control));
  }

  blame(): Blame[] {
    return whoHolds(this.ifs);
  }

  inspect(): Inspection {
    return {
      workers: [
        ...this.#workers.map((w) => `cpu ${w.id}`),
        ...[...this.#hosts].filter((h) => !h.over).map((h) => h.name),
      ],
      waits: [
        ...this.control.pending().map((p) => p.label),
        ...(this.#pump === undefined ? [] : ["pump of cpu 0"]),
      ],
      timers: [
        ...(this.#keepAlive === undefined ? [] : ["keep alive"]),
        ...Array.from({ length: this.parts.cpu.timers.size }, () => "timer of cpu 0"),
      ],
      arenaUsed: this.control.heap.used * 4,
    };
  }

  advance(ms: number): void {
    if (this.options.clock !== "virtual") {
      throw new SoftcError("SOFTC_BOOT_ARGUMENT", "Cannot move the clock", {
        state: "real",
        wanted: 'clock: "virtual"',
      });
    }
    advanceClock(this.arena, ms);
    for (const k of this.control.everyCpu) this.parts.cpu.ring(k);
  }

  shutdown(o: { deadline?: number } = {}): Promise<ShutdownReport> {
    try {
      checkNames("shut down", o, { deadline: true });
    } catch (e) {
      return Promise.reject(e);
    }
    return this.#down ??= this.#shutdown((o.deadline ?? 0) > 0 ? o.deadline! : 30_000);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown().then(() => {});
  }

  /** Every epoch callback queued before has run. */
  async drain(): Promise<void> {
    await this.control.askAll(this.control.everyCpu, MAIL.drain, { label: "drain epoch callbacks" });
  }

  /** The Ifnet of an entry's present link. */
  wrap(e: IfEntry): Ifnet {
    if (e.ifnet?.handle === this.ifs.handle(e)) return e.ifnet;
    return e.ifnet = new IfnetObject(this.ifs, e, MTU, this.#outside);
  }

  /** A structural operation: refused from inside a hook and after shutdown. */
  structural<T>(what: string, fn: () => Promise<T>): Promise<T> {
    return this.#structural(what, fn);
  }

  /** Throws once the kernel is down. */
  assertUp(): void {
    if (this.#ended) {
      throw new SoftcError("SOFTC_BOOT_DOWN", "Cannot use the kernel", { state: "down", wanted: "up" });
    }
  }

  /** Throws inside a sync hook or listener: it would wait for itself. */
  assertOutsideHook(what: string): void {
    this.assertUp();
    if (this.parts.cpu.hooks > 0 || this.parts.cpu.epoch.inside) {
      throw new SoftcError("SOFTC_DEV_REENTRANT", `Cannot ${what} from inside a hook or section`);
    }
  }

  /** Remembers which kernel a vnet belongs to. */
  adopt(v: VnetObject): VnetObject {
    kernels.set(v, this);
    return v;
  }

  #structural<T>(what: string, fn: () => Promise<T>): Promise<T> {
    try {
      this.assertOutsideHook(what);
    } catch (e) {
      return Promise.reject(e);
    }
    const { control } = this;
    const over = (): void => void control.operations--;
    const done = fn();
    control.operations++;
    done.then(over, over);
    return done;
  }

  /** A hook threw on another CPU: what is attaching is not published. The port brings the details. */
  #faulty(index: number, born: number, k: number): void {
    const e = this.ifs.entries[index];
    if (e === undefined || e.born !== born || this.wrap(e).state !== "attaching") return;
    e.fault ??= new SoftcError("SOFTC_DRIVER_THREW", `A hook of ${e.name} threw on CPU ${k}`);
  }

  /** What a CPU reports without being asked. */
  #report(r: Report, k: number): void {
    if (r.kind === "log") return this.#log(r.label);
    const e = r.index === undefined ? undefined : this.ifs.entries[r.index];
    const own = e !== undefined && e.born === r.born ? e : undefined;
    if (r.kind === "panic") return this.#fault(`CPU ${k}: ${r.label}`, revive(r.error!));
    const cause = revive(r.error!);
    const name = own?.name ?? r.name ?? `if#${r.index}`;
    const fault = new SoftcError(
      "SOFTC_DRIVER_THREW",
      `Hook "${r.label}" of ${name} threw on CPU ${k}: ${cause.message}`,
      { cause },
    );
    this.events.emit("fault", name, { detail: fault.message });
    this.#tell(fault);
    if (own !== undefined && this.wrap(own).state === "attaching") own.fault = fault;
    // The instance goes, the kernel stays.
    if (own !== undefined && ["attached", "moving"].includes(this.wrap(own).state)) {
      this.cloners.end(own).catch((x) => this.#fault(`taking ${name} down`, x));
    }
  }

  /** Starts a driver host and tells every CPU of it. */
  async #startHost(url: string, o: HostOptions): Promise<DriverHost> {
    const tell = (e: SoftcError, name: string): void => {
      this.events.emit("fault", name, { detail: e.message });
      this.#tell(e);
    };
    const host = await DriverHost.start(url, o, {
      number: this.#nextHost++,
      debug: this.options.debug === true,
      onLost: (h, e) => {
        tell(e, h.facts.name);
        const gone = this.table.lost(h).catch((x) => this.#fault(`taking ${h.name} down`, x));
        this.#losses.add(gone);
        void gone.finally(() => this.#losses.delete(gone));
      },
      onFault: (e) => tell(e, url),
    });
    this.#hosts.add(host);
    this.#links.put(host.link, { quiesce: host.quiesce });
    for (const w of this.#workers) w.link(host.link);
    return host;
  }

  #fault(what: string, cause: unknown): void {
    const e = this.#threw(what, cause);
    this.events.emit("fault", what, { detail: e.message });
  }

  #threw(what: string, cause: unknown): SoftcError {
    const e = new SoftcError("SOFTC_DRIVER_THREW", `${what} threw: ${(cause as Error).message}`, { cause });
    this.#tell(e);
    return e;
  }

  /** What the user's listener throws is its own: whoever tells it is in the middle of an operation. */
  #tell(e: SoftcError): void {
    try {
      this.options.onFault?.(e);
    } catch (cause) {
      this.events.emit("fault", "onFault", {
        detail: `onFault threw: ${(cause as Error)?.message ?? cause}`,
      });
    }
  }

  #log(line: string): void {
    try {
      this.options.onLog?.(line);
    } catch (cause) {
      this.events.emit("fault", "onLog", { detail: `onLog threw: ${(cause as Error)?.message ?? cause}` });
    }
  }

  /** A CPU that dies stops the kernel: its ledger and open sections are reported. */
  #cpuDied(k: number, cause: Error): void {
    const report = JSON.stringify(books(this.arena));
    const open = this.control.grace.blame().open.map((s) => s.opener).join(", ") || "none";
    const e = new SoftcError(
      "SOFTC_BOOT_CPU",
      `CPU ${k} died: ${cause.message}; open sections: ${open}; ledger: ${report}`,
      { cause },
    );
    this.#ended = true;
    this.#died ??= e;
    this.control.end(e);
    this.#tell(e);
    void this.#stopCpus();
  }

  #snapshot(): object {
    return {
      cpus: this.cpus,
      vnets: this.vnetTable.all().map((v) => v.toJSON()),
      ifnets: this.ifnets.map((i) => i.toJSON()),
      modules: this.table.all().map((m) => m.toJSON()),
      devices: this.devices.list().map((d) => d.toJSON()),
    };
  }

  async #shutdown(deadline: number): Promise<ShutdownReport> {
    const errors: unknown[] = [];
    let timer: TimerEntry | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.parts.cpu.timers.after(deadline, () => {
        this.control.settled = true;
        errors.push(new Error(blameTree(`not taken apart within ${deadline} ms`, this.blame())));
        resolve();
      });
    });
    if (this.#died === undefined) {
      // It fails as a whole when a CPU dies meanwhile.
      await Promise.race([this.#takeApart(errors).catch((e) => errors.push(e)), late]);
    }
    timer!.armed = false;
    // Without a CPU that died or does not answer, the books are as exact as the counters.
    const report = await this.#lastBooks().catch((e) => {
      errors.push(e);
      return books(this.arena);
    });
    const wedged = [...new Set(errors.map((e) => (e as Error).message))];
    const leaks = [
      ...report.live.map((l) => `${l.lives} mbufs of ${l.owner}`),
      ...this.control.heap.owners().map((h) => `${h.words * 4} bytes: ${h.owner}`),
      ...[...this.ifs.references].map((r) => `reference "${r.tag}" to if#${r.index}`),
      ...openAsyncSections(this.arena, this.parts.cpu.clock.now()).map((s) => `async section "${s.opener}"`),
    ];
    this.#ended = true;
    this.events.close();
    await this.#stopCpus();
    return { ...report, leaks, wedged };
  }

  async #lastBooks(): Promise<Ledger> {
    if (this.#died !== undefined) throw this.#died;
    return await takeLedger(this.control);
  }

  /** Detaches and unloads everything; what fails is noted, and the rest goes on. */
  async #takeApart(errors: unknown[]): Promise<void> {
    await Promise.all([...this.streams].map((stop) => stop().catch((e) => errors.push(e))));
    await this.tree.close();
    errors.push(...await this.vnetTable.destroyAll());
    for (const m of this.table.all().reverse()) {
      if (m.state === "loaded") await this.table.unload(m, "force").catch((e) => errors.push(e));
    }
    for (const e of this.ifs.all()) await e.detaching?.catch((x) => errors.push(x));
    await Promise.all(this.#losses);
    await this.drain();
    for (const tap of this.ifs.taps.open()) await tap.close();
  }

  async #stopCpus(): Promise<void> {
    const { cpu } = this.parts;
    this.#ended = true;
    await Promise.all([...this.#hosts].map((h) => h.end()));
    for (const w of this.#workers) this.control.post(w.id, MAIL.stop);
    await Promise.all(this.#workers.map((w) => w.stop()));
    this.#workers = [];
    cpu.stopped = true;
    cpu.ring(0);
    await this.#pump;
    this.#pump = undefined;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
    // What never answered is waited for no longer.
    this.control.end(new SoftcError("SOFTC_BOOT_DOWN", "Cannot wait any longer", { state: "down" }));
    cpu.pool.flush();
    if (cpu.sanitizer !== undefined) watchDoor(Sanitizer.remove(watchDoor(null), cpu.sanitizer));
  }
}
