/** The program behind `npx @softc/softc`: importing it runs the command line on the process's own arguments. @module */
import { runProgram } from "./main.ts";

await runProgram();
