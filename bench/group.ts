/** A group in a process of its own: see isolated.ts. @module */
import process from "node:process";
import { FULL, measure, type Result } from "./harness.ts";
import type { Asked } from "./isolated.ts";
import { suites } from "./suite.ts";

const { group, names, options } = JSON.parse(process.argv[2]!) as Asked;
const cases = (await suites()).flatMap((s) => s.cases).filter((c) =>
  c.group === group && names.includes(c.name)
);
const results: Result[] = [];
for await (const some of measure(cases, { ...FULL, ...options })) results.push(...some);
await new Promise<void>((resolve) => process.stdout.write(JSON.stringify(results), () => resolve()));
process.exit(); // a peer's thread must not keep the process
