/** The benchmarks: `deno task bench`. @module */
import process from "node:process";
import { main } from "./harness.ts";
import { kernelCases } from "./suite/kernel.ts";
import { memoryCases } from "./suite/memory.ts";

process.exitCode = await main([...memoryCases, ...kernelCases]);
