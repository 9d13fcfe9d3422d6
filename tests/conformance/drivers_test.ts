/** The drivers of this repository pass what is asked of everybody's. */
import { conformance } from "../../testing/mod.ts";

const ROOT = new URL("../../", import.meta.url);

/** Drivers that can be created by hand, with options where they need some. */
const DRIVERS: Readonly<Record<string, { options?: unknown; skip?: Record<string, string> }>> = {
  "drivers/loopback.ts": {},
  "drivers/null.ts": {},
  "drivers/epair.ts": {},
  "drivers/wrap/link.ts": { options: { loss: 0.1, seed: 3 } },
  "drivers/pcap/mod.ts": {
    options: { file: new URL("examples/data/linux.pcapng", ROOT).href, speed: "full", loop: 3 },
  },
  "examples/echo/echo.ts": { options: { perSecond: 100_000 } },
};

for (const [file, o] of Object.entries(DRIVERS)) {
  conformance(new URL(file, ROOT), { ...o, test: (name, fn) => Deno.test(`${file} ${name}`, fn) });
}
