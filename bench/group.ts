/// <reference lib="deno.worker" />
/** A group on a thread of its own: see isolated.ts. @module */
import { FULL, measure } from "./harness.ts";
import type { Asked } from "./isolated.ts";
import { suites } from "./suite.ts";

self.onmessage = async ({ data }: MessageEvent<Asked>) => {
  const cases = (await suites()).flatMap((s) => s.cases).filter((c) =>
    c.group === data.group && data.names.includes(c.name)
  );
  for await (const results of measure(cases, { ...FULL, ...data.options })) self.postMessage(results);
};
