/**
 * Which driver gets a device: match rules as data, then bids.
 *
 * A rule matches when every key of it equals the device's. A matching driver's `probe` answers above 0 for no,
 * 0 for certain (looking ends), below 0 a bid; the highest bid wins, of equal ones the first loaded.
 *
 * @module
 */
import type { DeviceId, Driver } from "./driver.ts";
import type { LoadedModule } from "./modules.ts";

/** Bids of a driver without `probe`, and the conventional ones of FreeBSD. */
export const BID = { SPECIFIC: 0, VENDOR: -10, DEFAULT: -20, LOW_PRIORITY: -40, GENERIC: -100 } as const;

/** What one driver answered. */
export interface Verdict {
  readonly driver: string;
  readonly module: string;
  /** Its bid; undefined when it did not bid. */
  readonly bid?: number;
  /** In words. */
  readonly why: string;
}

/** The driver that won, and what every driver answered. */
export interface ProbeResult {
  readonly winner?: { readonly module: LoadedModule; readonly driver: Driver<never> };
  readonly verdicts: readonly Verdict[];
}

/** Asks every driver of every loaded module. No side effect. */
export function probeAll(id: DeviceId, modules: readonly LoadedModule[]): ProbeResult {
  const verdicts: Verdict[] = [];
  let best: { bid: number; module: LoadedModule; driver: Driver<never> } | undefined;
  for (const module of modules) {
    for (const driver of module.def.drivers as readonly Driver<never>[]) {
      const names = { driver: driver.name, module: module.name };
      if (best?.bid === 0) {
        verdicts.push({ ...names, why: `not asked: ${best.driver.name} is certain` });
        continue;
      }
      const answer = module.state === "loaded" ? ask(id, driver) : { why: `its module is ${module.state}` };
      verdicts.push({ ...names, ...answer });
      if (answer.bid !== undefined && (best === undefined || answer.bid > best.bid)) {
        best = { bid: answer.bid, module, driver };
      }
    }
  }
  return { ...(best === undefined ? {} : { winner: best }), verdicts };
}

function ask(id: DeviceId, driver: Driver<never>): { bid?: number; why: string } {
  const no = mismatch(id, driver);
  if (no !== undefined) return { why: no };
  if (driver.probe === undefined) return { bid: BID.DEFAULT, why: `matches; bids ${BID.DEFAULT}` };
  try {
    const bid: unknown = driver.probe(id);
    if (typeof bid !== "number" || Number.isNaN(bid)) {
      return { why: `probe answered ${String(bid)}, no number` };
    }
    return bid > 0 ? { why: `probe says no (${bid})` } : { bid, why: `matches; bids ${bid}` };
  } catch (e) {
    return { why: `probe threw: ${(e as Error).message}` };
  }
}

/** Why no rule of the driver matches; undefined when one does. The rule that fits best is named. */
function mismatch(id: DeviceId, driver: Driver<never>): string | undefined {
  if (driver.match === undefined || driver.match.length === 0) return "it has no match rules";
  let nearest: { equal: number; why: string } | undefined;
  for (const rule of driver.match) {
    const keys = Object.keys(rule);
    const wrong = keys.filter((k) => rule[k] !== id[k]);
    if (wrong.length === 0) return undefined;
    const equal = keys.length - wrong.length;
    const [k] = wrong;
    if (nearest === undefined || equal > nearest.equal) {
      nearest = {
        equal,
        why: `no rule matches: it wants ${k} ${rule[k!]}, the device has ${String(id[k!])}`,
      };
    }
  }
  return nearest!.why;
}
