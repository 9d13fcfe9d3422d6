/**
 * What a rule of the conformance test is, and what several of them do.
 *
 * @module
 */
import type { Ifnet } from "../../mod.ts";
import { type Lab, turn } from "./lab.ts";

/** A rule and how it is tried. */
export interface ConformanceRule {
  /** Its id, which never changes: `D01`. */
  readonly id: string;
  /** What holds, one sentence. */
  readonly text: string;
  /** CPUs of its kernel; 1 unless told. */
  readonly cpus?: number;
  /** Why it is not tried with the driver of a device (`ConformanceOptions.device`); it is unless told. */
  readonly withDevice?: string;
  /** @ignore */
  run(lab: Lab): Promise<void>;
}

/** Whether the interface is UP. */
export const isUp = (i: Ifnet): boolean => i.toJSON().flags.includes("UP");

/** Bytes of arena that are in use. */
export const used = (lab: Lab): number => lab.kernel.inspect().arenaUsed;

/** Sends until `n` packets went somewhere. */
export async function some(lab: Lab, i: Ifnet, n = 40): Promise<void> {
  for (let sent = 0; sent < n; sent += 10) {
    lab.send(i, 10);
    await turn();
  }
}

/** Sends at full rate on every CPU while `body` runs; at least 200 packets go first. */
export async function underLoad(lab: Lab, i: Ifnet, body: () => Promise<void>): Promise<void> {
  const load = await lab.traffic(i);
  try {
    await lab.until("packets go out under load", () => lab.moved(i) > 200);
    await body();
  } finally {
    await load.stop();
  }
}
