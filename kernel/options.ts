/** Options of boot, checked once. @module */
import { SoftcError } from "../core/error.ts";
import type { ArenaConfig } from "../core/memory/arena.ts";
import { MAGAZINE } from "../core/memory/arena.ts";
import { checkNames, type Names } from "../core/options.ts";
import { MAX_IFNETS } from "../core/net/handle.ts";

/** How a kernel is booted. `onFault` and `onLog` are called on CPU 0, sync, maybe inside a hook or section: they begin no structural operation in that turn; what they throw becomes a `fault` event. */
export interface BootOptions {
  /** CPUs: threads of the kernel, 1 to 16; 1 unless told. CPU 0 is the calling thread, the others are workers. */
  readonly cpus?: number;
  /** Bytes of the arena, 1 MiB to 2 GiB, all of it taken at boot; 64 MiB unless told. */
  readonly arena?: number;
  /** Slots for interfaces, 2 to 65,536, the first of which is nobody's; one per 8 KiB of arena, but 64 to 8192, unless told. */
  readonly ifnets?: number;
  /** Number of packet buffers, 64 to 131,072, rounded down to a multiple of 64; one per 4 KiB of arena, half of it, unless told. */
  readonly mbufs?: number;
  /** The sanitizer: touching freed memory throws (`SOFTC_ARENA_FREED`) and names who freed it. Slower; off unless told. */
  readonly debug?: boolean;
  /** `"virtual"`: time moves only by `kernel.advance(ms)`; `"real"` unless told. */
  readonly clock?: "real" | "virtual";
  /** Milliseconds that a driver's hook may take, 1 to 2^31; 5000 unless told. One that takes longer fails with `SOFTC_DRIVER_STALLED`; on the way in or out its interface is wedged. */
  readonly hookDeadline?: number;
  /** Aborting it shuts the kernel down, as `shutdown()` does. One that is aborted already is refused. */
  readonly signal?: AbortSignal;
  /** Told of every fault: a hook or callback that threw (`SOFTC_DRIVER_THREW`), a driver host that was lost (`SOFTC_HOST_*`) or left something (`SOFTC_ARENA_LEAK`), a CPU that died (`SOFTC_BOOT_CPU`). */
  onFault?(e: SoftcError): void;
  /** Told of every line that a driver logs; nobody is unless told. */
  onLog?(line: string): void;
}

const NAMES: Names<BootOptions> = {
  cpus: true,
  arena: true,
  ifnets: true,
  mbufs: true,
  debug: true,
  clock: true,
  hookDeadline: true,
  signal: true,
  onFault: true,
  onLog: true,
};

/** The arena's sizes for given options. @throws {SoftcError} `SOFTC_BOOT_ARGUMENT`, `SOFTC_OPTION_UNKNOWN` */
export function arenaConfig(o: BootOptions): ArenaConfig {
  const refuse = (what: string, state: string, wanted: string): never => {
    throw new SoftcError("SOFTC_BOOT_ARGUMENT", `Cannot boot with ${what}`, { state, wanted });
  };
  if (typeof o !== "object" || o === null) refuse("these options", String(o), "an object");
  checkNames("boot", o, NAMES);
  if (![undefined, "real", "virtual"].includes(o.clock)) {
    refuse("this clock", String(o.clock), '"real" or "virtual"');
  }
  if (o.signal !== undefined && typeof o.signal?.addEventListener !== "function") {
    refuse("this signal", typeof o.signal, "an AbortSignal");
  }
  for (const name of ["onFault", "onLog"] as const) {
    if (o[name] !== undefined && typeof o[name] !== "function") refuse(name, typeof o[name], "a function");
  }
  const cpus = whole("cpus", o.cpus ?? 1, 1, 16);
  const bytes = whole("arena", o.arena ?? 64 * 2 ** 20, 2 ** 20, 2 ** 31);
  const ifnets = whole(
    "ifnets",
    o.ifnets ?? Math.max(64, Math.min(8192, Math.floor(bytes / 2 ** 13))),
    2,
    MAX_IFNETS,
  );
  const mbufs = whole("mbufs", o.mbufs ?? Math.min(2 ** 17, Math.floor(bytes / 2 ** 12)), MAGAZINE, 2 ** 17);
  whole("hookDeadline", o.hookDeadline ?? 5000, 1, 2 ** 31);
  return {
    bytes,
    cpus,
    ifnets,
    vnets: Math.max(64, ifnets >> 1),
    mbufs: mbufs - mbufs % MAGAZINE,
    debug: o.debug === true,
  };
}

function whole(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new SoftcError("SOFTC_BOOT_ARGUMENT", `Cannot boot with ${name} ${String(value)}`, {
    wanted: `a whole number from ${min} to ${max}`,
  });
}
