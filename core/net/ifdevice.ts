/** What the network floor needs of the driver instance behind an interface; the device floor implements it. @module */
import type { IfChange } from "./ifnet.ts";
import type { Vnet } from "./vnet.ts";

/** The device behind an interface, as CPU 0 sees it. Every step says what may still run when it has resolved. */
export interface IfDevice {
  /** Name of the driver. */
  readonly driver: string;
  /** Counters of the driver's own. */
  readonly counters: Readonly<Record<string, number>>;
  /** Asks for them; resolves after `ms` milliseconds at most, with the CPUs that did not answer. */
  refreshCounters(ms: number): Promise<readonly number[]>;
  /** `open` on every CPU that runs it; gates are in place, nobody can find them yet. */
  open(): Promise<void>;
  /** Transmit gates are closed on every CPU, every queue owner has purged its rings: no transmit runs. */
  quiet(): Promise<void>;
  /** `stop` has settled: the device has acked its reset. */
  stop(): Promise<void>;
  /** `close` has settled on every CPU and the scopes are closed: no hook runs or can be entered. */
  close(): Promise<void>;
  /** `destroy` has run; the shared part of the softc is freed. */
  destroy(): Promise<void>;
  /** The driver's veto of a move. */
  canMove(to: Vnet): Promise<true | string>;
  /** The driver's veto of a detach. */
  canDetach(): Promise<true | string>;
  /** After the point of no return of a move. */
  reassign(to: Vnet): Promise<void>;
  /** A change of flags or MTU. */
  set(change: IfChange): Promise<void>;
  /** Queue owners transmit what is queued; resolves with how many packets left. */
  flush(): Promise<number>;
  /** Asks queue owners to drop what is stale; resolves with how many packets were. */
  purge(): Promise<number>;
}
