/**
 * An interface outside a section: an object that names and never holds.
 *
 * @module
 */
import type { Blame } from "./blame.ts";
import type { IfCounters } from "../memory/counters.ts";
import type { IfCap, IfType, LinkState } from "./flags.ts";
import type { Handle } from "./handle.ts";
import type { IfState } from "./state.ts";
import type { Tap, TapOptions } from "./tap.ts";
import type { Vnet } from "./vnet.ts";

/** An interface as plain data: what {@linkcode Ifnet.toJSON} gives. What is kept in its slot alone reads 0 once that is freed. */
export interface IfJSON {
  /** Its name. */
  readonly name: string;
  /** As {@linkcode formatHandle} prints it. */
  readonly handle: string;
  /** Its slot. */
  readonly index: number;
  /** The vnet it is in. */
  readonly vnet: string;
  /** The vnet it was made in. */
  readonly home: string;
  /** Its driver. */
  readonly driver: string;
  /** Ethernet, or a loopback: by name, see {@linkcode IFT}. */
  readonly type: IfType;
  /** Where it is in its life. */
  readonly state: IfState;
  /** Flags that are set, by name: see {@linkcode IFF}. */
  readonly flags: readonly string[];
  /** Bytes of payload that one frame carries. */
  readonly mtu: number;
  /** "02:00:00:00:00:01"; all zeros for a loopback. */
  readonly mac: string;
  /** What its driver says of the link. */
  readonly link: LinkState;
  /** Groups it is in: "all", its cloner's name, what its driver declared, and what `addGroup` added in this vnet. */
  readonly groups: readonly string[];
  /** What it can do for the stack: "txcsum" completes partial checksums of what it sends. */
  readonly capabilities: readonly IfCap[];
  /** CPU that its hooks run on; every CPU transmits when `queues` is 0. */
  readonly cpu: number;
  /** Output queues; 0 is one per CPU. */
  readonly queues: number;
  /** As {@linkcode Ifnet.queued}. */
  readonly queued: number;
  /** Packets and bytes, added up over CPUs. */
  readonly counters: IfCounters;
}

/** What a new interface takes over of one that went: a reload. Wishes: what cannot be had is as for any other. */
export interface IfHint {
  /** Its slot, when that is free: old handles then answer `moved`, not `reused`. */
  readonly index: number;
  /** Its name, when that is free. */
  readonly name: string;
  /** Its counters, which go on from there. */
  readonly totals: IfCounters;
}

/** What may be changed of an interface. */
export interface IfOptions {
  /** Bytes of payload, 72 to 1958. */
  readonly mtu?: number;
  /** A new name, free in its vnet: 1 to 15 letters, digits, dots, dashes or underscores, a letter first. */
  readonly name?: string;
  /** One more (`true`), or one less, that wants every packet. Counted, as ifnet(9)'s `ifpromisc` does: the driver hears of the first and the last. */
  readonly promisc?: boolean;
  /** One more (`true`), or one less, that wants every multicast. Counted as `promisc` is. */
  readonly allmulti?: boolean;
  /** Where received packets are processed: `"direct"` on the CPU where they came in, `"flow"` spread over CPUs by flow, a number on that CPU. The driver's own choice unless changed. */
  readonly dispatch?: "direct" | "flow" | number;
  /** Sends all that it receives straight out of another interface of the same vnet; `null` ends that. */
  readonly xconnect?: Ifnet | null;
}

/** How {@linkcode Ifnet.readDriverCounters} asks. */
export interface ReadOptions {
  /** Milliseconds of the kernel's clock to wait for a CPU, 1 to 60,000; 250 unless told. */
  readonly timeout?: number;
}

/** A driver's own counters, and how far they can be trusted. */
export interface DriverCounters {
  /** By name, added up over CPUs. */
  readonly counters: Readonly<Record<string, number>>;
  /** CPUs that did not answer in time, ascending. */
  readonly late: readonly number[];
}

/**
 * An interface, on CPU 0: what ifnet(9) tells of one, with nothing that a reader must lock. It names one link of
 * the interface and keeps nothing alive: after a vmove use the Ifnet that `ifVmove` gave. Every property answers in
 * any state, inside a section or a hook too; what the interface last was, once it is freed.
 */
export interface Ifnet {
  /** Weak name: index and gencnt. Constant: what it answers now is `kernel.resolve(handle)`. */
  readonly handle: Handle;
  /** Its slot, from 1. */
  readonly index: number;
  /** Its name: unique in its vnet. */
  readonly name: string;
  /** The vnet that it is in (or was in last). */
  readonly vnet: Vnet;
  /** Where it is in its life. */
  readonly state: IfState;
  /** Packets that wait in its output queues: a hint, of about now. 0 when every CPU transmits. */
  readonly queued: number;
  /** Added up over CPUs, a batch behind at most; they go on through a vmove, and stay as they were once it is freed. */
  readonly counters: IfCounters;
  /**
   * The driver's own counters (`dev.count`), added up over CPUs, as each CPU told them last: when
   * {@linkcode Ifnet.readDriverCounters} asked it, and when the interface went. `{}` before that.
   */
  readonly driverCounters: Readonly<Record<string, number>>;
  /**
   * Asks each CPU that runs the driver for the driver's own counters. A CPU that does not answer in time counts with
   * what it told last, and is named: a stalled CPU makes the answer old, never late.
   *
   * @throws {SoftcError} `SOFTC_IF_ARGUMENT`, `SOFTC_OPTION_UNKNOWN`; `SOFTC_DEV_REENTRANT` inside a section or hook,
   * `SOFTC_BOOT_DOWN`. All reject the promise
   */
  readDriverCounters(o?: ReadOptions): Promise<DriverCounters>;
  /** Who holds it or what it waits for, and since when; nothing once it is freed. */
  why(): Blame[];
  /** Plain data. */
  toJSON(): IfJSON;
  /**
   * Sets UP: packets are admitted. The driver hears of it first, listeners after. `up`, `down` and `set` of one
   * interface run one after the other.
   *
   * @throws {SoftcError} `SOFTC_IF_GONE`; `SOFTC_IF_STATE` while a move owns it; what the driver's `set` threw, or
   * `SOFTC_DRIVER_STALLED`: then it stays down; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`.
   * All reject the promise
   */
  up(): Promise<void>;
  /**
   * Clears UP: listeners hear of it first, the driver after.
   *
   * @throws {SoftcError} As {@linkcode Ifnet.up}; when the driver's `set` fails it is down all the same
   */
  down(): Promise<void>;
  /**
   * Listens to every packet, as bpf(4) does, until the tap is closed or the interface leaves its vnet.
   *
   * @example
   * ```ts
   * import { boot, ifCloneCreate, ifOutput, ifunit, mAlloc } from "@softc/softc";
   *
   * const kernel = await boot();
   * await kernel.modules.load("softc:null");
   * const [i] = await ifCloneCreate(kernel.vnet0, "null");
   * await i.up();
   * const tap = i.tap({ snap: 14, onPacket: (p) => console.log(p.direction, p.length) }); // out 60
   * kernel.vnet0.section((s) => {
   *   const p = ifunit(s, i.name);
   *   const b = mAlloc(s, 1, 60);
   *   b.bytes(0).fill(0);
   *   if (p !== undefined) ifOutput(s, p, b);
   * });
   * await tap.close(); // what was copied before is told first
   * await kernel.shutdown();
   * ```
   * @throws {SoftcError} `SOFTC_IF_ARGUMENT`, `SOFTC_OPTION_UNKNOWN`, `SOFTC_IF_GONE`, `SOFTC_ARENA_FULL`
   */
  tap(o: TapOptions): Tap;
  /**
   * Changes options, in the order name, mtu, promisc, allmulti, dispatch, xconnect. One that fails stays as it was
   * and ends the call; those before it are changed, without a `change` event.
   *
   * @throws {SoftcError} `SOFTC_IF_EXISTS` or `SOFTC_IF_ARGUMENT` (the name), `SOFTC_IF_MTU`, `SOFTC_DEV_CPU` or
   * `SOFTC_IF_ARGUMENT` (dispatch), `SOFTC_IF_ARGUMENT` when `xconnect` is not live in the same vnet,
   * `SOFTC_OPTION_UNKNOWN`; and as {@linkcode Ifnet.up}
   */
  set(o: IfOptions): Promise<void>;
  /** Adds it to a group, until it leaves its vnet. @throws {SoftcError} `SOFTC_IF_GONE` */
  addGroup(name: string): void;
  /** Takes it out of a group. @throws {SoftcError} `SOFTC_IF_GONE` */
  removeGroup(name: string): void;
}

/** What the driver's `set` hears of a change. Only what changes is there. A throw leaves it as it was, but for `up: false`. */
export interface IfChange {
  /** `true`: UP is to be set, and is not yet. `false`: UP is cleared, or the `true` before is void. */
  readonly up?: boolean;
  /** Bytes of payload, 72 to 1958. */
  readonly mtu?: number;
  /** Somebody wants every packet, or nobody does any more. */
  readonly promisc?: boolean;
  /** Somebody wants every multicast, or nobody does any more. */
  readonly allmulti?: boolean;
}
