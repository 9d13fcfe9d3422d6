/**
 * What a driver is: plain data with hooks. `defineDriver` only infers types and checks the shape.
 *
 * Every hook says in which section, on which CPU and in which state it runs, and whether it may await.
 * A driver never waits for others, never locks, never counts references: all that it uses comes from `dev`,
 * and is closed for it.
 *
 * @module
 */
import type { Batch } from "../memory/batch.ts";
import type { DropReason } from "../memory/counters.ts";
import type { Mbuf } from "../memory/mbuf.ts";
import type { AsyncSection } from "../epoch/async.ts";
import { SoftcError } from "../error.ts";
import type { IfCap } from "../net/flags.ts";
import type { IfChange } from "../net/ifnet.ts";
import { checkNames, type Names } from "../options.ts";
import type { Dma } from "./dma.ts";
import type { Fields, Shared, Struct } from "./struct.ts";

/** The version of the driver API that this softc speaks. */
export const DRIVER_API = 1;

/** A validator of options: the Standard Schema interface, version 1. */
export interface StandardSchema<O> {
  /** The interface, under the name that the standard gives it. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    validate(value: unknown): StandardResult<O> | Promise<StandardResult<O>>;
    readonly types?: { readonly input: unknown; readonly output: O } | undefined;
  };
}

/** What a {@linkcode StandardSchema} answers. */
export type StandardResult<O> =
  | { readonly value: O; readonly issues?: undefined }
  | {
    readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[];
  };

/** What a device on a bus says it is. */
export interface DeviceId {
  /** Name of the bus. */
  readonly bus: string;
  /** Where on the bus: stable while it is plugged in. */
  readonly address: string;
  /** Vendor number, where the bus has them. */
  readonly vendor?: number;
  /** Product number, where the bus has them. */
  readonly product?: number;
  /** What it calls itself, stable across replugs. */
  readonly serial?: string;
  /** Which it is of the interfaces that one create makes, from 0; not set when that is one. */
  readonly instance?: number;
  /** What else the bus says of it. */
  readonly [key: string]: string | number | undefined;
}

/** A match rule: every key must be equal. */
export type Match = Readonly<Partial<Record<string, string | number>>>;

/** A vnet as a driver sees it. */
export interface VnetName {
  /** Its number. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
}

/** A timer of a driver. One shot; set it again from its function for a period. */
export interface Timer {
  /** Arms it `ms` milliseconds (0 or more) from now, again if it was armed. @throws {SoftcError} `SOFTC_DEV_ARGUMENT`; `SOFTC_DEV_SCOPE` once the scope closes */
  set(ms: number): void;
  /** Disarms it; its function does not run after this. */
  cancel(): void;
}

/** Rings a driver's interrupt function on its CPU, in a later turn of the pump; several rings before it are one. */
export interface Doorbell {
  /** Rings it; does nothing once the scope closes. */
  ring(): void;
}

/** A log that names the driver and the interface. */
export interface Log {
  /** Something worth knowing. */
  info(message: string): void;
  /** Something that should not be. */
  warn(message: string): void;
}

/** Another interface of the same cloner call: the other end of a pair. */
export interface Peer {
  /** Gives packets to the peer as received there. Takes all; what the peer cannot take is dropped and counted. @throws {SoftcError} `SOFTC_MBUF_NOT_OWNER` for a batch of another CPU */
  ifInput(b: Batch): void;
}

/** What `dev.ifnet` declares. */
export interface IfDeclaration {
  /** Ethernet, or a loopback. */
  readonly type: "ether" | "loop";
  /** 6 bytes; made from the slot unless told, zeros for a loopback. */
  readonly mac?: Uint8Array;
  /** Bytes of payload, 72 to 1958; 1500 unless told. */
  readonly mtu?: number;
  /** Name; the driver's name and the lowest free number unless told. */
  readonly name?: string;
  /** Groups that it joins, besides that of its cloner or driver. */
  readonly groups?: readonly string[];
  /** Output queues, 1 to the driver's `queues`: when the device has fewer; all of them unless told. Not for per-CPU drivers. */
  readonly queues?: number;
  /** What it can do for the stack: "txcsum", it completes partial checksums of what it sends ({@linkcode Batch.csum}). */
  readonly capabilities?: readonly IfCap[];
  /** Where its received packets are processed: where they come in (the default), spread by flow, or on the CPU of this number. */
  readonly dispatch?: "direct" | "flow" | number;
}

/** Everything that a driver uses: scoped to the instance, closed for it. */
export interface Dev<O = unknown, F extends Fields = Fields> {
  /** Options given at create, validated. */
  readonly options: O;
  /** The shared part of the softc, in the arena. */
  readonly shared: Shared<F>;
  /** The device that it was attached to. */
  readonly id: DeviceId;
  /** Aborts when the device is gone or the scope closes. */
  readonly signal: AbortSignal;
  /** A log that names the interface. */
  readonly log: Log;
  /** The CPU that this object belongs to. */
  readonly cpu: number;
  /** CPUs of the kernel. */
  readonly cpus: number;
  /** Whether the interface is UP: what it receives is taken. True a little after `set` heard of it, false before. */
  readonly up: boolean;
  /** The other interfaces of the same cloner call, in their order. */
  readonly peers: readonly Peer[];
  /** Declares the interface: once, in attach; it is linked after attach has settled. @throws {SoftcError} `SOFTC_DEV_IFNET`; create rejects with `SOFTC_OPTION_UNKNOWN` */
  ifnet(o: IfDeclaration): void;
  /** Hands received packets up; takes all. Any hook, timer, task or interrupt of this instance. @throws {SoftcError} `SOFTC_MBUF_NOT_OWNER` for a batch of another CPU */
  ifInput(b: Batch): void;
  /** The device has room again: what waits for queue `queue` is sent. */
  txWake(queue: number): void;
  /** Reports the link state; `bps` bits per second, kept in whole kbit/s; 0 unless told. Ignored once the scope closes. */
  link(up: boolean, bps?: number): void;
  /** Up to `n` (at most 256) empty packets to receive into; fewer when mbufs run out. The batch is reused by the next call. */
  alloc(n: number): Batch;
  /** Drops a packet that was taken: counted as `driver` unless there is a better reason. @throws {SoftcError} `SOFTC_MBUF_NOT_OWNER`, `SOFTC_MBUF_DOUBLE_FREE` */
  free(m: Mbuf, reason?: DropReason): void;
  /** A packet that was taken is on the wire. @throws {SoftcError} `SOFTC_MBUF_NOT_OWNER`, `SOFTC_MBUF_DOUBLE_FREE` */
  txDone(m: Mbuf): void;
  /** The bytes of a packet that was taken: a view, valid until it is freed. @throws {SoftcError} `SOFTC_MBUF_NOT_OWNER` */
  bytes(m: Mbuf): Uint8Array;
  /** Adds `n`, 1 unless told, to a named counter of the driver: of this CPU, summed over CPUs when read. */
  count(name: string, n?: number): void;
  /** Makes a timer, disarmed; `fn` runs on this CPU, between hooks, outside every section. A throw of `fn` is the instance's fault. */
  timer(fn: () => void): Timer;
  /**
   * Runs asynchronous work that the framework knows of: the end of the scope waits for it, and while it is pending the
   * CPU serves its event loop. What hears from a socket, a file or `fetch` stands in a task: an idle CPU other than 0
   * sleeps, and its event loop with it. A rejection that nobody awaits or catches is the instance's fault, unless
   * `signal` has aborted.
   *
   * @throws {SoftcError} `SOFTC_DEV_SCOPE` once the scope closes
   */
  task<R>(fn: (signal: AbortSignal) => Promise<R>): Promise<R>;
  /** Makes an interrupt: `fn` runs on this CPU after the doorbell was rung. @throws {SoftcError} `SOFTC_DEV_SCOPE` once the scope closes */
  interrupt(fn: () => void): Doorbell;
  /** Runs `fn` on this CPU outside every section, after a grace period that begins after this call (epoch(9)). The end of the scope waits for it. @throws {SoftcError} `SOFTC_DEV_SCOPE` once the scope closes */
  epochCall(fn: () => void): void;
  /** Opens a section that may stay open across an await: for I/O with an interface in hand. @throws {SoftcError} `SOFTC_EPOCH_FULL` */
  epochOpen(): AsyncSection;
  /** Milliseconds of the kernel's clock, monotonic; a virtual one under `boot({ clock: "virtual" })`. */
  now(): number;
  /** The live object that the device was plugged with; only on CPU 0. */
  readonly resource: object | undefined;
  /** The kernel's memory, as a device on another CPU sees it. */
  readonly dma: Dma;
  /** Byte address in `dma` of what this device shares with its other side: its own shared softc, or its parent's; 0 = none. */
  readonly window: number;
  /** Byte address in `dma` of a packet that was taken. */
  address(m: Mbuf): number;
  /** An empty batch, to `put` packets into that the device filled. Reused by the next call; nothing may be left in it. */
  gather(): Batch;
  /** Runs `fn` in a turn of this CPU after somebody has changed the word at byte address `at` (a multiple of 4) with `kick`. @throws {SoftcError} `SOFTC_DEV_SCOPE` once the scope closes */
  listen(at: number, fn: () => void): void;
  /** Adds 1 to the word at byte address `at` (a multiple of 4) and wakes CPU `cpu`, whose instance listens there. */
  kick(cpu: number, at: number): void;
}

/** What every driver has. A hook that CPU 0 waits for settles within `boot({ hookDeadline })` milliseconds, 5000 unless told; a later one is `SOFTC_DRIVER_STALLED`. */
export interface CommonDef<SC, O, F extends Fields> {
  /** Name of the driver: prefix of its interfaces' names, in every message. At most 15 lower-case letters, digits and dashes, a letter first. */
  readonly name: string;
  /** Version of the driver API that it is written for. */
  readonly api: 1;
  /** Validates the options given at create; `{}` when none were. */
  readonly options?: StandardSchema<O>;
  /** Layout of the shared part of the softc. */
  readonly shared?: Struct<F>;
  /** Name under which instances can be created by hand. */
  readonly cloner?: string;
  /** Interfaces that one create makes and one destroy ends, 1 to 16; 1 unless told. */
  readonly instances?: number;
  /** Devices that it may drive. */
  readonly match?: readonly Match[];
  /** Entries of each output queue (a power of two, 2 to 65536); 512 unless told. Under load it may have an eighth less: room comes back in eighths. */
  readonly queueLength?: number;
  /** CPU 0, no section, sync, no side effect: above 0 no, 0 and below a bid, highest wins. */
  probe?(id: DeviceId): number;
  /** Home CPU, no section, may await, state attaching: makes the softc, an object, and declares the interface (else `SOFTC_DRIVER_SHAPE`, `SOFTC_DEV_IFNET`). A throw unwinds; destroy is not called. */
  attach(dev: Dev<O, F>): SC | Promise<SC>;
  /** Home CPU, no section, may await, attached or moving: a change of flags or MTU. A throw rolls it back. */
  set?(sc: SC, c: IfChange): void | Promise<void>;
  /** Home CPU, no section, sync, attached: a reason not to detach. Never asked on unplug. */
  canDetach?(sc: SC): true | string;
  /** Home CPU, no section, sync, attached: a reason not to move. */
  canMove?(sc: SC, to: VnetName): true | string;
  /** Home CPU, no section, may await, moving, after the point of no return. A throw detaches. */
  reassign?(sc: SC, to: VnetName): void | Promise<void>;
  /** Home CPU, no section, may await, detaching: no transmit runs any more. Settles when the device has acked its reset. */
  stop?(sc: SC): void | Promise<void>;
  /** Home CPU, no section, sync, dead: nobody is in any hook, nor can be. */
  destroy?(sc: SC): void;
}

/** A driver whose hooks all run on its home CPU; other CPUs reach it through rings. */
export interface DriverDef<SC extends object, O, F extends Fields> extends CommonDef<SC, O, F> {
  /** Output queues, 1 to 64; 1 unless told. */
  readonly queues?: number;
  /**
   * Home CPU, in a section, sync, attached or moving: sends packets. Returns how many it took from the front;
   * the rest waits for `txWake`. What was accepted and neither taken, freed nor passed on is freed as sent.
   * A throw is the instance's fault, and so is a count that is not true (`SOFTC_DRIVER_COUNT`): the interface goes.
   */
  transmit(sc: SC, b: Batch, queue: number): number;
}

/** A driver that transmits on every CPU: `open` makes each CPU's part. */
export interface PerCpuDriverDef<SC extends object, L extends object, O, F extends Fields>
  extends CommonDef<SC, O, F> {
  /** A queue on every CPU. */
  readonly queues: "per-cpu";
  /** Each CPU once, no section, may await, attaching: makes this CPU's part. */
  open(dev: Dev<O, F>, shared: Shared<F>, cpu: number): L | Promise<L>;
  /** Each CPU once, no section, may await, detaching, after stop: ends it. */
  close?(l: L): void | Promise<void>;
  /** The calling CPU, in a section, sync: as in {@linkcode DriverDef.transmit}; what it does not take is dropped. */
  transmit(l: L, b: Batch, queue: number): number;
}

/** A driver as the framework keeps it: types of softc and options are its own business. */
export interface Driver<O = unknown>
  extends Omit<CommonDef<object, O, Fields>, "options" | "attach" | "shared"> {
  /** Validates the options given at create. */
  readonly options?: StandardSchema<O>;
  /** Layout of the shared part of the softc. */
  readonly shared?: Struct<Fields>;
  /** Output queues, or one on every CPU. */
  readonly queues?: number | "per-cpu";
  /** Makes the softc: {@linkcode CommonDef.attach}. */
  attach(dev: Dev<O, Fields>): object | Promise<object>;
  /** Makes a CPU's part: {@linkcode PerCpuDriverDef.open}. */
  open?(dev: Dev<O, Fields>, shared: Shared<Fields>, cpu: number): object | Promise<object>;
  /** Ends a CPU's part: {@linkcode PerCpuDriverDef.close}. */
  close?(l: object): void | Promise<void>;
  /** Sends packets: {@linkcode DriverDef.transmit}. */
  transmit(target: object, b: Batch, queue: number): number;
}

/**
 * The softc that an `attach` makes: names its type where hooks stand in files of their own.
 *
 * @example
 * ```ts
 * import type { Batch, Dev, SoftcOf } from "@softc/softc/driver";
 *
 * export const attach = (dev: Dev) => ({ dev, seen: 0 });
 * export function transmit(sc: SoftcOf<typeof attach>, batch: Batch): number {
 *   sc.seen += batch.length;
 *   return batch.freeAll();
 * }
 * ```
 */
export type SoftcOf<A extends (dev: never) => object> = Awaited<ReturnType<A>>;

/**
 * Defines a driver. The type of the softc flows from `attach` to every hook, that of each CPU's part from
 * `open` to `transmit` and `close`, those of `options` and `shared` to `dev`.
 *
 * @example
 * ```ts
 * import { defineDriver } from "@softc/softc/driver";
 *
 * export default defineDriver({
 *   name: "hole",
 *   api: 1,
 *   cloner: "hole",
 *   attach(dev) {
 *     dev.ifnet({ type: "ether" });
 *     return { seen: 0 };
 *   },
 *   transmit(sc, batch) {
 *     sc.seen += batch.length;
 *     return batch.freeAll();
 *   },
 * });
 * ```
 * @throws {SoftcError} `SOFTC_DRIVER_SHAPE`, `SOFTC_DRIVER_API`, `SOFTC_OPTION_UNKNOWN` for a hook that there is not
 */
export function defineDriver<
  SC extends object,
  L extends object,
  O = undefined,
  F extends Fields = Record<never, never>,
>(
  // One signature with a union, told apart by `queues`: with two overloads the parameters of hooks lose their types.
  d: DriverDef<SC, O, F> | PerCpuDriverDef<SC, L, O, F>,
): Driver<O> {
  return checkDriver(d) as Driver<never>;
}

const NAMES: Names<Driver> = {
  name: true,
  api: true,
  options: true,
  shared: true,
  cloner: true,
  instances: true,
  match: true,
  queues: true,
  queueLength: true,
  probe: true,
  attach: true,
  open: true,
  set: true,
  canDetach: true,
  canMove: true,
  reassign: true,
  transmit: true,
  stop: true,
  close: true,
  destroy: true,
};

/** Checks the shape of what a module exports: two copies of the package may meet, so no identity is asked. */
export function checkDriver(d: unknown, from = "a driver"): Driver {
  const refuse = (what: string, state: string, wanted: string): never => {
    throw new SoftcError("SOFTC_DRIVER_SHAPE", `Cannot use ${what} of ${from}`, { state, wanted });
  };
  if (typeof d !== "object" || d === null) return refuse("the default export", typeof d, "a driver object");
  const x = d as Record<string, unknown>;
  if (typeof x.name !== "string" || !/^[a-z][a-z0-9-]{0,14}$/.test(x.name)) {
    return refuse("the name", String(x.name), "a lower-case word of at most 15 letters, digits and dashes");
  }
  const named = `driver "${x.name}"`;
  if (x.api !== DRIVER_API) {
    throw new SoftcError("SOFTC_DRIVER_API", `Cannot use ${named} of ${from}`, {
      state: `driver API ${String(x.api)}`,
      wanted: `driver API ${DRIVER_API}`,
      fix: typeof x.api === "number" && x.api > DRIVER_API
        ? "use a newer softc: this driver is too new"
        : "port the driver to this softc: it is too old",
    });
  }
  checkNames(`use ${named} of ${from}`, x, NAMES);
  for (const hook of ["attach", "transmit"]) {
    if (typeof x[hook] !== "function") refuse(`hook "${hook}" of ${named}`, typeof x[hook], "a function");
  }
  for (const hook of ["probe", "set", "canDetach", "canMove", "reassign", "stop", "destroy", "close"]) {
    if (x[hook] !== undefined && typeof x[hook] !== "function") {
      refuse(`hook "${hook}" of ${named}`, typeof x[hook], "a function");
    }
  }
  const { queues } = x;
  if (queues === "per-cpu") {
    if (typeof x.open !== "function") {
      refuse(`hook "open" of ${named}`, typeof x.open, 'a function, with queues "per-cpu"');
    }
  } else if (
    queues !== undefined && !(Number.isInteger(queues) && (queues as number) >= 1 && (queues as number) <= 64)
  ) {
    refuse(`"queues" of ${named}`, String(queues), '1 to 64 or "per-cpu"');
  }
  const { queueLength, instances } = x;
  if (
    queueLength !== undefined &&
    !(Number.isInteger(queueLength) && (queueLength as number) >= 2 && (queueLength as number) <= 65536 &&
      ((queueLength as number) & ((queueLength as number) - 1)) === 0)
  ) {
    refuse(`"queueLength" of ${named}`, String(queueLength), "a power of two from 2 to 65536");
  }
  if (
    instances !== undefined &&
    !(Number.isInteger(instances) && (instances as number) >= 1 && (instances as number) <= 16)
  ) {
    refuse(`"instances" of ${named}`, String(instances), "1 to 16");
  }
  return d as Driver;
}
