/**
 * A kernel for one rule of the conformance test: booted, used, shut down, its books closed.
 *
 * @module
 */
import process from "node:process";
import {
  boot,
  type BootOptions,
  type DeviceId,
  ifCloneCreate,
  ifCloneDestroy,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  type Kernel,
  type KernelEvent,
  mAlloc,
  type Module,
  type Pktgen,
  pktgen,
  type PluggedDevice,
  type PlugOptions,
  type SoftcError,
  type Vnet,
} from "../../mod.ts";
import { BUS, instrumented, isPlanted, type Journal } from "./instrument.ts";

/** A device that is plugged in for the driver that is tried. */
export interface TestDevice extends Omit<PlugOptions, "vnet"> {
  /** What the driver matches. Its address is free. */
  readonly id: DeviceId;
  /** Takes away what is behind it: called once, when it has been pulled out, or nobody took it. */
  remove?(): void | Promise<void>;
}

/** Makes the `n`-th device of a kernel, from 1 on, ready to be plugged in. */
export type DeviceMaker = (kernel: Kernel, n: number) => TestDevice | Promise<TestDevice>;

/** What the author tells of a driver. */
export interface Subject {
  readonly url: string;
  /** Cloner to create from. */
  readonly cloner: string;
  readonly options: unknown;
  /** Makes a device for it: it is not made by its cloner then. */
  readonly device: DeviceMaker | undefined;
}

/** A rule was broken. */
export class ConformanceError extends Error {
  /** Two copies of the package may meet: compare the name, never the class. */
  override readonly name = "ConformanceError";
  /** The rule's id. */
  readonly rule: string;

  /** States what is wrong. */
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.rule = rule;
  }
}

/** Milliseconds that a condition is waited for. */
const DEADLINE = 3000;

/** Sockets, servers and the like that the runtime has open, as far as it tells: what keeps a process from ending. */
function open(): string[] {
  return process.getActiveResourcesInfo?.().filter((kind) => /Wrap$|FSEvent|Watcher/.test(kind)) ?? [];
}

/** What is open beyond `before` once closing has had its time. */
async function leftOpen(before: readonly string[]): Promise<string[]> {
  const more = (): string[] => {
    const known = [...before];
    return open().filter((kind) => {
      const at = known.indexOf(kind);
      if (at >= 0) known.splice(at, 1);
      return at < 0;
    });
  };
  for (const end = performance.now() + DEADLINE; more().length > 0 && performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return more();
}

/** What a rule works with. */
export class Lab {
  readonly kernel: Kernel;
  readonly subject: Subject;
  readonly journal: Journal;
  readonly events: KernelEvent[] = [];
  readonly faults: SoftcError[];
  /** The module as it is loaded now. */
  module!: Module;
  readonly #spec: string;
  #places = 0;
  /** What is plugged in, and how what is behind it is taken away. */
  readonly #plugged = new Map<PluggedDevice, TestDevice["remove"]>();

  private constructor(
    kernel: Kernel,
    subject: Subject,
    journal: Journal,
    spec: string,
    faults: SoftcError[],
  ) {
    this.kernel = kernel;
    this.subject = subject;
    this.journal = journal;
    this.faults = faults;
    this.#spec = spec;
  }

  /** Boots, runs a rule, shuts down; throws what the rule or the closing books say. */
  static async run(
    rule: string,
    subject: Subject,
    o: BootOptions,
    body: (lab: Lab) => Promise<void>,
  ): Promise<void> {
    const { spec, journal, forget } = instrumented(subject.url, subject.cloner);
    const faults: SoftcError[] = [];
    const before = open();
    const kernel = await boot({
      arena: 16 << 20,
      debug: true,
      hookDeadline: 1000,
      ...o,
      onFault: (e) => void faults.push(e),
    });
    const lab = new Lab(kernel, subject, journal, spec, faults);
    const subscription = kernel.subscribe();
    const listening = (async () => {
      for await (const e of subscription) if (e.type !== "snapshot") lab.events.push(e);
    })();
    let thrown: unknown;
    try {
      await lab.load();
      await body(lab);
    } catch (e) {
      thrown = e;
    }
    const report = await kernel.shutdown({ deadline: 5000 });
    await listening;
    forget();
    const wrong = journal.wrongs[0];
    if (wrong !== undefined) throw new ConformanceError(wrong.rule, wrong.what);
    const fault = faults.find((e) => !isPlanted(e));
    if (fault !== undefined) throw new ConformanceError("D09", fault.message);
    if (thrown instanceof ConformanceError) throw thrown;
    if (thrown !== undefined) {
      throw new ConformanceError(rule, thrown instanceof Error ? thrown.message : String(thrown));
    }
    if (report.wedged.length > 0) throw new ConformanceError("D23", report.wedged.join("; "));
    if (report.unaccounted !== 0) {
      throw new ConformanceError("D08", `${report.unaccounted} packets unaccounted for`);
    }
    const leaks = [
      ...report.leaks,
      ...(await leftOpen(before)).map((kind) =>
        `a ${kind} of the runtime, which stop or dev.signal should close`
      ),
    ];
    if (leaks.length > 0) throw new ConformanceError("D28", `left behind: ${leaks.join("; ")}`);
  }

  /** Loads the driver. */
  async load(): Promise<void> {
    this.module = await this.kernel.modules.load(this.#spec);
  }

  /** Unloads it as it is; what it was made for goes too. */
  async unload(): Promise<void> {
    await this.kernel.modules.unload(this.module, { mode: "force" });
    for (const d of [...this.#plugged.keys()]) await this.pull(d);
  }

  /** Creates, and brings up unless told. */
  async create(o: { vnet?: Vnet; up?: boolean } = {}): Promise<[Ifnet, ...Ifnet[]]> {
    const vnet = o.vnet ?? this.kernel.vnet0;
    const made = this.subject.device === undefined
      ? await ifCloneCreate(vnet, this.subject.cloner, this.#options)
      : await this.#attached(vnet);
    if (o.up !== false) { for (const i of made) await i.up(); }
    return made;
  }

  /** Ends what {@linkcode Lab.create} made, in good order. */
  async destroy(i: Ifnet): Promise<void> {
    if (this.subject.device === undefined) return await ifCloneDestroy(i);
    const d = [...this.#plugged.keys()].find((d) => d.ifnets.some((x) => x.name === i.name));
    if (d === undefined) throw new Error(`no device is behind ${i.name}`);
    await this.kernel.devices.detach(d);
    await this.pull(d);
  }

  /**
   * Plugs a device in that the driver takes: what {@linkcode Lab.create} makes, but it can be pulled out. A driver
   * without a device of its own takes one of {@linkcode BUS}.
   */
  async plug(vnet: Vnet = this.kernel.vnet0): Promise<PluggedDevice> {
    const n = ++this.#places;
    const { id, remove, ...o }: TestDevice = await this.subject.device?.(this.kernel, n) ??
      { id: { bus: BUS, address: String(n) } };
    try {
      const d = await this.kernel.devices.plug(id, { ...this.#options, ...o, vnet });
      this.#plugged.set(d, remove);
      return d;
    } catch (e) {
      await remove?.();
      throw e;
    }
  }

  /** Pulls a device out, and takes away what is behind it. */
  async pull(d: PluggedDevice): Promise<void> {
    await this.kernel.devices.unplug(d);
    const remove = this.#plugged.get(d);
    this.#plugged.delete(d);
    await remove?.();
  }

  get #options(): { options?: unknown } {
    const { options } = this.subject;
    return options === undefined ? {} : { options };
  }

  async #attached(vnet: Vnet): Promise<[Ifnet, ...Ifnet[]]> {
    const d = await this.plug(vnet);
    const [first, ...rest] = d.ifnets;
    if (first !== undefined) return [first, ...rest];
    const why = this.kernel.devices.explain(d);
    await this.pull(d);
    throw new Error(`${d.name} has no interface: ${why.join("; ")}`);
  }

  /** Sends `n` packets of `len` bytes in one section; 0 when the interface is not there. */
  send(i: Ifnet, n = 1, len = 64): number {
    return i.vnet.section((s) => {
      const p = ifnetByHandle(s, i.handle);
      if (p === undefined) return 0;
      const b = mAlloc(s, n, len);
      for (let k = 0; k < b.length; k++) b.copyFrom(k, frameOf(len));
      return ifOutput(s, p, b);
    });
  }

  /** Full rate from every CPU, until stopped. */
  traffic(i: Ifnet): Promise<Pktgen> {
    return pktgen({ vnet: i.vnet, ifnet: i, frame: frameOf(64) });
  }

  /** Packets that ended or were dropped on the way out of the interface so far. */
  moved(i: Ifnet): number {
    const { opackets, oqdrops, oerrors } = i.counters;
    return opackets + oqdrops + oerrors;
  }

  /** Waits for a condition. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const end = Date.now() + DEADLINE;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`not within ${DEADLINE} ms: ${what}`);
      await turn();
    }
  }

  /** The books must be closed now. */
  async closed(): Promise<void> {
    const { unaccounted } = await this.kernel.ledger();
    if (unaccounted !== 0) throw new ConformanceError("D08", `${unaccounted} packets unaccounted for`);
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** A valid Ethernet frame: UDP in IPv4 to port 9, as long as it can be. */
export function frameOf(len: number): Uint8Array {
  const f = new Uint8Array(len);
  if (len < 42) return f;
  const v = new DataView(f.buffer);
  f.fill(0xff, 0, 6);
  f.set([2, 0, 0, 0, 0, 1], 6);
  v.setUint16(12, 0x0800);
  f.set([0x45, 0], 14);
  v.setUint16(16, len - 14);
  f[22] = 64;
  f[23] = 17;
  v.setUint32(26, 0x0a000001);
  v.setUint32(30, 0x0a000002);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += v.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  v.setUint16(24, ~sum & 0xffff);
  v.setUint16(34, 9);
  v.setUint16(36, 9);
  v.setUint16(38, len - 34);
  return f;
}

/** Fails a rule. */
export function claim(ok: boolean, what: string): asserts ok {
  if (!ok) throw new Error(what);
}

/** The error that a promise rejects with; undefined when it resolves. */
export async function failure(p: Promise<unknown>): Promise<Error | undefined> {
  try {
    await p;
    return undefined;
  } catch (e) {
    return e as Error;
  }
}
