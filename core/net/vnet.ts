/** What the network floor knows of a vnet; the vnet floor implements it. @module */
import type { Section, Sync } from "./section.ts";
import type { Ifnet } from "./ifnet.ts";

/** A virtualised variable, as VNET_DEFINE of vnet(9): each vnet has its own value, on CPU 0. Made by `vnetVar`. */
export interface VnetVar<T> {
  /** Constructors run in ascending order, destructors in exact reverse. */
  readonly order: number;
  /** CPU 0, no section, sync, the vnet not listed yet or live: makes its value. A throw undoes the vnet, or the load. */
  init(v: Vnet): T;
  /** CPU 0, no section, sync, no interface of the vnet left or its module going. A throw is reported, and the others run. */
  uninit?(v: Vnet, value: T): void;
}

/** A virtual network: its own interface list, names, addresses, routes and virtualised variables. */
export interface Vnet {
  /** Its number; never 0, never reused while the kernel lives. */
  readonly id: number;
  /** Its name, unique in the kernel. */
  readonly name: string;
  /** The vnet that it was made in. */
  readonly parent: Vnet | undefined;
  /** Only a live one takes interfaces and children. */
  readonly state: "making" | "live" | "closing" | "gone";
  /** Interfaces that are in it now, in order of index. */
  readonly ifnets: readonly Ifnet[];
  /**
   * Runs `fn` in a section that sees this vnet, on CPU 0; it may not await, and no structural operation begins in it.
   *
   * @throws {SoftcError} `SOFTC_EPOCH_ASYNC` when `fn` returns a promise, `SOFTC_EPOCH_ARGUMENT` when it is no function,
   * `SOFTC_DEV_REENTRANT` inside a hook, `SOFTC_BOOT_DOWN`; what `fn` throws
   */
  section<R>(fn: (s: Section) => Sync<R>): R;
  /** The value of a virtualised variable; `undefined` when no loaded module lists it, or the vnet is gone. */
  get<T>(x: VnetVar<T>): T;
  /** Plain data: id, name, name of its parent, state, names of its interfaces. */
  toJSON(): object;
}
