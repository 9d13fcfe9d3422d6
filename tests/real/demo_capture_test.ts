/**
 * What the demo sends, on every interface that it makes, as tshark sees it.
 *
 * Needs tshark; skips with a reason.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Screen } from "../../examples/demo/paint.ts";
import { run as demo } from "../../examples/demo/scenario.ts";
import type { Kernel } from "../../mod.ts";
import { Capture } from "./capture.ts";
import { runs } from "./run.ts";

const tshark = runs(["tshark", "--version"]);
if (!tshark) console.log("skipped: the demo's captures: it needs tshark");

/** Captures the beginning of what each interface carries, from its arrival on. */
async function watch(k: Kernel, capture: Capture): Promise<number> {
  let n = 0;
  for await (const e of k.subscribe()) {
    if (e.type !== "arrival") continue;
    const i = k.ifnets.find((x) => x.handle === e.handle);
    if (i === undefined) continue;
    capture.add(i, 1000);
    n++;
  }
  return n;
}

Deno.test({
  name: "every frame of the demo is well formed, its checksums right",
  ignore: !tshark,
  async fn() {
    const capture = new Capture();
    let watched: Promise<number> | undefined;
    const { report, leaks } = await demo(
      { cpus: 2, seconds: 3, onBoot: (k) => watched = watch(k, capture) },
      new Screen(true),
    );
    assertEquals([report.unaccounted, leaks], [0, []]);
    assert(await watched! >= 10, "interfaces");
    assert(capture.frames > 2000, `${capture.frames} frames`);
    await capture.judged();
  },
});
