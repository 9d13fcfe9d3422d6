/**
 * The command line: `softc`. Exit codes: 0 done, 1 a check failed or was refused, 2 usage, 3 environment.
 *
 * @module
 */
import process from "node:process";
import { Command, CommanderError } from "commander";
import { addCapture } from "./capture.ts";
import { Commands, EXIT, type Io } from "./command.ts";
import { addDev } from "./dev.ts";
import { addExplain } from "./explain.ts";
import { addExplore } from "./explore.ts";
import { addIf } from "./if.ts";
import { addLab } from "./lab.ts";
import { addModule, addTraffic, addVnet } from "./nouns.ts";
import { addNew } from "./new.ts";
import { start, START_OPTIONS } from "./start.ts";
import { addWatch } from "./watch.ts";
import { addWatchDriver } from "./watch_driver.ts";

/**
 * Runs one command; resolves with its exit code: 0 done, 1 a check failed or was refused, 2 usage, 3 environment.
 * A `SoftcError` becomes text on `err` and a code; anything else that is thrown is a mistake of softc's own and rejects.
 *
 * @example
 * ```ts
 * import { runCli } from "@softc/softc/control";
 *
 * const code = await runCli(["explain", "SOFTC_IF_GONE"], { out: console.log, err: console.error });
 * console.log(code); // 0
 * ```
 * @param args without the names of the runtime and the program
 * @param io the process's own output unless told
 */
export async function runCli(args: readonly string[], io: Io = STANDARD): Promise<number> {
  const program = new Command("softc")
    .description("Runs, watches and changes a softc system.")
    .addHelpText(
      "after",
      "\nExample:\n  $ softc start examples/two-vnets.json\n\nExit codes: 0 done, 1 a check failed or was refused, 2 usage, 3 environment",
    );
  const cli = new Commands(io);
  cli.add(
    program,
    "start [lab]",
    "run a system with its API and dashboard",
    "start two-vnets.json --json",
    START_OPTIONS,
    start,
  );
  addIf(cli, program);
  addVnet(cli, program);
  addModule(cli, program);
  addDev(cli, program);
  addTraffic(cli, program);
  addWatch(cli, program);
  addCapture(cli, program);
  addLab(cli, program);
  addExplain(cli, program);
  addExplore(cli, program);
  addNew(cli, program);
  addWatchDriver(cli, program);
  forAll(
    program,
    (c) => c.exitOverride().configureOutput({ writeOut: io.out, writeErr: io.err }).showHelpAfterError(),
  );
  try {
    await program.parseAsync([...args], { from: "user" });
    return cli.code;
  } catch (e) {
    if (!(e instanceof CommanderError)) throw e;
    // Help that was asked for is no error.
    return e.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

function forAll(c: Command, fn: (c: Command) => void): void {
  fn(c);
  for (const sub of c.commands) forAll(sub, fn);
}

const STANDARD: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** The command line as a program, on the process's own arguments. */
export async function runProgram(): Promise<void> {
  // A reader that closes its pipe (head) has enough. A command that must clean up listens itself.
  process.stdout.on("error", (e: Error & { code?: string }) => {
    if (e.code !== "EPIPE") throw e;
    if (process.stdout.listenerCount("error") === 1) process.exit();
  });
  process.exitCode = await runCli(process.argv.slice(2));
}
