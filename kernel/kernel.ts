/**
 * What a program sees of a kernel.
 *
 * @module
 */
import type { Module, UnloadMode } from "../core/device/modules.ts";
import type { Blame } from "../core/net/blame.ts";
import type { Subscription } from "../core/net/event.ts";
import type { Handle, Resolved } from "../core/net/handle.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import type { Ledger } from "../core/net/ledger.ts";
import type { Section, Sync } from "../core/net/section.ts";
import type { Vnet } from "../core/net/vnet.ts";
import type { Devices } from "./devices.ts";
import type { HostOptions } from "./host.ts";

/** The modules of a kernel: kldload(8), kldunload(8) and kldstat(8). */
export interface Modules {
  /**
   * Loads a module on every CPU: a URL, a path (from the working directory), or a package name. The built-in drivers are
   * modules too: `softc:loopback`, `null`, `epair`, `pcap`, `virtio`, `usb`, `tap`, `link`. With `host`, its code runs in a
   * worker of its own that has nothing of the kernel's: unloading it really ends it, and its faults are contained.
   *
   * With `replace`, a reload: the new code is imported first, and a file that does not load leaves all as it was;
   * then the old module is drained and goes, and the new one has its place. Its interfaces go with it: make them
   * again with `hints`. Files that the module imports are read anew only in a host.
   *
   * @throws {SoftcError} `SOFTC_MODULE_LOAD`, `SOFTC_MODULE_ARGUMENT` for what is no URL or string, `SOFTC_OPTION_UNKNOWN`, `SOFTC_MODULE_EXISTS`, `SOFTC_MODULE_DEPENDS`, `SOFTC_DRIVER_SHAPE`, `SOFTC_DRIVER_API`,
   * `SOFTC_DRIVER_STALLED` when its `load` hook does not settle;
   * with `replace` what `unload` throws; with `host` `SOFTC_HOST_ARGUMENT`, `SOFTC_HOST_PERMISSIONS`, `SOFTC_HOST_STALLED`
   * when it is not up within 15,000 ms, `SOFTC_HOST_PROTOCOL`; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`
   */
  load(url: URL | string, o?: LoadOptions): Promise<Module>;
  /**
   * Unloads a module; mode `refuse` unless told. As with kldunload(2), not while another needs it.
   *
   * @throws {SoftcError} `SOFTC_MODULE_BUSY`, `SOFTC_MODULE_STATE`, `SOFTC_MODULE_UNKNOWN`, `SOFTC_MODULE_ARGUMENT` for
   * another mode, `SOFTC_OPTION_UNKNOWN`, `SOFTC_IF_WEDGED`; `SOFTC_DEV_REENTRANT` inside a section or hook, `SOFTC_BOOT_DOWN`
   */
  unload(m: Module | string, o?: { mode?: UnloadMode }): Promise<void>;
  /**
   * What keeps it from being unloaded, in words; empty when nothing does. Asks the module's `quiesce` and its drivers'
   * `canDetach`.
   *
   * @throws {SoftcError} `SOFTC_MODULE_UNKNOWN`, which rejects the promise
   */
  explain(m: Module | string): Promise<string[]>;
  /** Modules that are loaded, loading, closing or wedged, in order of loading. */
  list(): Module[];
}

/** How a module is loaded. */
export interface LoadOptions {
  /** In a worker of its own, with these limits. */
  readonly host?: HostOptions;
  /** The loaded module whose place it takes; it may have the same names. */
  readonly replace?: Module | string;
}

/** What a kernel still has running, for tests and people: empty lists after shutdown. */
export interface Inspection {
  /** Workers: "cpu 1", and driver hosts by name. */
  readonly workers: string[];
  /** What structural operations and the pump of CPU 0 wait for. */
  readonly waits: string[];
  /** Timers of CPU 0 that are armed, and the one that keeps the process alive. */
  readonly timers: string[];
  /** Bytes of the arena that hang off interfaces, sockets and taps now; packet buffers and tables are not in it. */
  readonly arenaUsed: number;
}

/**
 * A running kernel, as its CPU 0 sees it: the thread that booted it. It keeps its process alive until it is shut
 * down. Properties, `resolve`, `blame` and `inspect` answer at any time, inside a section or hook and after shutdown too.
 */
export interface Kernel extends AsyncDisposable {
  /** Number of CPUs, 1 to 16. */
  readonly cpus: number;
  /** The first vnet: always there. */
  readonly vnet0: Vnet;
  /** Every vnet that is made and not gone, oldest first. */
  readonly vnets: readonly Vnet[];
  /** Every interface that is or was attached and is not freed, in order of index; a wedged one too. */
  readonly ifnets: readonly Ifnet[];
  /** Its modules. */
  readonly modules: Modules;
  /** Devices on its buses. */
  readonly devices: Devices;
  /** Number of grace periods so far: operations at the same time share one. */
  readonly gracePeriods: number;
  /** Epoch callbacks that have not run, of every CPU: what that CPU told last. */
  readonly pendingCallbacks: number;
  /**
   * Runs `fn` in a section that sees every vnet, on CPU 0; it may not await, and no structural operation begins in it.
   *
   * @throws {SoftcError} `SOFTC_EPOCH_ASYNC` when `fn` returns a promise, `SOFTC_EPOCH_ARGUMENT` when it is no function,
   * `SOFTC_DEV_REENTRANT` inside a hook, `SOFTC_BOOT_DOWN`; what `fn` throws
   */
  section<R>(fn: (s: Section) => Sync<R>): R;
  /** What a handle answers: for people and JSON, no permission to touch. */
  resolve(h: Handle): Resolved;
  /**
   * A snapshot, then every event, without a gap. With `after`, the events after that number instead of the snapshot,
   * when they are still kept (the last 1024 are). With `vnet`, only events that carry its name: `vnet` of the event.
   *
   * @example
   * ```ts
   * import { boot, vnetCreate } from "@softc/softc";
   *
   * const kernel = await boot();
   * const events = kernel.subscribe();
   * await vnetCreate(kernel.vnet0, "red");
   * for await (const e of events) {
   *   console.log(e.seq, e.type); // snapshot, then vnet
   *   if (e.type === "vnet") break;
   * }
   * await kernel.shutdown();
   * ```
   * @throws {SoftcError} `SOFTC_BOOT_DOWN`
   */
  subscribe(o?: { after?: number; vnet?: Vnet }): Subscription;
  /**
   * Stops every CPU for a moment and takes the books: exact, unlike counters that are read while CPUs run.
   *
   * @throws {SoftcError} `SOFTC_DRIVER_STALLED` when a CPU does not stop within 5000 ms; `SOFTC_DEV_REENTRANT` inside a
   * section or hook, `SOFTC_BOOT_DOWN`. All reject the promise
   */
  ledger(): Promise<Ledger>;
  /** Who holds what in the whole kernel, and since when. {@linkcode Ifnet.why} asks for one interface. */
  blame(): Blame[];
  /** What still runs. */
  inspect(): Inspection;
  /** Moves a virtual clock on by `ms` milliseconds (to the microsecond); timers that are due run after this turn, not in it. @throws {SoftcError} `SOFTC_BOOT_ARGUMENT` on a real one */
  advance(ms: number): void;
  /**
   * Detaches everything, unloads everything, stops every CPU; resolves with the closing books. Idempotent: every
   * call gets the first one's promise. What fails, or is not taken apart within `deadline` milliseconds of the kernel's
   * clock (30,000 unless told), is listed as wedged and rejects nothing. Not from a hook that awaits it: it waits for the hook.
   */
  shutdown(o?: { deadline?: number }): Promise<ShutdownReport>;
}

/** The books at the end, and what was left over: `leaks` and `wedged` are empty and `unaccounted` is 0, or something is wrong. */
export interface ShutdownReport extends Ledger {
  /** What nobody freed: mbufs, arena blocks, references, async sections, each with its owner. */
  readonly leaks: readonly string[];
  /** What did not come apart, by message: a wedged interface, a hook that did not answer, a CPU that died, what the deadline cut off. */
  readonly wedged: readonly string[];
}
