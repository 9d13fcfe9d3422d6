/** The benchmarks: `deno task bench`. @module */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { compare, compareText, key, save } from "./baseline.ts";
import { chart } from "./chart.ts";
import { main } from "./harness.ts";
import { bareCases } from "./suite/bare.ts";
import { kernelCases } from "./suite/kernel.ts";
import { memoryCases } from "./suite/memory.ts";
import { pathCases } from "./suite/path.ts";
import { ratios, ratioTable } from "./targets.ts";

const cases = [...memoryCases, ...bareCases, ...kernelCases, ...pathCases];
process.exitCode = await main(
  cases,
  process.argv.slice(2),
  console.log,
  {},
  (results, flags) => {
    const met = ratios(results);
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
);
process.exit(); // a peer's thread must not keep the process
