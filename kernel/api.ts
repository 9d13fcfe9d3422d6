/**
 * The public functions: FreeBSD's names, no ambient kernel. Each checks its arguments once, off the hot path.
 *
 * @module
 */
import { type AsyncSection, openAsync } from "../core/epoch/async.ts";
import { SoftcError } from "../core/error.ts";
import { checkNames, type Names } from "../core/options.ts";
import type { Batch } from "../core/memory/batch.ts";
import { PacketBatch } from "../core/memory/batch.ts";
import { BORN, DROP } from "../core/memory/counters.ts";
import { MAIL } from "../core/cpu/mailbox.ts";
import { MAX_PACKET } from "../core/device/instance.ts";
import type { CloneOptions } from "../core/device/cloner.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import { IfnetObject } from "../core/net/ifnet_object.ts";
import type { IfEntry } from "../core/net/interfaces.ts";
import type { StreamCounts, StreamFacts } from "../core/net/pktgen.ts";
import { netOf, type Section } from "../core/net/section.ts";
import type { Vnet } from "../core/net/vnet.ts";
import { type Service, startDiscard } from "../vnet/inet/discard.ts";
import { ownVnet } from "../vnet/table.ts";
import { vmove, type VmoveCounts, type VmoveOptions } from "../vnet/vmove.ts";
import type { Kernel } from "./kernel.ts";
import { KernelObject, kernelOf } from "./kernel_object.ts";

/** What a move did, and the interface under its new handle. */
export interface VmoveResult extends VmoveCounts {
  /** The interface, under its new handle. */
  readonly ifnet: Ifnet;
}

const MOVE: Names<VmoveOptions> = { name: true, flushMs: true, up: true };

function own(i: Ifnet, verb: string): { k: KernelObject; e: IfEntry } {
  const e = IfnetObject.entry(i);
  if (e === undefined) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot ${verb} what was given as an interface`, {
      state: typeof i,
      wanted: "an Ifnet",
    });
  }
  return { k: kernelOf(e.homeVnet), e };
}

/** A call that answers with a promise never throws: what its check throws rejects. */
function rejecting<T>(fn: () => Promise<T>): Promise<T> {
  try {
    return fn();
  } catch (e) {
    return Promise.reject(e);
  }
}

/** The kernel as its parts. @throws {SoftcError} `SOFTC_BOOT_ARGUMENT` */
export function ownKernel(k: Kernel): KernelObject {
  if (!(k instanceof KernelObject)) {
    throw new SoftcError("SOFTC_BOOT_ARGUMENT", "Cannot use what was given as a kernel", {
      state: typeof k,
      wanted: "what boot() gave",
    });
  }
  return k;
}

/**
 * Creates what a cloner makes: one interface, or several that belong together, all or none. They are attached and
 * not UP. if_clone(4), FreeBSD's `if_clone_create`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a, b] = await ifCloneCreate(kernel.vnet0, "epair", { name: "link" });
 * console.log(a.name, b?.name, a.state); // linka linkb attached
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_DRIVER_UNKNOWN`, `SOFTC_DRIVER_OPTIONS`, `SOFTC_OPTION_UNKNOWN`, `SOFTC_IF_EXISTS`, `SOFTC_IF_ARGUMENT` (its name),
 * `SOFTC_IF_FULL`, `SOFTC_ARENA_FULL`, `SOFTC_DEV_CPU`, `SOFTC_DEV_IFNET`, `SOFTC_MODULE_STATE`, `SOFTC_VNET_STATE`, `SOFTC_VNET_ARGUMENT`,
 * what the driver's attach or open threw, `SOFTC_DRIVER_STALLED` when they do not settle; `SOFTC_DEV_REENTRANT` inside a
 * section or hook, `SOFTC_BOOT_DOWN`. All reject the promise
 */
export async function ifCloneCreate(
  v: Vnet,
  cloner: string,
  o: CloneOptions = {},
): Promise<[Ifnet, ...Ifnet[]]> {
  const k = kernelOf(v);
  const entries = await k.structural(`create "${cloner}"`, () => k.cloners.create(ownVnet(v), cloner, o));
  return entries.map((e) => k.wrap(e)) as [Ifnet, ...Ifnet[]];
}

/**
 * Destroys what one create made, all of it. Of several callers one wins. if_clone(4), FreeBSD's `if_clone_destroy`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifCloneDestroy } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await ifCloneDestroy(lo);
 * console.log(lo.state); // freed
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_IF_GONE` (ENXIO) for the loser, `SOFTC_DEV_BUSY` when the driver refuses, `SOFTC_IF_WEDGED`,
 * `SOFTC_IF_ARGUMENT`; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`. All reject the promise
 */
export function ifCloneDestroy(i: Ifnet): Promise<void> {
  return rejecting(() => {
    const { k, e } = own(i, "destroy");
    return k.structural(`destroy ${e.name}`, () => k.cloners.destroy(e));
  });
}

/**
 * Detaches an interface. Cannot be refused; a second call gets the first one's promise. Resolves when no hook
 * runs or can be entered; a reference keeps the slot longer. ifnet(9), FreeBSD's `if_detach`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifDetach } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await ifDetach(lo);
 * console.log(kernel.resolve(lo.handle)); // gone
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_IF_WEDGED` when a hook did not answer, `SOFTC_IF_ARGUMENT`; `SOFTC_DEV_REENTRANT` inside
 * a section or hook, `SOFTC_BOOT_DOWN`. All reject the promise
 */
export function ifDetach(i: Ifnet): Promise<void> {
  return rejecting(() => {
    const { k, e } = own(i, "detach");
    return k.structural(`detach ${e.name}`, () => k.cloners.detach(e));
  });
}

/**
 * Moves an interface to another vnet (FreeBSD's `if_vmove`). Use the Ifnet of the result from then on: the old
 * handle answers `moved`. Addresses, routes, taps, groups and the counts of promisc and allmulti stay behind.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifVmove, vnetCreate } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * const red = await vnetCreate(kernel.vnet0, "red");
 * const { ifnet } = await ifVmove(a, red, { name: "eth0" });
 * console.log(ifnet.vnet.name, ifnet.name, kernel.resolve(a.handle)); // red eth0 moved
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_VNET_SAME`, `SOFTC_IF_EXISTS`, `SOFTC_VNET_VETO`, `SOFTC_VNET_OVERDUE`, `SOFTC_VNET_STATE`: the interface stays as it was;
 * `SOFTC_VNET_LOST` (ENODEV): another operation won; `SOFTC_VNET_REASSIGN`: it was detached; `SOFTC_IF_GONE`: the
 * handle is not live; `SOFTC_IF_STATE`: its generations are used up; `SOFTC_IF_ARGUMENT`, `SOFTC_VNET_ARGUMENT`: what
 * was given, its name and `flushMs` too; `SOFTC_OPTION_UNKNOWN`, `SOFTC_ARENA_FULL`; `SOFTC_DEV_REENTRANT` inside a
 * section or hook, `SOFTC_BOOT_DOWN`. All reject the promise
 */
export async function ifVmove(
  i: Ifnet,
  to: Vnet,
  o: VmoveOptions = {},
): Promise<VmoveResult> {
  const { k, e } = own(i, "move");
  checkNames(`move ${e.name}`, o, MOVE);
  if (kernelOf(to) !== k) {
    throw new SoftcError("SOFTC_VNET_ARGUMENT", `Cannot move ${e.name} to another kernel`);
  }
  if (k.ifs.resolve(i.handle) !== "live") {
    throw new SoftcError("SOFTC_IF_GONE", `Cannot move ${e.name}`, {
      state: k.ifs.resolve(i.handle),
      wanted: "live",
    });
  }
  const counts = await k.structural(`move ${e.name}`, () => vmove(k.ifs, e, ownVnet(to), o));
  return { ifnet: k.wrap(e), ...counts };
}

/**
 * Makes a vnet inside another; its name, 1 to 63 letters, digits, dots, dashes or underscores, is unique in the kernel.
 * vnet(9), FreeBSD's `vnet_alloc`.
 *
 * @example
 * ```ts
 * import { boot, vnetCreate } from "@softc/softc";
 *
 * const kernel = await boot();
 * const red = await vnetCreate(kernel.vnet0, "red");
 * console.log(red.parent?.name, red.state); // vnet0 live
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_VNET_EXISTS`, `SOFTC_VNET_ARGUMENT`, `SOFTC_VNET_STATE` when the parent is going,
 * `SOFTC_VNET_FULL`, what a constructor threw; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`.
 * All reject the promise
 */
export function vnetCreate(parent: Vnet, name: string): Promise<Vnet> {
  return rejecting(() => {
    const k = kernelOf(parent);
    return k.structural(
      `make vnet "${name}"`,
      () => Promise.resolve().then(() => k.adopt(k.vnetTable.create(ownVnet(parent), name))),
    );
  });
}

/**
 * Destroys a vnet: what it borrowed goes home first, what it owns is destroyed, wherever it is. vnet(9), FreeBSD's
 * `vnet_destroy`.
 *
 * @example
 * ```ts
 * import { boot, vnetCreate, vnetDestroy } from "@softc/softc";
 *
 * const kernel = await boot();
 * const red = await vnetCreate(kernel.vnet0, "red");
 * await vnetDestroy(red);
 * console.log(red.state); // gone
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_VNET_ORDER` for vnet0 and while it has children, `SOFTC_VNET_STATE`, `SOFTC_VNET_ARGUMENT`,
 * `SOFTC_IF_WEDGED` (the vnet is gone all the same); `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`.
 * All reject the promise
 */
export function vnetDestroy(v: Vnet): Promise<void> {
  return rejecting(() => {
    const k = kernelOf(v);
    return k.structural(`destroy vnet "${v.name}"`, () => k.vnetTable.destroy(ownVnet(v)));
  });
}

/**
 * Opens an async section: it keeps what it found alive across awaits, and is named when a grace period waits
 * for it: `opener`, of which 48 bytes are kept. One of 64; close it soon: one older than 1000 ms keeps `ifVmove` from
 * starting.
 *
 * @example
 * ```ts
 * import { boot, epochOpen } from "@softc/softc";
 *
 * const kernel = await boot();
 * const section = epochOpen(kernel, "report");
 * try {
 *   await Promise.resolve(); // what was found is not freed meanwhile
 * } finally {
 *   section.close();
 * }
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_FULL`, `SOFTC_BOOT_ARGUMENT`, `SOFTC_BOOT_DOWN`
 */
export function epochOpen(kernel: Kernel, opener: string): AsyncSection {
  const k = ownKernel(kernel);
  k.assertUp();
  const { arena, parts: { cpu } } = k;
  return openAsync(arena, cpu.id, cpu.clock.now(), opener, () => cpu.ring(0));
}

/**
 * Runs `fn` on CPU 0 outside every section, after a grace period that begins after this call: epoch(9)'s `epoch_call`.
 * May be called inside a section or hook. What `fn` returns is not awaited; a throw is a fault, told to `onFault`. It
 * never runs when the kernel goes down first.
 *
 * @example
 * ```ts
 * import { boot, epochCall, epochDrain } from "@softc/softc";
 *
 * const kernel = await boot();
 * kernel.section(() => epochCall(kernel, () => console.log("every section before has ended")));
 * await epochDrain(kernel);
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_ARGUMENT`, `SOFTC_BOOT_ARGUMENT`, `SOFTC_BOOT_DOWN`
 */
export function epochCall(kernel: Kernel, fn: () => void): void {
  const k = ownKernel(kernel);
  k.assertUp();
  if (typeof fn !== "function") {
    throw new SoftcError("SOFTC_EPOCH_ARGUMENT", "Cannot queue an epoch callback", {
      state: typeof fn,
      wanted: "a function",
    });
  }
  k.callbacks.call(fn);
}

/**
 * Resolves when every callback queued before has run, on every CPU: epoch(9)'s `epoch_drain_callbacks`.
 *
 * @example
 * ```ts
 * import { boot, epochCall, epochDrain } from "@softc/softc";
 *
 * const kernel = await boot();
 * epochCall(kernel, () => {});
 * await epochDrain(kernel);
 * console.log(kernel.pendingCallbacks); // 0
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_ARGUMENT`, `SOFTC_BOOT_DOWN`. All
 * reject the promise
 */
export function epochDrain(kernel: Kernel): Promise<void> {
  return rejecting(() => {
    const k = ownKernel(kernel);
    return k.structural("drain epoch callbacks", () => k.drain());
  });
}

/**
 * Begins up to `n` packets (at most 256) of `len` bytes to send, in a section. Fewer when mbufs run out; never throws for that.
 * The batch is the caller's until `ifOutput` takes it or `freeAll` drops it. The bytes are what the mbuf held last:
 * write all of them. mbuf(9)'s `m_gethdr`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifOutput, ifunit, mAlloc } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [i] = await ifCloneCreate(kernel.vnet0, "null");
 * await i.up();
 * kernel.vnet0.section((s) => {
 *   const p = ifunit(s, i.name);
 *   if (p === undefined) return;
 *   const b = mAlloc(s, 2, 60);
 *   for (let n = 0; n < b.length; n++) b.bytes(n).fill(0);
 *   console.log(ifOutput(s, p, b)); // 2
 * });
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_MBUF_RANGE` unless `len` is 0 to 1984 bytes, `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function mAlloc(s: Section, n: number, len: number): Batch {
  const net = netOf(s);
  if (!(Number.isInteger(len) && len >= 0 && len <= MAX_PACKET)) {
    throw new SoftcError("SOFTC_MBUF_RANGE", `Cannot allocate packets of ${len} bytes`, {
      wanted: `0 to ${MAX_PACKET}`,
    });
  }
  const b = new PacketBatch(net.cpu.pool).reset(0, DROP.refused, "freeAll");
  b.n = net.cpu.pool.alloc(b.ids, 0, Math.max(0, Math.min(n | 0, b.ids.length)), BORN.stack, len);
  return b;
}

/** A packet generator that runs, until it is stopped: one that sent its `count` only waits. */
export interface Pktgen {
  /**
   * Stops every sender; resolves with what each CPU did, in the order of `cpus`. A second time with zeros.
   *
   * @throws {SoftcError} `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`. Both reject the promise
   */
  stop(): Promise<readonly StreamCounts[]>;
}

/** What a generator sends. It sleeps while its interface is down or away. */
export interface PktgenOptions {
  /** The vnet that sends; the interface is looked up in it for every batch. */
  readonly vnet: Vnet;
  /** The interface, by slot: a stream goes on when it comes back to the vnet. */
  readonly ifnet: Ifnet;
  /** CPUs that send; all unless told. */
  readonly cpus?: readonly number[];
  /** Packets per batch, 1 to 256; 32 unless told. */
  readonly batch?: number;
  /** The frame, from its Ethernet header on: 14 to 1984 bytes. */
  readonly frame: Uint8Array;
  /** Packets per CPU, from 1 on; endless unless told. */
  readonly count?: number;
  /** Packets per second and CPU, above 0; as many as go unless told. At most 10 ms of it are made up for. */
  readonly rate?: number;
}

const GENERATE: Names<PktgenOptions> = {
  vnet: true,
  ifnet: true,
  cpus: true,
  batch: true,
  frame: true,
  count: true,
  rate: true,
};

/**
 * Starts senders, at full rate unless told; resolves when every CPU has begun. Linux's pktgen.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, pktgen } from "@softc/softc";
 * import { eventually } from "@softc/softc/testing";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [ifnet] = await ifCloneCreate(kernel.vnet0, "null");
 * await ifnet.up();
 * const run = await pktgen({ vnet: kernel.vnet0, ifnet, frame: new Uint8Array(60), count: 1000 });
 * await eventually("all are sent", () => ifnet.counters.opackets === 1000);
 * console.log(await run.stop()); // [{ sent: 1000, accepted: 1000 }]
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_IF_ARGUMENT`, `SOFTC_OPTION_UNKNOWN`, `SOFTC_DEV_CPU`, `SOFTC_VNET_ARGUMENT`, `SOFTC_BOOT_DOWN`.
 * All reject the promise
 */
export async function pktgen(o: PktgenOptions): Promise<Pktgen> {
  const k = kernelOf(o.vnet);
  const { k: owner, e } = own(o.ifnet, "send through");
  checkNames("send", o, GENERATE);
  if (owner !== k) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot send through ${e.name}`, {
      state: "an interface of another kernel",
      wanted: "one of the vnet's",
    });
  }
  const batch = o.batch ?? 32;
  const cpus = o.cpus ?? k.control.everyCpu;
  if (!(Number.isInteger(batch) && batch >= 1 && batch <= 256)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot send batches of ${batch}`, {
      wanted: "1 to 256 packets",
    });
  }
  if (!(o.frame instanceof Uint8Array) || o.frame.length < 14 || o.frame.length > MAX_PACKET) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot send frames of ${o.frame?.length} bytes`, {
      wanted: `a Uint8Array of 14 to ${MAX_PACKET}`,
    });
  }
  if (o.count !== undefined && !(Number.isSafeInteger(o.count) && o.count > 0)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot send ${o.count} packets`, {
      wanted: "a whole number from 1 on",
    });
  }
  if (o.rate !== undefined && !(Number.isFinite(o.rate) && o.rate > 0)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot send ${o.rate} packets per second`, {
      wanted: "a number above 0",
    });
  }
  for (const c of cpus) {
    if (!(Number.isInteger(c) && c >= 0 && c < k.cpus)) {
      throw new SoftcError("SOFTC_DEV_CPU", `Cannot send from CPU ${c}`, { wanted: `0 to ${k.cpus - 1}` });
    }
  }
  const id = k.nextStream++;
  const facts: StreamFacts = {
    id,
    vnet: o.vnet.id,
    index: e.index,
    batch,
    frame: [...o.frame],
    count: o.count ?? 0,
    rate: o.rate ?? 0,
  };
  await k.control.askAll(cpus, MAIL.pktgen, { a: 1, text: JSON.stringify(facts), label: "start pktgen" });
  const stop = (): Promise<unknown> =>
    k.control.askAll(cpus, MAIL.pktgen, { a: 2, b: id, label: "stop pktgen" });
  k.streams.add(stop);
  return {
    stop: () =>
      k.structural("stop pktgen", async () => {
        k.streams.delete(stop);
        return await stop() as StreamCounts[];
      }),
  };
}

/**
 * Takes and throws away every valid IP packet that comes to a vnet, on the CPU where it came in: RFC 863 for every
 * port and protocol. They count as delivered.
 *
 * @example
 * ```ts
 * import { boot, discard } from "@softc/softc";
 *
 * const kernel = await boot();
 * const service = discard(kernel.vnet0); // what comes to vnet0 is taken from here on
 * service.close(); // to here
 * await kernel.shutdown();
 * ```
 * @throws {SoftcError} `SOFTC_VNET_ARGUMENT`, `SOFTC_BOOT_DOWN`
 */
export function discard(v: Vnet): Service {
  return startDiscard(kernelOf(v).arena, ownVnet(v));
}
