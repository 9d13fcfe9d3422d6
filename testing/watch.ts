/**
 * A driver at work while it is written: a small lab with traffic, reloaded on every save.
 *
 * The driver runs in a driver host, so its old code really goes: the next generation's worker imports the files
 * while the old one still works, then takes its place with index, name and counters (`replace`, `hints`). What
 * does not load leaves the old generation at work; what throws takes its interface down until the next save.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { checkNames, type Names } from "../core/options.ts";
import {
  boot,
  discard,
  ifCloneCreate,
  type IfJSON,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  isSoftcError,
  type Kernel,
  mAlloc,
  type Module,
  type ShutdownReport,
  SoftcError,
} from "../mod.ts";
import { frameOf } from "./conformance/lab.ts";
import { SourceFiles, type SourceLine } from "./watch_source.ts";

/** What is left of a generation that was replaced: all zero, or something holds on. */
export interface GenerationLeft {
  /** Its number, from 1 on. */
  readonly generation: number;
  /** Workers that have not ended: one in a busy loop is ended by no runtime. */
  readonly workers: number;
  /** Handles of its interfaces that still name a slot in use, and references. */
  readonly handles: number;
  /** Packets in the kernel: nobody else has any while no interface is there. */
  readonly mbufs: number;
}

/** What happens to a watched driver. */
export type WatchEvent =
  | {
    /** A generation runs: its interfaces are UP. */
    readonly type: "running";
    /** From 1 on. */
    readonly generation: number;
    /** Milliseconds since the file was saved (for the first: since the start). */
    readonly ms: number;
    /** Its interfaces. */
    readonly ifnets: readonly IfJSON[];
    /** What is left of the generation before. */
    readonly before?: GenerationLeft;
  }
  | {
    /** The file does not load, or a hook threw. */
    readonly type: "error";
    /** The generation that it happened in. */
    readonly generation: number;
    /** What was thrown. */
    readonly error: Error;
    /** The author's line. */
    readonly at?: SourceLine;
    /** Whether something runs all the same: the generation before, when the new one did not load. */
    readonly running: boolean;
    /** Whether it happened on its way out: the next generation comes all the same. */
    readonly leaving: boolean;
  }
  | {
    /** The driver logged a line. */
    readonly type: "log";
    readonly line: string;
  };

/** How a driver is watched. */
export interface WatchOptions {
  /** Told of everything, in order; what does not load or throws comes here, too, as `error`. */
  onEvent(e: WatchEvent): void;
  /** Cloner of its interfaces; the module's first unless told. */
  readonly cloner?: string;
  /** Options for every create. */
  readonly options?: unknown;
  /** Packets of 64 bytes sent through each of its interfaces per second; 1000 unless told, 6400 at most. */
  readonly rate?: number;
}

const NAMES: Names<WatchOptions> = { onEvent: true, cloner: true, options: true, rate: true };

/** A driver that is watched. */
export interface DriverWatch {
  /** The lab's kernel. */
  readonly kernel: Kernel;
  /** The interfaces of the generation that ran last. */
  readonly ifnets: readonly Ifnet[];
  /** Workers in a busy loop: they run on until the process exits, and keep it from ending by itself. */
  readonly spinning: number;
  /** Ends the lab; resolves with the closing books. */
  stop(): Promise<ShutdownReport>;
}

/** Milliseconds between two looks at the files, and between two batches. */
const LOOK = 15;
const TICK = 10;

/**
 * Runs a driver from its file and reloads it whenever it, or what it imports by relative paths, is saved.
 *
 * @example
 * ```ts
 * import { fileURLToPath } from "node:url";
 * import { watchDriver } from "@softc/softc/testing";
 *
 * const path = fileURLToPath(import.meta.resolve("@softc/softc/drivers/null")); // or "./mynic.ts"
 * const watch = await watchDriver(path, { onEvent: (e) => console.log(e.type) });
 * // save the file ...
 * await watch.stop();
 * ```
 * @throws {SoftcError} `SOFTC_MODULE_LOAD` when there is no such file, `SOFTC_OPTION_UNKNOWN`, `SOFTC_BOOT_CPU` when the lab's kernel does not boot
 */
export async function watchDriver(path: string, o: WatchOptions): Promise<DriverWatch> {
  checkNames(`watch ${path}`, o, NAMES);
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new SoftcError("SOFTC_MODULE_LOAD", `Cannot watch ${path}`, {
      state: "no such file",
      wanted: "a driver's file",
    });
  }
  const watched = new Watched(file, o);
  await watched.start();
  return watched;
}

class Watched implements DriverWatch {
  kernel!: Kernel;
  ifnets: readonly Ifnet[] = [];
  readonly #file: string;
  readonly #o: WatchOptions;
  readonly #files: SourceFiles;
  readonly #spun = new Set<number>();
  #generation = 0;
  #module: Module | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  #reloading: Promise<void> = Promise.resolve();
  #busy = false;
  /** The old generation goes, the new one has made nothing yet. */
  #leaving = false;
  /** What was told since the last save: a fault while it attaches is what its create is refused with, too. */
  #told = new Set<string>();
  /** Packets that the rate still owes. */
  #owed = 0;

  constructor(file: string, o: WatchOptions) {
    this.#file = file;
    this.#o = o;
    this.#files = new SourceFiles(file);
  }

  async start(): Promise<void> {
    this.kernel = await boot({
      arena: 16 << 20,
      onFault: (e) => this.#tell(e),
      onLog: (line) => this.#o.onEvent({ type: "log", line }),
    });
    discard(this.kernel.vnet0);
    await this.#reload(Date.now());
    this.#timers = [setInterval(() => this.#look(), LOOK), setInterval(() => this.#send(), TICK)];
  }

  async stop(): Promise<ShutdownReport> {
    for (const t of this.#timers) clearInterval(t);
    await this.#reloading;
    return await this.kernel.shutdown();
  }

  get spinning(): number {
    return this.#spun.size;
  }

  get #running(): boolean {
    return this.ifnets.some((i) => i.state === "attached");
  }

  /** One reload at a time; a save meanwhile is found by the next look. */
  #look(): void {
    if (this.#busy) return;
    const saved = this.#files.saved();
    if (saved === undefined) return;
    this.#busy = true;
    // A file that was moved here keeps an old time.
    const since = Math.max(saved, Date.now() - 1000);
    this.#reloading = this.#reload(since).finally(() => this.#busy = false);
  }

  async #reload(since: number): Promise<void> {
    this.#files.take();
    const generation = this.#generation + 1;
    const hints = this.ifnets.map((i) => ({ index: i.index, name: i.name, totals: i.counters }));
    const replaced = this.#module?.state === "loaded" ? { replace: this.#module } : {};
    this.#leaving = true;
    this.#told.clear();
    try {
      this.#module = await this.kernel.modules.load(pathToFileURL(this.#file), { host: {}, ...replaced });
    } catch (e) {
      this.#leaving = false;
      return this.#tell(e as Error, generation);
    }
    try {
      const before = generation === 1 ? {} : { before: await this.#left(generation - 1) };
      this.#leaving = false;
      this.#generation = generation;
      const cloner = this.#o.cloner ?? this.#module.cloners[0] ?? this.#module.name;
      const { options } = this.#o;
      const made = await ifCloneCreate(this.kernel.vnet0, cloner, {
        hints,
        ...(options === undefined ? {} : { options }),
      }).catch(refused(`attach of "${cloner}"`));
      this.ifnets = made;
      for (const i of made) await i.up().catch(refused(`bringing up ${i.name}`));
      const ifnets = made.map((i) => i.toJSON());
      this.#o.onEvent({ type: "running", generation, ms: Math.round(Date.now() - since), ifnets, ...before });
    } catch (e) {
      this.#tell(e as Error);
    }
  }

  /** What is left of the old generation, before the new one makes anything. */
  async #left(generation: number): Promise<GenerationLeft> {
    const held = this.kernel.blame().filter((b) => b.what.startsWith("reference"));
    const handles = this.ifnets.filter((i) => this.kernel.resolve(i.handle) !== "gone");
    const { live } = await this.kernel.ledger();
    return {
      generation,
      workers: this.kernel.inspect().workers.length - 1 + (this.#spun.has(generation) ? 1 : 0),
      handles: handles.length + held.length,
      mbufs: live.reduce((n, l) => n + l.lives, 0),
    };
  }

  #tell(error: Error, generation = this.#generation): void {
    if (this.#told.has(error.message)) return;
    this.#told.add(error.message);
    const at = this.#files.locate(error);
    if (isSoftcError(error, "SOFTC_HOST_STALLED")) this.#spun.add(generation);
    // A fault takes its interface down a little later; what an old generation does on its way out stops nothing.
    const leaving = generation === this.#generation && this.#leaving;
    const running = generation > this.#generation && this.#running;
    const where = at === undefined ? {} : { at };
    this.#o.onEvent({ type: "error", generation, error, running, leaving, ...where });
  }

  /** Sends what the rate owes, in batches of at most 64. */
  #send(): void {
    this.#owed = Math.min(64, this.#owed + (this.#o.rate ?? 1000) * TICK / 1000);
    const n = Math.floor(this.#owed);
    this.#owed -= n;
    for (const i of this.ifnets) {
      try {
        this.kernel.vnet0.section((s) => {
          const p = ifnetByHandle(s, i.handle);
          if (p === undefined || n === 0) return;
          const b = mAlloc(s, n, 64);
          for (let k = 0; k < b.length; k++) b.copyFrom(k, FRAME);
          ifOutput(s, p, b);
        });
      } catch (e) {
        if (!isSoftcError(e, "SOFTC_BOOT_DOWN")) throw e;
      }
    }
  }
}

const FRAME = frameOf(64);

/** Says what an author's own error kept from happening; a SoftcError does by itself. */
function refused(what: string): (e: unknown) => never {
  return (e) => {
    throw isSoftcError(e) ? e : new Error(`${what} threw: ${(e as Error).message}`, { cause: e });
  };
}
