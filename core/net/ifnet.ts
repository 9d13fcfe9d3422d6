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

/** An interface as plain data. */
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
  /** Ethernet, or a loopback. */
  readonly type: IfType;
  /** Where it is in its life. */
  readonly state: IfState;
  /** Flags that are set, by name. */
  readonly flags: readonly string[];
  /** Bytes of payload that one frame carries. */
  readonly mtu: number;
  /** "02:00:00:00:00:01". */
  readonly mac: string;
  /** What its driver says of the link. */
  readonly link: LinkState;
  /** Groups it is in. */
  readonly groups: readonly string[];
  /** What it can do for the stack: "txcsum" completes partial checksums of what it sends. */
  readonly capabilities: readonly IfCap[];
  /** CPU that its hooks run on; every CPU transmits when `queues` is 0. */
  readonly cpu: number;
  /** Output queues; 0 is one per CPU. */
  readonly queues: number;
  /** Packets that wait in its output queues: a hint, of about now. */
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
  /** A new name, free in its vnet. */
  readonly name?: string;
  /** One more, or one less, that wants every packet. */
  readonly promisc?: boolean;
  /** One more, or one less, that wants every multicast. */
  readonly allmulti?: boolean;
  /** Received packets: processed where they came in, on one CPU, or spread by flow. */
  readonly dispatch?: "direct" | "flow" | number;
  /** Sends all that it receives straight out of another interface of the same vnet; `null` ends that. */
  readonly xconnect?: Ifnet | null;
}

/** How counters are asked for. */
export interface ReadOptions {
  /** Milliseconds of the kernel's clock to wait for a CPU, 1 to 60,000; 250 unless told. */
  readonly timeout?: number;
}

/** A driver's own counters, and how far they can be trusted. */
export interface DriverCounters {
  /** By name, added up over CPUs. */
  readonly counters: Readonly<Record<string, number>>;
  /** CPUs that did not answer in time. */
  readonly late: readonly number[];
}

/** An interface. Names one link of it: after a vmove use the Ifnet that `ifVmove` gave. */
export interface Ifnet {
  /** Weak name: index and gencnt. */
  readonly handle: Handle;
  /** Its slot. */
  readonly index: number;
  /** Its name. */
  readonly name: string;
  /** The vnet that it is in (or was in last). */
  readonly vnet: Vnet;
  /** Where it is in its life. */
  readonly state: IfState;
  /** Packets that wait in its output queues: a hint, of about now. */
  readonly queued: number;
  /** Added up over CPUs; readable and constant after it was freed. */
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
  /** Who or what it waits for, and since when. */
  why(): Blame[];
  /** Plain data. */
  toJSON(): IfJSON;
  /** Sets UP: packets are admitted. The driver hears of it first, listeners after. */
  up(): Promise<void>;
  /** Clears UP: listeners hear of it first, the driver after. */
  down(): Promise<void>;
  /** Listens to every packet. @throws {SoftcError} `SOFTC_IF_ARGUMENT`, `SOFTC_OPTION_UNKNOWN`, `SOFTC_IF_GONE` */
  tap(o: TapOptions): Tap;
  /** Changes options; a driver that refuses one rolls it back. @throws {SoftcError} `SOFTC_IF_EXISTS`, `SOFTC_IF_MTU`, `SOFTC_IF_GONE`, `SOFTC_OPTION_UNKNOWN` */
  set(o: IfOptions): Promise<void>;
  /** Adds it to a group. */
  addGroup(name: string): void;
  /** Takes it out of a group. */
  removeGroup(name: string): void;
}

/** What the driver hears of a change. Only what changed is set. */
export interface IfChange {
  /** UP was, or is to be, set or cleared. */
  readonly up?: boolean;
  /** Bytes of payload. */
  readonly mtu?: number;
  /** Somebody wants every packet, or nobody does any more. */
  readonly promisc?: boolean;
  /** Somebody wants every multicast, or nobody does any more. */
  readonly allmulti?: boolean;
}
