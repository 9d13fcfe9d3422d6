/**
 * A driver seen from outside: every hook and every call of `dev` is noted, and one of them can be made to fail.
 *
 * Only the driver of the cloner is noted, not what else its module has: that may be the other side of its device.
 * Works on CPU 0 alone: the journal is an object of this thread. On another CPU the driver is as it was.
 *
 * @module
 */
import type { DeviceId, Driver, ModuleDef } from "../../core/device/mod.ts";
import { BID } from "../../core/device/probe.ts";

/** A hook that was entered or left, or a call of `dev`. */
export interface Noted {
  /** The instance, by its shown name. */
  readonly of: string;
  /** `"transmit"`, `"transmit ends"`, `"dev.txDone"`. */
  readonly what: string;
}

/** What a rule sees of the driver and does to it. */
export class Journal {
  readonly notes: Noted[] = [];
  /** Calls of `dev` so far. */
  calls = 0;
  /** The call of `dev` that throws; 0 = none. */
  failAt = 0;
  /** Called once, at the call of `dev` with number `at`: something happens just then. */
  moment: { readonly at: number; readonly fn: () => void } | undefined;
  /** Hooks that throw: on entry, or when their work is done where that is what ends the instance. */
  readonly failHooks: Set<string> = new Set<string>();
  /** What the driver did against a rule that only the instrument can see. */
  readonly wrongs: { readonly rule: string; readonly what: string }[] = [];

  /** What was noted of one kind, in order. */
  whats(): string[] {
    return this.notes.map((n) => n.what);
  }
}

const journals = new Map<string, Journal>();
let made = 0;

/** A bus on which every device is the tried driver's: so that any driver can be pulled out. */
export const BUS = "conformance";

/**
 * Text of a module that loads the driver at `url` under a journal; forget it when done. The driver of `cloner`
 * takes every device of {@linkcode BUS}.
 */
export function instrumented(
  url: string,
  cloner: string,
): { spec: string; journal: Journal; forget: () => void } {
  const id = String(++made);
  const journal = new Journal();
  journals.set(id, journal);
  // The comment at its end takes what a second load appends to the URL.
  const text = `import { instrument } from ${JSON.stringify(import.meta.url)};
import * as m from ${JSON.stringify(url)};
export default instrument(${JSON.stringify(id)}, ${JSON.stringify(cloner)}, m.default); //`;
  return {
    spec: `data:text/javascript,${encodeURIComponent(text)}`,
    journal,
    forget: () => void journals.delete(id),
  };
}

type Fn = (...args: unknown[]) => unknown;
type Wrap = (target: object, name: string) => object;

/** The same driver, module or list, noted in a journal. Called by the text of {@linkcode instrumented}. */
export function instrument(id: string, cloner: string, exported: unknown): unknown {
  const journal = journals.get(id);
  if (journal === undefined || typeof exported !== "object" || exported === null) return exported;
  const driver = (d: Driver<never>): unknown => d?.cloner === cloner ? found(noted(d, journal)) : d;
  if (Array.isArray(exported)) return exported.map((d) => driver(d as Driver<never>));
  if ("drivers" in exported && Array.isArray(exported.drivers)) {
    const m = exported as ModuleDef;
    return { ...m, drivers: m.drivers.map((d) => driver(d as Driver<never>)) };
  }
  return driver(exported as Driver<never>);
}

/** The same driver, which takes every device of the bus. */
function found(own: Driver<never>): Driver<never> {
  return {
    ...own,
    match: [...own.match ?? [], { bus: BUS }],
    probe: (id: DeviceId) => id.bus === BUS ? BID.SPECIFIC : own.probe?.(id) ?? BID.DEFAULT,
  };
}

const HOOKS = ["set", "canDetach", "canMove", "reassign", "stop", "destroy", "close", "transmit"] as const;

/** Hooks that do what nobody else can do for them: had they done nothing, a device would keep what it was given. */
const ENDING: ReadonlySet<string> = new Set(["stop", "close"]);

const PLANTED = "PlantedError";

function planted(where: string): Error {
  return Object.assign(new Error(`planted in ${where}`), { name: PLANTED });
}

/** Whether an error is one that the journal threw, or comes of one. */
export function isPlanted(e: unknown): boolean {
  return e instanceof Error && (e.name === PLANTED || isPlanted(e.cause));
}

/** What is passed to core must be core's own object: proxies are taken off. */
const behind = new WeakMap<object, object>();
const own = (x: unknown): unknown => typeof x === "object" && x !== null ? behind.get(x) ?? x : x;

function proxy(target: object, get: (name: string | symbol) => unknown): object {
  const p = new Proxy(target, {
    get: (_t, name) => get(name),
    set: (t, name, value) => Reflect.set(t, name, value, t),
  });
  behind.set(p, target);
  return p;
}

function noted(d: Driver<never>, journal: Journal): Driver<never> {
  const out: Record<string, unknown> = { ...(d as object) };
  /** Instance of each softc and of each CPU's part; hidden in it, for the sanitizer puts a proxy around it. */
  const NAME = Symbol("instance");
  const nameOf = (sc: object): string => (sc as Record<symbol, string>)[NAME] ?? "?";
  const states = new Map<string, "live" | "stopped" | "destroyed">();

  const counted = (call: string): void => {
    journal.calls++;
    if (journal.calls === journal.moment?.at) journal.moment.fn();
    if (journal.calls === journal.failAt) {
      throw planted(`call ${journal.calls} of dev, ${call}`);
    }
  };

  const dev: Wrap = (target, name) => {
    const methods = new Map<string | symbol, Fn>();
    return proxy(target, (key) => {
      const value = Reflect.get(target, key, target) as unknown;
      if (key === "peers") {
        return (value as readonly object[]).map((p) =>
          proxy(p, (k) => {
            const fn = Reflect.get(p, k, p) as unknown;
            return typeof fn === "function" ? (...a: unknown[]) => (fn as Fn).apply(p, a.map(own)) : fn;
          })
        );
      }
      if (typeof value !== "function" || key === "constructor") return value;
      let fn = methods.get(key);
      if (fn === undefined) {
        fn = (...args) => {
          const call = String(key);
          journal.notes.push({ of: name, what: `dev.${call}` });
          const state = states.get(name);
          if (state === "destroyed") {
            journal.wrongs.push({ rule: "D24", what: `dev.${call} of ${name} during or after destroy` });
          } else if (state === "stopped" && call === "ifInput") {
            journal.wrongs.push({ rule: "D25", what: `dev.ifInput of ${name} after stop` });
          }
          counted(call);
          try {
            return (value as Fn).apply(target, args.map(own));
          } catch (e) {
            if ((e as { code?: string }).code === "SOFTC_DEV_SCOPE") {
              journal.wrongs.push({
                rule: "D26",
                what: `dev.${call} of ${name} after stop: ${(e as Error).message}`,
              });
            }
            throw e;
          }
        };
        // A timer that is set after stop is refused by the timer, not by dev.
        if (key === "timer") fn = timerOf(value as Fn, target, name);
        methods.set(key, fn);
      }
      return fn;
    });
  };

  const timerOf = (make: Fn, target: object, name: string): Fn => (...args) => {
    journal.notes.push({ of: name, what: "dev.timer" });
    counted("timer");
    const t = make.apply(target, args) as { set(ms: number): void; cancel(): void };
    return {
      cancel: () => t.cancel(),
      set(ms: number): void {
        try {
          t.set(ms);
        } catch (e) {
          journal.wrongs.push({ rule: "D26", what: `a timer of ${name} armed after stop` });
          throw e;
        }
      },
    };
  };

  const enter = (hook: string, name: string): void => {
    journal.notes.push({ of: name, what: hook });
    const state = states.get(name);
    if (hook === "stop") states.set(name, "stopped");
    if (hook === "destroy") states.set(name, "destroyed");
    if (state === "destroyed") journal.wrongs.push({ rule: "D22", what: `${hook} of ${name} after destroy` });
    if (journal.failHooks.has(hook) && !ENDING.has(hook)) throw planted(hook);
  };
  const leave = (hook: string, name: string): void => {
    journal.notes.push({ of: name, what: `${hook} ends` });
    if (journal.failHooks.has(hook)) throw planted(hook);
  };
  const around = <R>(hook: string, name: string, fn: () => R): R => {
    enter(hook, name);
    const result = fn();
    if (isPromise(result)) {
      if (hook === "transmit") journal.wrongs.push({ rule: "D11", what: "transmit answered with a promise" });
      return result.then((x) => (leave(hook, name), x)) as R;
    }
    leave(hook, name);
    return result;
  };

  const remember = (made: unknown, name: string): unknown => {
    if (typeof made === "object" && made !== null && Object.isExtensible(made)) {
      Object.defineProperty(made, NAME, { value: name, configurable: true, writable: true });
    }
    return made;
  };
  const maker = (hook: "attach" | "open"): void => {
    const fn = (d as unknown as Record<string, unknown>)[hook] as Fn | undefined;
    if (fn === undefined) return;
    out[hook] = (target: object, ...rest: unknown[]) => {
      const name = (target as { name?: string }).name ?? "?";
      if (hook === "attach") states.set(name, "live");
      const made = around(hook, name, () => fn.call(d, dev(target, name), ...rest));
      return isPromise(made) ? made.then((x) => remember(x, name)) : remember(made, name);
    };
  };
  maker("attach");
  maker("open");
  for (const hook of HOOKS) {
    const fn = (d as unknown as Record<string, unknown>)[hook] as Fn | undefined;
    if (fn === undefined) continue;
    out[hook] = (sc: object, ...rest: unknown[]) => {
      const name = nameOf(sc);
      if (hook !== "transmit") return around(hook, name, () => fn.call(d, sc, ...rest));
      let live = true;
      const target = rest[0] as object;
      const batch = proxy(target, (key) => {
        if (!live) journal.wrongs.push({ rule: "D12", what: `batch.${String(key)} after transmit returned` });
        const value = Reflect.get(target, key, target) as unknown;
        return typeof value === "function"
          ? (...a: unknown[]) => (value as Fn).apply(target, a.map(own))
          : value;
      });
      const length = (target as { length: number }).length;
      try {
        const n = around(hook, name, () => fn.call(d, sc, batch, ...rest.slice(1)));
        if (!isPromise(n) && !(Number.isInteger(n) && n as number >= 0 && n as number <= length)) {
          journal.wrongs.push({ rule: "D10", what: `transmit answered ${String(n)} of ${length}` });
        }
        return n;
      } finally {
        live = false;
      }
    };
  }
  return out as unknown as Driver<never>;
}

function isPromise(x: unknown): x is Promise<unknown> {
  return typeof x === "object" && x !== null && typeof (x as { then?: unknown }).then === "function";
}
