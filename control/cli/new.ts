/** `softc new`: writes what an author begins with. @module */
import { relative } from "node:path";
import process from "node:process";
import type { Command } from "commander";
import { newDriver } from "../new_driver.ts";
import type { Commands } from "./command.ts";

/** What npx runs for those who have no Deno. */
const DENO = "deno@2.9.6";

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
      "what npm installs as @softc/softc: a range, or file: and a path from the new folder; this version unless told",
    ]],
    (x, [name, folder], o) => {
      const here = (path: string): string => relative(process.cwd(), path) || ".";
      const made = newDriver(name!, {
        ...(folder === undefined ? {} : { folder }),
        ...(o.softc === undefined ? {} : { npm: String(o.softc) }),
      });
      const files = made.map(here);
      const into = `cd ${here(folder ?? name!)}`;
      // Deno reads no tarball by itself: npm unpacks it.
      const install = String(o.softc ?? "").startsWith("file:") ? "npm install && " : "";
      const next = {
        deno: `${into} && ${install}deno test -A`,
        withoutDeno: `${into} && ${install}npx -y ${DENO} test -A`,
        node: `${into} && npm install && npm test`,
      };
      x.print({ files, next }, () =>
        [
          ...files,
          "",
          "Next, with Deno:    " + next.deno,
          "without Deno:       " + next.withoutDeno,
          "with Node and npm:  " + next.node,
        ].join("\n"));
    },
  );
}
