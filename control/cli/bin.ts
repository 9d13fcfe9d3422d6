/** The program behind `npx @softc/softc`: the command line on the process's own arguments. @module */
import process from "node:process";
import { runCli } from "./main.ts";

process.exitCode = await runCli(process.argv.slice(2));
