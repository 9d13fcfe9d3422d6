/**
 * A vnet: a network of its own inside the kernel.
 *
 * @module
 */
import type { Interfaces } from "../core/net/interfaces.ts";
import type { Ifnet } from "../core/net/ifnet.ts";
import type { IfEntry } from "../core/net/interfaces.ts";
import type { Section, Sync } from "../core/net/section.ts";
import type { Vnet, VnetVar } from "../core/net/vnet.ts";
import { runSection } from "./section.ts";

/** A vnet as CPU 0 keeps it. */
export class VnetObject implements Vnet {
  state: Vnet["state"] = "making";
  /** Transactions that need it to stay: destroy waits for them. */
  holds = 0;
  readonly children = new Set<VnetObject>();
  readonly values = new Map<VnetVar<unknown>, unknown>();
  readonly #ifs: Interfaces;
  readonly #wrap: (e: IfEntry) => Ifnet;

  constructor(
    readonly id: number,
    readonly name: string,
    readonly parent: VnetObject | undefined,
    ifs: Interfaces,
    wrap: (e: IfEntry) => Ifnet,
  ) {
    this.#ifs = ifs;
    this.#wrap = wrap;
  }

  get ifnets(): readonly Ifnet[] {
    return this.#ifs.inVnet(this.id).map((e) => this.#wrap(e));
  }

  section<R>(fn: (s: Section) => Sync<R>): R {
    return runSection(this.#ifs.net, this, fn);
  }

  get<T>(x: VnetVar<T>): T {
    return this.values.get(x as VnetVar<unknown>) as T;
  }

  toJSON(): object {
    return {
      id: this.id,
      name: this.name,
      parent: this.parent?.name,
      state: this.state,
      ifnets: this.#ifs.inVnet(this.id).map((e) => e.name),
    };
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  toString(): string {
    return `vnet "${this.name}" (${this.state})`;
  }
}
