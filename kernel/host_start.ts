/** What CPU 0 and a driver host's worker say to each other; everything else goes across the border. @module */
import type { PlainError } from "../core/cpu/cpu.ts";
import type { BorderConfig } from "../core/device/host_border.ts";
import type { HostFacts } from "../core/device/host_proxy.ts";

/** What the kernel sends first. */
export interface HostStart {
  readonly buffer: SharedArrayBuffer;
  readonly config: BorderConfig;
  /** The module. */
  readonly url: string;
  /** Bytes of the host's own arena. */
  readonly arena: number;
  /** Milliseconds that a hook may take. */
  readonly deadline: number;
  readonly debug: boolean;
}

/** What it orders later. */
export interface HostOrder {
  readonly id: number;
  readonly order: "quiesce" | "end";
}

/** What the host says. */
export type HostNews =
  | { readonly up: true }
  | { readonly ready: HostFacts }
  | { readonly failed: PlainError }
  | { readonly panic: string }
  | { readonly id: number; readonly answer: true | string }
  /** What it left behind. */
  | { readonly id: number; readonly down: readonly string[] };
