/** `softc new`: writes what an author begins with. @module */
import { relative } from "node:path";
import process from "node:process";
import type { Command } from "commander";
import { newDriver } from "../new_driver.ts";
import type { Commands } from "./command.ts";

/** Adds the commands. */
export function addNew(cli: Commands, program: Command): void {
  const c = program.command("new").description("a driver of your own, ready to run");
  cli.add(
    c,
    "driver <name> [folder]",
    "write a driver with its test, for Deno and for npm",
    "new driver mynic",
    [[
      "--softc <spec>",
      "what npm installs as @softc/softc: a range or a file: path; this version unless told",
    ]],
    (x, [name, folder], o) => {
      const here = (path: string): string => relative(process.cwd(), path) || ".";
      const made = newDriver(name!, {
        ...(folder === undefined ? {} : { folder }),
        ...(o.softc === undefined ? {} : { npm: String(o.softc) }),
      });
      const files = made.map(here);
      const test = "deno" in process.versions ? "deno test -A" : "npm install && npm test";
      x.print({ files }, () => `${files.join("\n")}\n\nNext: cd ${here(folder ?? name!)} && ${test}`);
    },
  );
}
