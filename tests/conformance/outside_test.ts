/** What a driver opens of the runtime is closed again, also when its attach fails. */
import { assertRejects, assertStringIncludes } from "@std/assert";
import { CONFORMANCE_RULES, ConformanceError, tryRule } from "../../testing/mod.ts";
import { plugin } from "../core/kit.ts";

Deno.test({
  name: "a server that a failed attach leaves open is named",
  sanitizeOps: false, // it is left open
  sanitizeResources: false,
  async fn() {
    const rule = CONFORMANCE_RULES.find((r) => r.id === "D04")!;
    const e = await assertRejects(() => tryRule(rule, plugin("outside")), ConformanceError);
    assertStringIncludes(e.message, "D28: left behind: a TCPServerWrap of the runtime");
    assertStringIncludes(e.message, "seen while trying D04");
  },
});
