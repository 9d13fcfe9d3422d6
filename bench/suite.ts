/**
 * A file of `suite/` exports a {@linkcode Suite} as `suite`, and is part of the bench by that. What several
 * of them use is here.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { BORN } from "../core/memory/counters.ts";
import { ifOutput } from "../core/net/output.ts";
import { Frame } from "../core/net/pktgen.ts";
import { ifnetByIndexAttached } from "../core/net/section.ts";
import { ownKernel } from "../kernel/api.ts";
import { boot, type BootOptions, type Ifnet, type Kernel, type Pktgen } from "../mod.ts";
import { type Case, nsPerOp } from "./harness.ts";
import { peer, type PeerJob } from "./peers/process.ts";
import type { Target } from "./targets.ts";

/** What a file measures, and the ratios of it that a run is judged by beside those of targets.ts. */
export interface Suite {
  readonly cases: readonly Case[];
  readonly targets?: readonly Target[];
}

/** Every file of `suite/`, in the order of their names. */
export async function suites(): Promise<Suite[]> {
  const folder = new URL("./suite/", import.meta.url);
  const files = readdirSync(folder).filter((f) => f.endsWith(".ts")).sort();
  return await Promise.all(
    files.map(async (f) => (await import(`./suite/${f}`) as { suite: Suite }).suite),
  );
}

/** A case that a C peer measures. */
export function peerCase(
  group: string,
  name: string,
  unit: string,
  job: PeerJob,
): Case {
  return { group, name, unit, setup: () => peer(job) };
}

/** A frame of `bytes` bytes of a locally administered address. */
export function frame(bytes: number): Uint8Array {
  const f = new Uint8Array(bytes);
  f.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
  return f;
}

/** Shuts down; throws when a packet or anything else is left. */
export async function checked(
  kernel: Kernel,
  streams: Pktgen[] = [],
): Promise<void> {
  for (const s of streams) await s.stop();
  const { unaccounted, leaks } = await kernel.shutdown();
  if (unaccounted !== 0 || leaks.length > 0) {
    throw new Error(
      `${unaccounted} packets unaccounted for; leaks: ${leaks.join(", ")}`,
    );
  }
}

/** A thing that the cases of a group share: made by the first that takes it, ended when the last gives it back. */
export class Shared<T> {
  #made: Promise<T> | undefined;
  #users = 0;

  constructor(readonly make: () => Promise<T>, readonly end: (made: T) => Promise<void>) {}

  /** Takes it. */
  take(): Promise<T> {
    this.#users++;
    return this.#made ??= this.make();
  }

  /** Gives it back. */
  async give(): Promise<void> {
    if (--this.#users > 0) return;
    const made = this.#made!;
    this.#made = undefined;
    await this.end(await made);
  }
}

/** A kernel that the cases of a group share, as a program has one. */
export function sharedKernel<T>(
  options: BootOptions,
  prepare: (kernel: Kernel) => Promise<T>,
): Shared<[Kernel, T]> {
  return new Shared<[Kernel, T]>(
    async () => {
      const kernel = await boot(options);
      return [kernel, await prepare(kernel) as T] satisfies [Kernel, T];
    },
    ([kernel]) => checked(kernel),
  );
}

/** Packets of a batch where nothing else is said. */
export const BATCH = 32;

/**
 * Sends one batch of a frame through each interface in turn, from CPU 0, in the interface's vnet; returns how
 * many packets. Without the pump, so that the path alone is measured.
 */
export function sender(
  kernel: Kernel,
  ifnets: readonly Ifnet[],
  bytes: Uint8Array = frame(64),
): () => number {
  const { net } = ownKernel(kernel).parts;
  const { arena, cpu } = net;
  const indices = Int32Array.from(ifnets, (i) => i.index);
  const vnets = Int32Array.from(ifnets, (i) => i.vnet.id);
  const content = new Frame(bytes);
  return () => {
    for (let k = 0; k < indices.length; k++) {
      const s = net.open(vnets[k]!);
      const b = net.borrow(0);
      const p = ifnetByIndexAttached(s, indices[k]!);
      b.n = cpu.pool.alloc(b.ids, 0, BATCH, BORN.stack, bytes.length);
      content.fill(arena, cpu.pool, b.ids, b.n);
      ifOutput(s, p!, b);
      net.giveBack();
      net.close(s);
    }
    return indices.length * BATCH;
  };
}

/** Calls a sender for `ms`, `times` between two looks at the clock; nanoseconds per packet. */
export function nsPerPacket(
  ms: number,
  send: () => number,
  times: number,
): number {
  return nsPerOp(ms, send() * times, () => {
    for (let i = 0; i < times; i++) send();
  });
}
