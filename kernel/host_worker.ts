/**
 * The entry of a driver host: a worker with a kernel of its own, of one CPU, whose far side is a border.
 *
 * @module
 */
import { type PlainError, plainError } from "../core/cpu/cpu.ts";
import { Border, type BorderConfig } from "../core/device/host_border.ts";
import type { HostFacts } from "../core/device/host_proxy.ts";
import { openEndpoint } from "./endpoint.ts";
import { HostedKernel } from "./host_kernel.ts";

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

const endpoint = await openEndpoint();
const post = (news: HostNews): void => endpoint.post(news);
let host: HostedKernel | undefined;

async function start(s: HostStart): Promise<void> {
  try {
    host = await HostedKernel.start(new Border(s.buffer, s.config), s, (panic) => post({ panic }));
    post({ ready: host.facts });
  } catch (e) {
    post({ failed: plainError(e) });
  }
}

async function obey({ id, order }: HostOrder): Promise<void> {
  if (order === "quiesce") return post({ id, answer: await host!.quiesce() });
  post({ id, down: await host!.end() });
}

endpoint.listen((message) =>
  void ("order" in (message as object) ? obey(message as HostOrder) : start(message as HostStart))
);
post({ up: true });
