/** The benchmarks: `deno task bench`. @module */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { compare, compareText, key, save } from "./baseline.ts";
import { chart } from "./chart.ts";
import { main } from "./harness.ts";
import { isolated } from "./isolated.ts";
import { suites } from "./suite.ts";
import { ratios, ratioTable, TARGETS } from "./targets.ts";

const all = await suites();
const targets = [...TARGETS, ...all.flatMap((s) => s.targets ?? [])];
process.exitCode = await main(
  all.flatMap((s) => s.cases),
  process.argv.slice(2),
  console.log,
  {},
  (results, flags) => {
    const met = ratios(results, targets);
    const changes = flags.compare ? compare(results) : [];
    if (flags.save) save(results);
    if (flags.chart !== undefined) {
      writeFileSync(
        flags.chart,
        chart(met, `softc against its peers, times as fast (${key()})`),
      );
    }
    return {
      json: {
        ratios: met,
        ...(flags.compare ? { changes: changes ?? null } : {}),
      },
      text: [ratioTable(met), ...(flags.compare ? [compareText(changes)] : [])]
        .join("\n\n"),
      amiss: changes?.some((c) => c.worse) ?? false,
    };
  },
  isolated,
);
process.exit(); // a peer's thread must not keep the process
