/**
 * The drivers of this repository pass what is asked of everybody's. In `tests/long`: virtio-net with more pairs; in
 * `tests/real`: tap.
 */
import { conformance, type ConformanceOptions } from "../../testing/mod.ts";
import { adapter, vhost } from "./devices.ts";

const ROOT = new URL("../../", import.meta.url);

interface Tried extends ConformanceOptions {
  readonly file: string;
}

const DRIVERS: Readonly<Record<string, Tried>> = {
  loopback: { file: "drivers/loopback.ts" },
  null: { file: "drivers/null.ts" },
  epair: { file: "drivers/epair.ts" },
  link: { file: "drivers/wrap/link.ts", options: { loss: 0.1, seed: 3 } },
  pcap: {
    file: "drivers/pcap/mod.ts",
    options: { file: new URL("examples/data/linux.pcapng", ROOT).href, speed: "full", loop: 3 },
  },
  echo: { file: "examples/echo/echo.ts", options: { perSecond: 100_000 } },
  vhost: { file: "drivers/virtio/mod.ts", cloner: "vhost" },
  "virtio-net": { file: "drivers/virtio/mod.ts", cloner: "vtnet", device: vhost(1) },
  "usb, ECM": { file: "drivers/usb/mod.ts", cloner: "ue", device: adapter("ecm") },
  "usb, NCM": { file: "drivers/usb/mod.ts", cloner: "ue", device: adapter("ncm") },
};

for (const [name, { file, ...o }] of Object.entries(DRIVERS)) {
  conformance(new URL(file, ROOT), { ...o, test: (rule, fn) => Deno.test(`${name}: ${rule}`, fn) });
}
