/**
 * Modules: loading on every CPU, and unloading in an order after which no function of the module is called.
 *
 * @module
 */
import type { Control } from "../cpu/control.ts";
import { MAIL } from "../cpu/mailbox.ts";
import { SoftcError } from "../error.ts";
import type { Events } from "../net/event.ts";
import type { VnetVar } from "../net/vnet.ts";
import type { Instances } from "./instances.ts";
import type { ModuleDef } from "./module_def.ts";

/** How a module is unloaded: refused while anything uses it; asked, then drained; or drained without asking. */
export type UnloadMode = "refuse" | "drain" | "force";

const NO_TYPESCRIPT =
  "this runtime runs no TypeScript: compile it and load the .js file, or use Deno, Bun, or Node 22.18 or later";

/** A loaded module. */
export interface Module {
  /** Its name: unique in the kernel. */
  readonly name: string;
  /** Where it came from. */
  readonly url: string;
  /** Where it is in its life. */
  readonly state: ModuleState;
  /** Names of its drivers. */
  readonly drivers: readonly string[];
  /** Names that `ifCloneCreate` takes. */
  readonly cloners: readonly string[];
  /** Interfaces that it has. */
  readonly instances: readonly string[];
  /** Modules that it needs. */
  readonly depends: readonly string[];
  /** Plain data. */
  toJSON(): object;
}

/** State of a module. */
export type ModuleState = "loading" | "loaded" | "closing" | "gone" | "wedged";

/** Something of a module that detaches when the module goes. */
export interface ModuleUser {
  readonly name: string;
  /** Its place among its module's users; -1 = none. */
  place: number;
  /** Asks for a veto. */
  canDetach(): Promise<true | string>;
  /** Detaches and destroys it. */
  remove(): Promise<void>;
}

/** The users of a module. No Set: what was in one outlives young collections in V8, and so all that hangs off it. */
export class ModuleUsers {
  readonly #all: ModuleUser[] = [];

  get size(): number {
    return this.#all.length;
  }

  add(u: ModuleUser): void {
    u.place = this.#all.push(u) - 1;
  }

  /** Idempotent. */
  delete(u: ModuleUser): void {
    if (u.place < 0) return;
    const last = this.#all.pop()!;
    if (last !== u) this.#all[u.place] = last;
    last.place = u.place;
    u.place = -1;
  }

  [Symbol.iterator](): Iterator<ModuleUser> {
    return this.#all[Symbol.iterator]();
  }
}

/** A module as CPU 0 keeps it. */
export class LoadedModule implements Module {
  state: ModuleState = "loading";
  /** Creates under way. */
  creating = 0;
  /** The worker that its code runs in, when it has one of its own. */
  host: HostedCode | undefined;
  readonly users = new ModuleUsers();

  constructor(readonly id: number, readonly def: ModuleDef, readonly url: string) {}

  get name(): string {
    return this.def.name;
  }
  get drivers(): string[] {
    return this.def.drivers.map((d) => d.name);
  }
  get cloners(): string[] {
    return this.def.drivers.flatMap((d) => d.cloner ?? []);
  }
  get instances(): string[] {
    return [...this.users].map((u) => u.name);
  }
  get depends(): readonly string[] {
    return this.def.depends ?? [];
  }
  toJSON(): object {
    const { name, url, state, drivers, cloners, instances, depends } = this;
    return { name, url, state, drivers, cloners, instances, depends };
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  toString(): string {
    return `module "${this.name}" (${this.state}, ${this.users.size} in use)`;
  }
}

/** What the vnet floor does for modules. */
export interface VnetVars {
  /** Runs the constructors for every vnet; undoes its own work when one throws. */
  add(vars: readonly VnetVar<unknown>[]): void;
  /** Runs the destructors for every vnet, in reverse. */
  remove(vars: readonly VnetVar<unknown>[]): void;
}

/** A module's code in a worker of its own: the kernel has a proxy in its place. */
export interface HostedCode {
  /** What every CPU imports: the proxy. */
  readonly url: string;
  /** Set when it was lost. */
  readonly lost: Error | undefined;
  /** Ends the worker; resolves when it has ended or was given up. */
  end(): Promise<void>;
}

/** What the modules of a kernel need. */
export interface ModulesHost {
  readonly control: Control;
  readonly instances: Instances;
  readonly events: Events;
  readonly vnetVars: VnetVars;
  /** Turns what the user gave into an absolute URL. */
  resolve(spec: string): string;
  /** Every epoch callback queued before has run, on every CPU. */
  drain(): Promise<void>;
  /** Milliseconds that a hook may take. */
  readonly hookDeadline: number;
}

/** The modules of a kernel, on CPU 0. */
export class ModuleTable {
  readonly #host: ModulesHost;
  readonly #byName = new Map<string, LoadedModule>();
  #nextId = 1;
  #loads = 0;

  constructor(host: ModulesHost) {
    this.#host = host;
  }

  /** Modules that are loaded, loading or closing. */
  all(): LoadedModule[] {
    return [...this.#byName.values()];
  }

  /** By name. @throws {SoftcError} `SOFTC_MODULE_UNKNOWN` */
  get(m: Module | string): LoadedModule {
    const name = typeof m === "string" ? m : String(m?.name);
    const found = this.#byName.get(name);
    if (found === undefined) {
      throw new SoftcError("SOFTC_MODULE_UNKNOWN", `Cannot find the module "${name}"`, {
        state: `loaded: ${[...this.#byName.keys()].join(", ") || "none"}`,
      });
    }
    return found;
  }

  /** The loaded module and driver that has a cloner. @throws {SoftcError} `SOFTC_DRIVER_UNKNOWN` */
  cloner(name: string): { module: LoadedModule; driver: ModuleDef["drivers"][number] } {
    for (const module of this.#byName.values()) {
      if (module.state !== "loaded") continue;
      for (const driver of module.def.drivers) if (driver.cloner === name) return { module, driver };
    }
    const known = this.all().flatMap((m) => m.def.drivers.map((d) => d.cloner)).filter((c) =>
      c !== undefined
    );
    throw new SoftcError("SOFTC_DRIVER_UNKNOWN", `Cannot find the cloner "${name}"`, {
      state: `known: ${known.join(", ") || "none"}`,
    });
  }

  /**
   * Loads a module on every CPU, or in a host that `start` starts. A failure midway undoes exactly what was done.
   * With `replace`, that module goes (mode `drain`) once the new code is there and fit to take its place.
   */
  async load(
    spec: URL | string,
    start?: (url: string) => Promise<HostedCode>,
    replace?: Module | string,
  ): Promise<LoadedModule> {
    const { control, instances, events, vnetVars } = this.#host;
    const url = this.#host.resolve(String(spec));
    const id = this.#nextId++;
    // Each load is a generation of its own: reloading gives fresh module state. The first keeps the plain URL.
    let from = this.#loads++ === 0 || !this.#loadedOnce.has(url)
      ? url
      : `${url}${url.includes("?") ? "&" : "?"}softc=${crypto.randomUUID()}`;
    this.#loadedOnce.add(url);
    const undo: (() => unknown)[] = [];
    try {
      const host = await start?.(url);
      if (host !== undefined) {
        undo.push(() => host.end());
        from = host.url;
      }
      undo.push(() => control.askAll(control.everyCpu, MAIL.dropModule, { a: id, label: "drop module" }));
      await control.ask(0, MAIL.importModule, { a: id, text: from, label: `import ${url}` });
      const module = new LoadedModule(id, instances.module(id)!, url);
      module.host = host;
      if (replace !== undefined) {
        this.#checkFree(module, this.get(replace));
        await this.unload(replace, "drain");
      }
      this.#claim(module);
      undo.push(() => this.#byName.delete(module.name));
      await control.askAll(control.everyCpu.slice(1), MAIL.importModule, {
        a: id,
        text: from,
        label: `import ${url}`,
      });
      const vars = module.def.vnetVars ?? [];
      vnetVars.add(vars);
      undo.push(() => vnetVars.remove(vars));
      await this.#hook(module, "load");
      this.#checkDepends(module);
      if (host?.lost !== undefined) throw host.lost;
      module.state = "loaded";
      events.emit("module", module.name, { detail: url });
      return module;
    } catch (cause) {
      for (const step of undo.reverse()) await step();
      if ((cause as Error).name === "SoftcError") throw cause;
      throw new SoftcError(
        "SOFTC_MODULE_LOAD",
        `Cannot load the module ${url}: ${(cause as Error).message}`,
        {
          cause,
          ...((cause as { code?: string }).code === "ERR_UNKNOWN_FILE_EXTENSION"
            ? { fix: NO_TYPESCRIPT }
            : {}),
        },
      );
    }
  }

  /**
   * Unloads: nothing new attaches; all are asked before any is stopped, and a veto resumes them; all detach,
   * sharing one grace period; destructors; callbacks drained; every CPU drops it and answers.
   */
  async unload(m: Module | string, mode: UnloadMode = "refuse"): Promise<void> {
    const { control, events, vnetVars } = this.#host;
    const module = this.get(m);
    if (!["refuse", "drain", "force"].includes(mode)) {
      throw new SoftcError("SOFTC_MODULE_ARGUMENT", `Cannot unload the module "${module.name}"`, {
        state: `mode ${String(mode)}`,
        wanted: '"refuse", "drain" or "force"',
      });
    }
    if (module.state !== "loaded") {
      throw new SoftcError("SOFTC_MODULE_STATE", `Cannot unload the module "${module.name}"`, {
        state: module.state,
        wanted: "loaded",
      });
    }
    const dependents = this.all().filter((x) => x !== module && x.depends.includes(module.name)).map((x) =>
      x.name
    );
    if (dependents.length > 0) {
      throw new SoftcError("SOFTC_MODULE_BUSY", `Cannot unload the module "${module.name}"`, {
        state: `needed by ${dependents.join(", ")}`,
        wanted: "needed by none",
      });
    }
    module.state = "closing";
    const resume = (what: string): never => {
      module.state = "loaded";
      throw new SoftcError("SOFTC_MODULE_BUSY", `Cannot unload the module "${module.name}"`, {
        state: what,
        wanted: "idle",
      });
    };
    await control.until(`unload ${module.name}: creates under way`, [], () => module.creating === 0);
    if (mode === "refuse" && module.users.size > 0) resume(`in use by ${module.instances.join(", ")}`);
    if (mode !== "force") {
      const no = await this.#veto(module);
      if (no !== undefined) resume(no);
    }
    const users = [...module.users];
    const results = await Promise.allSettled(users.map((u) => u.remove()));
    const failed = results.find((r) => r.status === "rejected");
    if (failed !== undefined) {
      module.state = "wedged";
      throw failed.reason;
    }
    vnetVars.remove(module.def.vnetVars ?? []);
    await this.#host.drain();
    try {
      await this.#hook(module, "unload");
    } catch (e) {
      events.emit("fault", module.name, { detail: `unload failed: ${(e as Error).message}` });
    }
    await control.askAll(control.everyCpu, MAIL.dropModule, { a: module.id, label: "drop module" });
    await module.host?.end();
    module.state = "gone";
    this.#byName.delete(module.name);
    events.emit("module gone", module.name);
  }

  /** A host was lost: what it had goes without being asked, and its module's name is free again. */
  async lost(host: HostedCode): Promise<void> {
    const module = this.all().find((m) => m.host === host);
    if (module?.state !== "loaded") return;
    try {
      await this.unload(module, "force");
    } catch (e) {
      module.state = "wedged";
      throw e;
    }
  }

  /** What keeps a module from being unloaded, in words: for `--explain`. */
  async explain(m: Module | string): Promise<string[]> {
    const module = this.get(m);
    const dependents = this.all().filter((x) => x.depends.includes(module.name)).map((x) =>
      `module "${x.name}" depends on it`
    );
    const users = module.instances.map((name) => `interface ${name} is attached`);
    const veto = await this.#veto(module);
    return [...dependents, ...users, ...(veto === undefined ? [] : [veto])];
  }

  readonly #loadedOnce = new Set<string>();

  /** Calls a hook of the module itself, with a driver hook's deadline. */
  async #hook<N extends "load" | "quiesce" | "unload">(
    module: LoadedModule,
    name: N,
  ): Promise<Awaited<ReturnType<NonNullable<ModuleDef[N]>>> | undefined> {
    const { control, hookDeadline } = this.#host;
    const answer = module.def[name]?.();
    return (answer instanceof Promise
      ? await control.own<unknown>(answer, `hook "${name}" of module "${module.name}"`, hookDeadline)
      : answer) as Awaited<ReturnType<NonNullable<ModuleDef[N]>>> | undefined;
  }

  async #veto(module: LoadedModule): Promise<string | undefined> {
    try {
      const no = await this.#hook(module, "quiesce") ?? true;
      if (no !== true) return `module says: ${no}`;
    } catch (e) {
      return `quiesce failed: ${(e as Error).message}`;
    }
    for (const u of module.users) {
      const answer = await u.canDetach().catch((e: Error) => `canDetach failed: ${e.message}`);
      if (answer !== true) return `${u.name} says: ${answer}`;
    }
    return undefined;
  }

  #claim(module: LoadedModule): void {
    this.#checkFree(module);
    this.#byName.set(module.name, module);
  }

  /** Throws unless its names are free, or those of the one that it replaces. */
  #checkFree(module: LoadedModule, replaced?: LoadedModule): void {
    const there = this.#byName.get(module.name);
    if (there !== undefined && there !== replaced) {
      throw new SoftcError("SOFTC_MODULE_EXISTS", `Cannot load the module "${module.name}"`, {
        state: there.state,
        wanted: "not loaded",
      });
    }
    this.#checkDepends(module);
    for (const d of module.def.drivers) {
      const other = this.all().find((m) =>
        m !== replaced &&
        m.def.drivers.some((x) => x.name === d.name || (d.cloner !== undefined && x.cloner === d.cloner))
      );
      if (other !== undefined) {
        throw new SoftcError(
          "SOFTC_MODULE_EXISTS",
          `Cannot load the driver "${d.name}" of module "${module.name}"`,
          { state: `module "${other.name}" has it`, wanted: "unique" },
        );
      }
    }
  }

  #checkDepends(module: LoadedModule): void {
    const missing = module.depends.filter((d) => this.#byName.get(d)?.state !== "loaded");
    if (missing.length > 0) {
      throw new SoftcError("SOFTC_MODULE_DEPENDS", `Cannot load the module "${module.name}"`, {
        state: `missing: ${missing.join(", ")}`,
        wanted: "all loaded",
      });
    }
  }
}
