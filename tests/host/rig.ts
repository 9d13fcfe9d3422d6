/**
 * A kernel for one test of driver hosts: what it faulted and logged is kept, and it must close clean.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  boot,
  type BootOptions,
  ifCloneCreate,
  type Ifnet,
  isSoftcError,
  type Kernel,
  type Ledger,
  type Module,
  pktgen,
  type SoftcError,
  type Vnet,
} from "../../mod.ts";
import type { HostOptions } from "../../kernel/host.ts";
import { assertNoLeaks, poll } from "../helpers/leaks.ts";
import type { Vice } from "../plugins/host_rogue.ts";

/** URL of a plugin of these tests. */
export const plugin = (name: string): URL => new URL(`../plugins/host_${name}.ts`, import.meta.url);

/** What a test gets. */
export interface Rig {
  readonly k: Kernel;
  readonly faults: SoftcError[];
  readonly logs: string[];
  /** Loads the rogue in a host and creates one with a vice, UP. */
  rogue(vice: Vice, host?: HostOptions, spin?: number): Promise<{ module: Module; rogue: Ifnet }>;
  /** Codes of the faults so far. */
  codes(): string[];
}

/** How a test's kernel is booted, and what it expects. */
export interface RigOptions extends BootOptions {
  /** Codes of the faults that must have been told; none unless told. */
  readonly faults?: readonly string[];
  /** Milliseconds until the last thread is gone: a busy worker cannot be ended. */
  readonly threads?: number;
}

/** Boots, runs, shuts down: books closed, nothing left, no fault but the expected. */
export async function withHosts(
  body: (rig: Rig) => Promise<void>,
  { faults: expected = [], threads = 3000, ...o }: RigOptions = {},
): Promise<Ledger> {
  const faults: SoftcError[] = [];
  const logs: string[] = [];
  let report: Ledger | undefined;
  await assertNoLeaks(async (watch) => {
    const k = watch(
      await boot({ debug: true, onFault: (e) => void faults.push(e), onLog: (l) => void logs.push(l), ...o }),
    );
    const rig: Rig = {
      k,
      faults,
      logs,
      codes: () => faults.map((e) => e.code),
      async rogue(vice, host = {}, spin) {
        const module = await k.modules.load(plugin("rogue"), { host: { deadline: 500, ...host } });
        const [rogue] = await ifCloneCreate(k.vnet0, "rogue", { options: { vice, spin } });
        // A vice may be quicker than the flag.
        await rogue.up().catch((e) => assert(isSoftcError(e, "SOFTC_IF_GONE"), String(e)));
        return { module, rogue };
      },
    };
    try {
      await body(rig);
    } finally {
      const { leaks, wedged, unaccounted } = report = await k.shutdown();
      assertEquals({ leaks, wedged, unaccounted }, { leaks: [], wedged: [], unaccounted: 0 });
      assertEquals(rig.codes(), expected, faults.map((e) => e.message).join("\n"));
    }
  }, { deadline: threads });
  return report!;
}

/** Waits for a condition; fails with its name. */
export async function until(what: string, condition: () => boolean, ms = 10_000): Promise<void> {
  if (!await poll(condition, ms)) throw new Error(`Not within ${ms} ms: ${what}`);
}

/** A frame that no protocol takes. */
export const FRAME: Uint8Array = Uint8Array.from({ length: 64 }, (_, i) => i < 6 ? 2 : i);

/** Sends `count` packets, or until it is stopped. */
export function send(vnet: Vnet, ifnet: Ifnet, count?: number): ReturnType<typeof pktgen> {
  return pktgen({ vnet, ifnet, frame: FRAME, batch: 8, ...(count === undefined ? {} : { count }) });
}

/** The driver's own counters. */
export function counters(i: Ifnet): Readonly<Record<string, number>> {
  return i.driverCounters;
}

/** The driver's own counters, asked for. */
export async function freshCounters(i: Ifnet): Promise<Readonly<Record<string, number>>> {
  return (await i.readDriverCounters({ timeout: 10_000 })).counters;
}
