/**
 * The tap passes the conformance test, in a namespace of each rule's own.
 *
 * Needs root, /dev/net/tun and iproute2; skips with a reason.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { conformance } from "../../testing/mod.ts";
import { run } from "./run.ts";
import { tapMissing } from "./tap_linux.ts";

const why = tapMissing();
if (why !== undefined) console.log(`skipped: conformance of the tap: ${why}`);

const netns = `softc-conformance-${Deno.pid}`;

async function ip(...command: string[]): Promise<void> {
  const { code, text } = await run(["ip", "netns", ...command, netns]);
  assertEquals(code, 0, text);
}

conformance(new URL("../../drivers/tap/mod.ts", import.meta.url), {
  options: { netns },
  skip: { D36: "the explorer opens it once a schedule, and nobody closes the devices" },
  test: (name, fn) =>
    Deno.test({
      name: `tap: ${name}`,
      ignore: why !== undefined,
      async fn() {
        await ip("add");
        try {
          await fn();
        } finally {
          await ip("del");
        }
      },
    }),
});
