/**
 * The drivers of this repository, as torture wants them.
 *
 * @module
 */
import { SoftNic, SoftPort, usbId } from "../../drivers/usb/mod.ts";
import type { TortureSubject } from "../../testing/mod.ts";
import { type MortalOptions, VICES } from "./mortal.ts";

const ROOT = new URL("../../", import.meta.url);
const at = (path: string): URL => new URL(path, ROOT);

/** Every driver that needs nothing of the machine. */
export const SUBJECTS: readonly TortureSubject[] = [
  { url: at("drivers/loopback.ts"), cloners: [{ cloner: "lo" }] },
  { url: at("drivers/null.ts"), cloners: [{ cloner: "null" }] },
  { url: at("drivers/epair.ts"), cloners: [{ cloner: "epair" }] },
  {
    url: at("drivers/pcap/mod.ts"),
    cloners: [{
      cloner: "pcap",
      options: () => ({ file: at("examples/data/linux.pcapng").href, speed: "full", loop: 3 }),
    }],
  },
  {
    url: at("drivers/virtio/mod.ts"),
    cloners: [
      { cloner: "vhost", options: (random) => ({ pairs: 1 + Math.floor(random() * 2) }) },
      { cloner: "vhost", options: () => ({ breakAfter: 5000 }) },
    ],
    // The driver's end hangs off the device's interface: one for each.
    device: (place, ifnets) => {
      const hosts = ifnets.filter((i) => i.toJSON().driver === "vhost" && i.state === "attached");
      const parent = hosts[place % hosts.length];
      return Promise.resolve(
        parent && { id: { bus: "virtio", device: 1, address: String(parent.index) }, options: { parent } },
      );
    },
  },
  {
    url: at("drivers/usb/mod.ts"),
    device: async (place) => {
      const mac = Uint8Array.of(2, 0, 0, 0, 0, place);
      // Some keep their identity when they come back.
      const nic = new SoftNic({
        kind: place % 2 === 0 ? "ncm" : "ecm",
        mac,
        ...(place < 2 ? { serial: `T${place}` } : {}),
      });
      nic.onFrame = (f) => void nic.send(f);
      const resource = new SoftPort(nic);
      return { id: await usbId(resource, `1-${place}`), options: { resource } };
    },
  },
  {
    url: at("examples/echo/echo.ts"),
    cloners: [{ cloner: "echo", options: () => ({ perSecond: 1_000_000 }) }],
  },
  {
    url: at("tests/torture/mortal.ts"),
    cloners: [{
      cloner: "mortal",
      options: (random): MortalOptions => ({ vice: VICES[Math.floor(random() * VICES.length)]! }),
    }],
    host: { deadline: 500 },
  },
];
