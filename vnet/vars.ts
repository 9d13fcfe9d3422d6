/**
 * Virtualised variables: each vnet has its own value of each.
 *
 * Constructors run in ascending order, destructors in exact reverse; for every existing vnet when a module is
 * loaded or unloaded (behaviours 41 to 44).
 *
 * @module
 */
import type { VnetVars } from "../core/device/modules.ts";
import type { VnetVar } from "../core/net/vnet.ts";
import type { VnetObject } from "./vnet.ts";

/**
 * Declares a virtualised variable. It lives in every vnet while the module that lists it (`vnetVars`) is loaded.
 *
 * @example
 * ```ts
 * import { vnetVar } from "@softc/softc/vnet";
 *
 * const hits = vnetVar({ order: 10, init: () => ({ n: 0 }) });
 * console.log(hits.order);
 * ```
 */
export function vnetVar<T>(o: VnetVar<T>): VnetVar<T> {
  return o;
}

/** The variables of a kernel. */
export class VarTable implements VnetVars {
  readonly #vars: VnetVar<unknown>[] = [];
  readonly #vnets: () => Iterable<VnetObject>;
  readonly #onThrow: (what: string, cause: unknown) => void;

  /** `onThrow` is told of a destructor that throws: the others run all the same. */
  constructor(vnets: () => Iterable<VnetObject>, onThrow: (what: string, cause: unknown) => void) {
    this.#vnets = vnets;
    this.#onThrow = onThrow;
  }

  /** Constructs every variable in a new vnet; undoes its own work when one throws. */
  construct(v: VnetObject): void {
    this.#each(this.#vars, v);
  }

  /** Destructs every variable of a vnet, in reverse. */
  destruct(v: VnetObject): void {
    for (const x of [...this.#vars].reverse()) this.#end(x, v);
  }

  add(vars: readonly VnetVar<unknown>[]): void {
    const sorted = [...vars].sort((x, y) => x.order - y.order);
    const done: VnetObject[] = [];
    try {
      for (const v of this.#vnets()) {
        this.#each(sorted, v);
        done.push(v);
      }
    } catch (e) {
      for (const v of done.reverse()) for (const x of [...sorted].reverse()) this.#end(x, v);
      throw e;
    }
    this.#vars.push(...sorted);
    this.#vars.sort((x, y) => x.order - y.order);
  }

  remove(vars: readonly VnetVar<unknown>[]): void {
    const going = [...this.#vars].reverse().filter((x) => vars.includes(x));
    for (const v of [...this.#vnets()].reverse()) for (const x of going) this.#end(x, v);
    for (const x of going) this.#vars.splice(this.#vars.indexOf(x), 1);
  }

  #each(vars: readonly VnetVar<unknown>[], v: VnetObject): void {
    const made: VnetVar<unknown>[] = [];
    try {
      for (const x of vars) {
        v.values.set(x, x.init(v));
        made.push(x);
      }
    } catch (e) {
      for (const x of made.reverse()) this.#end(x, v);
      throw e;
    }
  }

  #end(x: VnetVar<unknown>, v: VnetObject): void {
    if (!v.values.has(x)) return;
    const value = v.values.get(x);
    v.values.delete(x);
    try {
      x.uninit?.(v, value);
    } catch (cause) {
      this.#onThrow(`a destructor of vnet "${v.name}"`, cause);
    }
  }
}
