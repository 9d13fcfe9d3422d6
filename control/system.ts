/**
 * A kernel with the verbs of an operator: what the API, the labs and the command line all call.
 *
 * It adds to the kernel only what an operator asks for by name: traffic, discard services, and how each
 * interface was made, so that a lab can be compared with what is there.
 *
 * @module
 */
import {
  discard,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  type Ifnet,
  type IfOptions,
  ifVmove,
  type Kernel,
  type Ledger,
  type Module,
  parseHandle,
  type Pktgen,
  pktgen,
  type Service,
  SoftcError,
  type UnloadMode,
  type VmoveOptions,
  type VmoveResult,
  type Vnet,
  vnetCreate,
  vnetDestroy,
} from "../mod.ts";
import { inetForwarding } from "../mod.ts";
import { ModuleAllowList } from "./allow.ts";
import { Captures } from "./capture.ts";
import { Plugs } from "./plug.ts";
import { type FrameOptions, udpFrame } from "./frame.ts";

/** How interfaces are made. */
export interface CreateSpec {
  readonly vnet: string;
  readonly cloner: string;
  readonly name?: string | undefined;
  readonly cpu?: number | undefined;
  readonly options?: unknown;
}

/** A module, and where it runs. */
export interface LoadSpec {
  /** As it was asked for, in its normal form. */
  readonly module: string;
  /** In a worker of its own, a driver host, instead of on the kernel's CPUs. */
  readonly host?: boolean | undefined;
}

/** A stream of packets to send. */
export interface TrafficSpec extends FrameOptions {
  readonly name: string;
  readonly vnet: string;
  /** Interface that sends, as {@linkcode System.ifnet} takes it. */
  readonly ifnet: string;
  /** CPUs that send; all but CPU 0 unless told, which the API runs on. */
  readonly cpus?: readonly number[] | undefined;
  /** Packets per batch. */
  readonly batch?: number | undefined;
  /** Packets per CPU; endless unless told. */
  readonly count?: number | undefined;
  /** Packets per second and CPU; full rate unless told. */
  readonly rate?: number | undefined;
}

interface Stream {
  readonly spec: TrafficSpec;
  readonly pktgen: Pktgen;
}

/** The interfaces of one create, by slot. */
export interface Made {
  readonly spec: CreateSpec;
  /** Name of the interface, or of the pair. */
  readonly name: string;
  readonly indexes: readonly number[];
}

/** The ledger is taken at most this often (ms): taking it stops every CPU for a moment. */
const LEDGER_AGE = 200;

/** A kernel as an operator sees it. */
export class System {
  /** Changes with every start: event numbers of another start mean nothing here. */
  readonly epoch: string = Math.random().toString(36).slice(2, 10);
  readonly startedAt: number = Date.now();
  /** What was made, and how. */
  made: readonly Made[] = [];
  /** Vnets that forward. */
  readonly forwarding: Set<string> = new Set();
  /** What each module was loaded as, by name. */
  readonly specs: Map<string, LoadSpec> = new Map<string, LoadSpec>();
  /** How far the lab is that is being applied. */
  applying: { readonly step?: string; readonly done: number; readonly total: number } | undefined;
  readonly traffic: Map<string, Stream> = new Map<string, Stream>();
  readonly discards: Map<string, Service> = new Map<string, Service>();
  readonly captures: Captures;
  readonly plugs: Plugs;
  #ledger: Promise<Ledger> | undefined;
  #ledgerAt = -Infinity;

  constructor(readonly kernel: Kernel, readonly modules: ModuleAllowList = new ModuleAllowList()) {
    this.captures = new Captures(kernel);
    this.plugs = new Plugs(this);
  }

  /**
   * An interface by `NAME`, `VNET:NAME` or handle (`if#INDEX.gGENCNT`).
   *
   * @throws {SoftcError} `SOFTC_IF_UNKNOWN`, `SOFTC_IF_GONE`
   */
  ifnet(id: string): Ifnet {
    const all = this.kernel.ifnets;
    if (id.startsWith("if#")) {
      const handle = parseHandle(id);
      const found = all.find((i) => i.handle === handle);
      if (found !== undefined) return found;
      throw new SoftcError("SOFTC_IF_GONE", `Cannot find ${id}`, {
        state: this.kernel.resolve(handle),
        wanted: "live",
      });
    }
    const colon = id.indexOf(":");
    const [vnet, name] = colon < 0 ? [undefined, id] : [id.slice(0, colon), id.slice(colon + 1)];
    const found = all.filter((i) =>
      i.name === name && (vnet === undefined || i.vnet.name === vnet) && i.state !== "freed" &&
      i.state !== "dead"
    );
    if (found.length === 1) return found[0]!;
    throw new SoftcError("SOFTC_IF_UNKNOWN", `Cannot find the interface "${id}"`, {
      state: found.length === 0
        ? "there is none"
        : `there are ${found.length}: ${found.map((i) => `${i.vnet.name}:${i.name}`).join(", ")}`,
      wanted: "exactly one",
    });
  }

  /** @throws {SoftcError} `SOFTC_VNET_UNKNOWN` */
  vnet(name: string): Vnet {
    const found = this.kernel.vnets.find((v) => v.name === name);
    if (found !== undefined) return found;
    throw new SoftcError("SOFTC_VNET_UNKNOWN", `Cannot find the vnet "${name}"`, {
      state: `there are ${this.kernel.vnets.map((v) => v.name).join(", ")}`,
    });
  }

  /** @throws {SoftcError} `SOFTC_MODULE_UNKNOWN` */
  module(name: string): Module {
    const found = this.kernel.modules.list().find((m) => m.name === name);
    if (found !== undefined) return found;
    throw new SoftcError("SOFTC_MODULE_UNKNOWN", `Cannot find the module "${name}"`, {
      state: `loaded: ${this.kernel.modules.list().map((m) => m.name).join(", ") || "none"}`,
    });
  }

  /** Loads a module from an allowed place. */
  async load(spec: LoadSpec): Promise<Module> {
    const admitted = this.modules.admit(spec.module);
    const module = await this.kernel.modules.load(admitted, spec.host === true ? { host: {} } : {});
    this.specs.set(module.name, { ...spec, module: admitted });
    return module;
  }

  /** What a module was loaded as. */
  specOf(m: Module): LoadSpec {
    return this.specs.get(m.name) ?? { module: m.url };
  }

  async unload(name: string, mode: UnloadMode): Promise<void> {
    await this.kernel.modules.unload(this.module(name), { mode });
    this.specs.delete(name);
    this.#forgetGone();
  }

  /** Makes interfaces; remembers how. */
  async create(spec: CreateSpec): Promise<[Ifnet, ...Ifnet[]]> {
    const ifnets = await ifCloneCreate(this.vnet(spec.vnet), spec.cloner, {
      ...(spec.name === undefined ? {} : { name: spec.name }),
      ...(spec.cpu === undefined ? {} : { cpu: spec.cpu }),
      ...(spec.options === undefined ? {} : { options: spec.options }),
    });
    const [{ name }] = ifnets;
    const indexes = ifnets.map((i) => i.index);
    // Whoever had one of these slots before is gone.
    const others = this.made.filter((m) => !m.indexes.some((x) => indexes.includes(x)));
    const base = ifnets.length === 1 ? name : name.slice(0, -1);
    this.made = [...others, { spec, name: base, indexes }];
    this.plugs.forget(`${spec.vnet}:${base}`);
    return ifnets;
  }

  async destroy(id: string): Promise<void> {
    await ifCloneDestroy(this.ifnet(id));
    this.#forgetGone();
  }

  async detach(id: string): Promise<void> {
    await ifDetach(this.ifnet(id));
    this.#forgetGone();
  }

  async vmove(id: string, to: string, o: VmoveOptions = {}): Promise<VmoveResult> {
    return await ifVmove(this.ifnet(id), this.vnet(to), o);
  }

  async set(id: string, o: Omit<IfOptions, "xconnect"> & { xconnect?: string | null }): Promise<Ifnet> {
    const { xconnect, ...rest } = o;
    const ifnet = this.ifnet(id);
    await ifnet.set({
      ...rest,
      ...(xconnect === undefined ? {} : { xconnect: xconnect === null ? null : this.ifnet(xconnect) }),
    });
    return ifnet;
  }

  async createVnet(name: string, parent = this.kernel.vnet0.name): Promise<Vnet> {
    return await vnetCreate(this.vnet(parent), name);
  }

  async destroyVnet(name: string): Promise<void> {
    const v = this.vnet(name);
    this.setDiscard(name, false);
    await vnetDestroy(v);
    this.forwarding.delete(name);
    this.#forgetGone();
  }

  /** Whether the vnet is a router. */
  setForwarding(name: string, on: boolean): void {
    inetForwarding(this.vnet(name), on);
    if (on) this.forwarding.add(name);
    else this.forwarding.delete(name);
  }

  /** Whether the vnet takes and throws away all valid packets. */
  setDiscard(name: string, on: boolean): void {
    const service = this.discards.get(name);
    if (on && service === undefined) this.discards.set(name, discard(this.vnet(name)));
    if (!on && service !== undefined) {
      service.close();
      this.discards.delete(name);
    }
  }

  async startTraffic(spec: TrafficSpec): Promise<void> {
    if (this.traffic.has(spec.name)) {
      throw new SoftcError("SOFTC_IF_EXISTS", `Cannot start the traffic "${spec.name}"`, {
        state: "it runs",
        wanted: "a free name",
      });
    }
    const { cpus } = this.kernel;
    const started = await pktgen({
      vnet: this.vnet(spec.vnet),
      ifnet: this.ifnet(spec.ifnet.includes(":") ? spec.ifnet : `${spec.vnet}:${spec.ifnet}`),
      cpus: spec.cpus ?? (cpus === 1 ? [0] : Array.from({ length: cpus - 1 }, (_, i) => i + 1)),
      batch: spec.batch ?? 32,
      frame: udpFrame(spec),
      ...(spec.count === undefined ? {} : { count: spec.count }),
      ...(spec.rate === undefined ? {} : { rate: spec.rate }),
    });
    this.traffic.set(spec.name, { spec, pktgen: started });
  }

  /** Stops a stream; resolves with what each CPU sent. @throws {SoftcError} `SOFTC_IF_UNKNOWN` */
  async stopTraffic(name: string): Promise<Awaited<ReturnType<Pktgen["stop"]>>> {
    const stream = this.traffic.get(name);
    if (stream === undefined) {
      throw new SoftcError("SOFTC_IF_UNKNOWN", `Cannot stop the traffic "${name}"`, {
        state: `running: ${[...this.traffic.keys()].join(", ") || "none"}`,
        fix: "name traffic that runs",
      });
    }
    this.traffic.delete(name);
    return await stream.pktgen.stop();
  }

  /** The books, shared by everybody who asks at about the same time. */
  ledger(): Promise<Ledger> {
    const now = performance.now();
    if (this.#ledger === undefined || now - this.#ledgerAt > LEDGER_AGE) {
      this.#ledgerAt = now;
      this.#ledger = this.kernel.ledger();
    }
    return this.#ledger;
  }

  /** Forgets what is no more. */
  #forgetGone(): void {
    const there = new Set(
      this.kernel.ifnets.filter((i) => i.state === "attached" || i.state === "moving").map((i) => i.index),
    );
    this.made = this.made.filter((m) => m.indexes.some((x) => there.has(x)));
  }
}
