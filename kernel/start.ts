/** What CPU 0 and a CPU's worker say to each other when one starts. @module */
import type { PlainError } from "../core/cpu/cpu.ts";
import type { ArenaConfig } from "../core/memory/arena.ts";
import type { HostLink } from "./host_links.ts";

/** What CPU 0 sends first. */
export interface CpuStart {
  readonly id: number;
  readonly memory: WebAssembly.Memory;
  readonly config: ArenaConfig;
  readonly virtualClock: boolean;
}

/** How the worker's life goes, as it tells CPU 0. */
export type CpuNews = { readonly up: true } | { readonly ready: true } | { readonly down: true } | {
  readonly died: PlainError;
};

/** A driver host that it will be told to import from. */
export interface CpuLink {
  readonly link: HostLink;
}
