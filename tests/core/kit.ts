/**
 * What the tests of core share: a small arena, a kernel that must end clean, frames, and waits with a deadline.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { realClock } from "../../core/doors/clock.ts";
import { Arena, type ArenaConfig } from "../../core/memory/arena.ts";
import { Counters } from "../../core/memory/counters.ts";
import { Pool, poolInit } from "../../core/memory/mbuf.ts";
import { Sanitizer } from "../../core/memory/sanitizer.ts";
import { ownKernel } from "../../kernel/api.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import {
  boot,
  type BootOptions,
  type Ifnet,
  ifnetByHandle,
  ifOutput,
  type Kernel,
  mAlloc,
  type ShutdownReport,
  type SoftcError,
  type Vnet,
} from "../../mod.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";

/** A small arena of two CPUs. */
export function smallArena(o: Partial<ArenaConfig> = {}): Arena {
  const arena = Arena.create({
    bytes: 4 << 20,
    cpus: 2,
    ifnets: 8,
    vnets: 4,
    mbufs: 1024,
    debug: false,
    ...o,
  });
  poolInit(arena);
  return arena;
}

/** The pool of one CPU of an arena, with a sanitizer in debug mode. */
export function poolOf(arena: Arena, cpu = 0): Pool {
  const sanitizer = arena.plan.config.debug ? new Sanitizer(arena, cpu, realClock) : undefined;
  return new Pool(arena, cpu, new Counters(arena, cpu), sanitizer);
}

/** A URL of a plugin of the tests. */
export function plugin(name: string): URL {
  return new URL(`../plugins/${name}.ts`, import.meta.url);
}

/** What a kernel's test gets. */
export interface Bench {
  readonly k: Kernel;
  readonly own: KernelObject;
  /** What the kernel reported as faults. */
  readonly faults: SoftcError[];
}

/** Boots, runs the body, shuts down; fails on threads, waits or timers that are left. Returns the closing books. */
export async function withKernel(
  o: BootOptions,
  body: (b: Bench) => void | Promise<void>,
): Promise<ShutdownReport> {
  let report: ShutdownReport | undefined;
  await assertNoLeaks(async (watch) => {
    const faults: SoftcError[] = [];
    const k = watch(await boot({ arena: 16 << 20, onFault: (e) => void faults.push(e), ...o }));
    try {
      await body({ k, own: ownKernel(k), faults });
    } finally {
      report = await k.shutdown();
    }
  });
  return report!;
}

/** {@linkcode withKernel}, and the ledger closes: nothing unaccounted, nothing leaked, nothing wedged. */
export async function withCleanKernel(
  o: BootOptions,
  body: (b: Bench) => void | Promise<void>,
): Promise<ShutdownReport> {
  const report = await withKernel(o, body);
  assertEquals({ unaccounted: report.unaccounted, leaks: report.leaks, wedged: report.wedged }, {
    unaccounted: 0,
    leaks: [],
    wedged: [],
  });
  return report;
}

/** Offset of the flow and the sequence number in what {@linkcode udpFrame} makes: both 32 bits, big endian. */
export const FLOW_AT = 42;

/** A valid UDP over IPv4 frame whose source port is the flow, with flow and sequence number as payload. */
export function udpFrame(flow = 0, seq = 0, bytes = 64): Uint8Array {
  const f = new Uint8Array(bytes);
  const v = new DataView(f.buffer);
  v.setUint16(12, 0x0800);
  f[14] = 0x45;
  v.setUint16(16, bytes - 14);
  f[22] = 64;
  f[23] = 17;
  v.setUint32(26, 0x0a000001);
  v.setUint32(30, 0x0a000002);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += v.getUint16(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  v.setUint16(24, ~sum & 0xffff);
  v.setUint16(34, 1024 + flow);
  v.setUint16(36, 9);
  v.setUint16(38, bytes - 34);
  v.setUint32(FLOW_AT, flow);
  v.setUint32(FLOW_AT + 4, seq);
  return f;
}

/** What became of a batch. */
export interface Sent {
  /** Packets that mbufs were found for. */
  readonly n: number;
  readonly accepted: number;
  readonly errno: number;
}

/** Sends frames in one section of the interface's vnet. Throws when the handle does not resolve there. */
export function send(v: Vnet, i: Ifnet, frames: readonly Uint8Array[], flow = 0): Sent {
  return v.section((s) => {
    const p = ifnetByHandle(s, i.handle);
    assert(p !== undefined, `${i.name} does not resolve`);
    const b = mAlloc(s, frames.length, 0);
    for (let k = 0; k < b.length; k++) b.copyFrom(k, frames[k]!);
    const n = b.length;
    const accepted = ifOutput(s, p, b, flow);
    return { n, accepted, errno: b.errno };
  });
}

/** Frames 0 to n - 1 of a flow. */
export function frames(n: number, flow = 0, from = 0): Uint8Array[] {
  return Array.from({ length: n }, (_, i) => udpFrame(flow, from + i));
}

/** Waits for a condition; fails with `what` when 5 s did not bring it. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  assert(await poll(condition, 30_000), `not within 30 s: ${what}`);
}

/** The same for a condition that must be asked. */
export async function untilAsync(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!await condition()) {
    assert(performance.now() < end, `not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A driver's own counters, asked of every CPU now. */
export async function driverCounters(i: Ifnet): Promise<Readonly<Record<string, number>>> {
  return (await i.readDriverCounters({ timeout: 10_000 })).counters;
}
