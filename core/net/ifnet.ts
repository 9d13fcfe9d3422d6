/**
 * An interface outside a section: an object that names and never holds.
 *
 * @module
 */
import type { Blame } from "./blame.ts";
import type { IfCounters } from "../memory/counters.ts";
import type { IfType, LinkState } from "./flags.ts";
import type { Handle } from "./handle.ts";
import type { IfState } from "./state.ts";
import type { Tap, TapOptions } from "./tap.ts";
import type { Vnet } from "./vnet.ts";

/** An interface as plain data. */
export interface IfJSON {
  readonly name: string;
  /** As {@linkcode formatHandle} prints it. */
  readonly handle: string;
  readonly index: number;
  readonly vnet: string;
  readonly home: string;
  readonly driver: string;
  readonly type: IfType;
  readonly state: IfState;
  readonly flags: readonly string[];
  /** Bytes of payload that one frame carries. */
  readonly mtu: number;
  /** "02:00:00:00:00:01". */
  readonly mac: string;
  readonly link: LinkState;
  readonly groups: readonly string[];
  /** CPU that its hooks run on; every CPU transmits when `queues` is 0. */
  readonly cpu: number;
  readonly queues: number;
  readonly counters: IfCounters;
}

/** What may be changed of an interface. */
export interface IfOptions {
  /** Bytes of payload, 72 to 1958. */
  readonly mtu?: number;
  readonly name?: string;
  readonly promisc?: boolean;
  readonly allmulti?: boolean;
  /** Received packets: processed where they came in, on one CPU, or spread by flow. */
  readonly dispatch?: "direct" | "flow" | number;
  /** Sends all that it receives straight out of another interface of the same vnet; `null` ends that. */
  readonly xconnect?: Ifnet | null;
}

/** An interface. Names one link of it: after a vmove use the Ifnet that `ifVmove` gave. */
export interface Ifnet {
  /** Weak name: index and gencnt. */
  readonly handle: Handle;
  readonly index: number;
  readonly name: string;
  /** The vnet that it is in (or was in last). */
  readonly vnet: Vnet;
  readonly state: IfState;
  /** Added up over CPUs; readable and constant after it was freed. */
  readonly counters: IfCounters;
  /** The driver's own counters (`dev.count`), as of the last report of each CPU. */
  readonly driverCounters: Readonly<Record<string, number>>;
  /** Who or what it waits for, and since when. */
  why(): Blame[];
  /** Plain data. */
  toJSON(): IfJSON;
  /** Sets UP: packets are admitted. The driver hears of it first, listeners after. */
  up(): Promise<void>;
  /** Clears UP: listeners hear of it first, the driver after. */
  down(): Promise<void>;
  /** Listens to every packet. */
  tap(o: TapOptions): Tap;
  /** Changes options; a driver that refuses one rolls it back. @throws {SoftcError} `SOFTC_IF_EXISTS`, `SOFTC_IF_MTU`, `SOFTC_IF_GONE` */
  set(o: IfOptions): Promise<void>;
  /** Adds it to a group. */
  addGroup(name: string): void;
  /** Takes it out of a group. */
  removeGroup(name: string): void;
}

/** What the driver hears of a change. Only what changed is set. */
export interface IfChange {
  readonly up?: boolean;
  /** Bytes of payload. */
  readonly mtu?: number;
  readonly promisc?: boolean;
  readonly allmulti?: boolean;
}
