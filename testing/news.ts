/** What the coordinator and the threads' workers tell each other by message. @module */
import type { PlainError } from "../core/cpu/cpu.ts";
import type { ArenaConfig } from "../core/memory/arena.ts";
import type { ScenarioSource } from "./load.ts";
import type { Note } from "./thread.ts";

/** What the coordinator sends first. */
export interface ThreadStart {
  readonly source: ScenarioSource;
  readonly thread: number;
  readonly block: SharedArrayBuffer;
  readonly memory: WebAssembly.Memory;
  readonly config: ArenaConfig;
  readonly spins: number;
}

/** What a thread tells the coordinator. */
export type ThreadNews =
  | { readonly up: true }
  | { readonly ready: true }
  | { readonly failed: PlainError }
  | { readonly threw: PlainError; readonly thread: number }
  | { readonly notes: readonly Note[]; readonly thread: number };
