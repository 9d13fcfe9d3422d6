/** `softc dev`: devices on buses. @module */
import type { Command } from "commander";
import { type Commands, table } from "./command.ts";

interface DeviceJSON {
  readonly name: string;
  readonly state: string;
  readonly driver?: string;
  readonly ifnets: string[];
}

/** Adds the commands. */
export function addDev(cli: Commands, program: Command): void {
  const c = program.command("dev").description("devices on buses");
  const at = (name: string): string => `/api/dev/${encodeURIComponent(name)}`;
  cli.add(c, "list", "devices that are plugged in", "dev list", [], async (x) => {
    const all = await x.client().call<DeviceJSON[]>("GET", "/api/dev");
    x.print(all, () =>
      table([
        ["NAME", "STATE", "DRIVER", "INTERFACES"],
        ...all.map((d) => [
          d.name,
          d.state,
          d.driver ?? "-",
          d.ifnets.join(" ") || "-",
        ]),
      ]));
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
