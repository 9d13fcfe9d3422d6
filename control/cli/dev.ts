/** `softc dev`: devices on buses. @module */
import type { Command } from "commander";
import { type Commands, table } from "./command.ts";
import { json, whole } from "./if.ts";

interface DeviceJSON {
  readonly name: string;
  readonly state: string;
  readonly driver?: string;
  readonly ifnets: string[];
}

const list = (all: readonly DeviceJSON[]): string =>
  table([
    ["NAME", "STATE", "DRIVER", "INTERFACES"],
    ...all.map((d) => [d.name, d.state, d.driver ?? "-", d.ifnets.join(" ") || "-"]),
  ]);

/** Adds the commands. */
export function addDev(cli: Commands, program: Command): void {
  const c = program.command("dev").description("devices on buses");
  const at = (name: string): string => `/api/dev/${encodeURIComponent(name)}`;
  cli.add(c, "list", "devices that are plugged in", "dev list", [], async (x) => {
    const all = await x.client().call<DeviceJSON[]>("GET", "/api/dev");
    x.print(all, () => list(all));
  });
  cli.add(
    c,
    "match <device>",
    "why a driver has it, or why none does",
    "dev match usb:1 --explain",
    [["--explain", "a line for each driver; the same without"]],
    async (x, [name]) => {
      const r = await x.client().call<{ bids: string[] }>("GET", `${at(name!)}/explain`);
      x.print(r, () => r.bids.length === 0 ? "no driver is loaded that could take it" : r.bids.join("\n"));
    },
  );
  cli.add(
    c,
    "plug <bus> <address>",
    "plug a device in: the best driver takes it",
    "dev plug virtio 0 --device 1 --parent vhost0 --vnet a --serial n1",
    [
      ["--vendor <n>", "vendor number"],
      ["--product <n>", "product number"],
      ["--device <n>", "kind of device, where the bus has them"],
      ["--serial <text>", "what it calls itself: a device that comes back under it gets back what it had"],
      ["--parent <name>", "the interface whose driver is its other side"],
      ["--vnet <name>", "vnet of its interface"],
      ["--cpu <n>", "home CPU of its driver"],
      ["--options <json>", "the driver's options"],
    ],
    async (x, [bus, address], o) => {
      const numbers = ["vendor", "product", "device", "cpu"].filter((k) => o[k] !== undefined);
      const texts = ["serial", "parent", "vnet"].filter((k) => o[k] !== undefined);
      const d = await x.client().call<DeviceJSON>("POST", "/api/dev", {
        bus,
        address,
        ...Object.fromEntries(numbers.map((k) => [k, whole(`--${k}`, o[k])])),
        ...Object.fromEntries(texts.map((k) => [k, o[k]])),
        ...(o.options === undefined ? {} : { options: json("--options", o.options) }),
      });
      x.print(d, () => list([d]));
    },
  );
  cli.add(
    c,
    "unplug <device>",
    "pull it out; nobody can refuse",
    "dev unplug usb:1",
    [],
    async (x, [name]) => {
      await x.client().call("DELETE", at(name!));
      x.print({ unplugged: name }, () => `unplugged ${name}`);
    },
  );
}
