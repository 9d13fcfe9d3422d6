/**
 * The rules of the conformance test, by stable id. D08 (the ledger), D09 (faults), D10 to D12 (transmit), D22 to
 * D26 (after stop and destroy) and D28 (leaks) are also looked at in every other rule, and are named by their own
 * id when they are broken there.
 *
 * @module
 */
import { exploreDriver } from "../explore_driver.ts";
import { formatReport } from "../report.ts";
import { AROUND } from "./around.ts";
import { END } from "./end.ts";
import { claim } from "./lab.ts";
import { LIFE } from "./life.ts";
import { PACKETS } from "./packets.ts";
import type { ConformanceRule } from "./rule.ts";
import { UNPLUG } from "./unplug.ts";

/** Every rule. */
export const CONFORMANCE_RULES: readonly ConformanceRule[] = [
  ...LIFE,
  ...PACKETS,
  ...END,
  ...AROUND,
  ...UNPLUG,
  {
    id: "D36",
    text: "the explorer finds nothing while it is detached or moved, exhaustive to 1 preemption",
    withDevice: "a logical thread of the explorer waits for no device",
    async run({ subject }) {
      const { url, cloner, options } = subject;
      for (const r of await exploreDriver(url, { cloner, options, bound: 1 })) {
        claim(r.violation === undefined, formatReport(r));
      }
    },
  },
];
