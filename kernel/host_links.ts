/**
 * The driver hosts that a CPU knows: what it imports in place of a hosted module is made from their borders.
 *
 * @module
 */
import { Border, type BorderConfig } from "../core/device/host_border.ts";
import { hostedModule, type HostFacts } from "../core/device/host_proxy.ts";
import type { ModuleDef } from "../core/device/module_def.ts";

/** What a CPU needs of a host. */
export interface HostLink {
  /** `softc-host:N`: what it imports. */
  readonly url: string;
  readonly buffer: SharedArrayBuffer;
  readonly config: BorderConfig;
  readonly facts: HostFacts;
  readonly deadline: number;
}

/** The links of one CPU. */
export class HostLinks {
  readonly #links = new Map<string, [HostLink, Partial<ModuleDef>]>();
  readonly #waiting = new Map<string, () => void>();

  /** Adds a host, with hooks of the module that only CPU 0 has. */
  put(link: HostLink, hooks: Partial<ModuleDef> = {}): void {
    this.#links.set(link.url, [link, hooks]);
    this.#waiting.get(link.url)?.();
    this.#waiting.delete(link.url);
  }

  /** Imports a module: of a host from its border, any other from its file. */
  readonly import = async (url: string): Promise<unknown> => {
    if (!url.startsWith("softc-host:")) return await import(url);
    // The link comes by message, the mail that asks for it may be faster.
    if (!this.#links.has(url)) await new Promise<void>((resolve) => this.#waiting.set(url, resolve));
    const [{ buffer, config, facts, deadline }, hooks] = this.#links.get(url)!;
    this.#links.delete(url);
    return { default: { ...hostedModule(new Border(buffer, config), facts, deadline), ...hooks } };
  };
}
