/**
 * The demo: `deno task demo`. Needs to read files, and nothing else.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { DROP_TEXT, type DropReason } from "@softc/softc";
import { count, duration, Screen } from "./paint.ts";
import { type DemoOptions, type Outcome, run } from "./scenario.ts";

const HELP =
  `Two vnets, real traffic between them, a router, devices that come and go, a move and an unload at full rate;
then the books.

Usage: deno task demo [--seconds N] [--cpus N] [--json]

  --seconds N  how long it sends, 1 to 600; 6 unless told
  --cpus N     CPUs of the kernel, 1 to 16; 2 unless told
  --json       one line of JSON on stdout, and nothing else
  --help       this text

Exit code: 0, 1 when a packet is unaccounted for or anything leaks, 2 for wrong arguments.
Example: deno task demo --seconds 4 --json`;

interface Args extends DemoOptions {
  readonly json: boolean;
  readonly help: boolean;
}

function parse(args: readonly string[]): Args {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "6" },
      cpus: { type: "string", default: "2" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds);
  const cpus = Number(values.cpus);
  if (!(seconds >= 1 && seconds <= 600)) throw new Error(`--seconds is "${values.seconds}", wanted 1 to 600`);
  if (!(Number.isInteger(cpus) && cpus >= 1 && cpus <= 16)) {
    throw new Error(`--cpus is "${values.cpus}", wanted a whole number from 1 to 16`);
  }
  return { seconds, cpus, json: values.json === true, help: values.help === true };
}

function toJSON({ report, gracePeriods, moves, replayed, leaks, ping, virtio, usb, host }: Outcome): object {
  const { sent, delivered, dropped, unaccounted, perCpu } = report;
  return {
    sent,
    delivered,
    dropped,
    unaccounted,
    leaks: leaks.length,
    gracePeriods,
    vmove: moves,
    replayed,
    ping,
    virtio,
    usb,
    host,
    cpus: perCpu.length,
    perCpu,
  };
}

function printBooks(screen: Screen, { report, gracePeriods, moves, leaks }: Outcome): void {
  const { sent, delivered, dropped, unaccounted, perCpu } = report;
  const reasons = Object.entries(dropped) as [DropReason, number][];
  const lost = reasons.reduce((sum, [, n]) => sum + n, 0);
  const row = (name: string, n: number, text = ""): void =>
    screen.line(`  ${name.padEnd(12)} ${count(n).padStart(14)}  ${screen.paint("dim", text)}`.trimEnd());
  screen.line();
  row("sent", sent, perCpu.map((n, k) => `CPU ${k} handled ${count(n)}`).join(", "));
  row("delivered", delivered, "taken by a vnet, or on a wire");
  row("dropped", lost);
  for (const [reason, n] of reasons) row(`  ${reason}`, n, DROP_TEXT[reason]);
  row("unaccounted", unaccounted, "sent - delivered - dropped - found in any queue");
  screen.line();
  const { p50Us, maxUs } = moves;
  screen.line(
    `  grace periods ${count(gracePeriods)} · vmove blackout p50 ${duration(p50Us * 1e3)}, ` +
      `max ${duration(maxUs * 1e3)} · leaks ${leaks.length}`,
  );
  for (const leak of leaks) screen.line(`  ${screen.paint("red", "leak")} ${leak}`);
}

async function main(): Promise<number> {
  let args: Args;
  try {
    args = parse(process.argv.slice(2));
  } catch (e) {
    process.stderr.write(`demo: ${(e as Error).message.split("\n")[0]}; try --help\n`);
    return 2;
  }
  if (args.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on("error", () => {});
  const screen = new Screen(args.json);
  screen.line(screen.paint("bold", "softc: from plugin to wire, and back down again"));
  const outcome = await run(args, screen);
  const { unaccounted } = outcome.report;
  const good = unaccounted === 0 && outcome.leaks.length === 0;
  if (args.json) process.stdout.write(`${JSON.stringify(toJSON(outcome))}\n`);
  else {
    printBooks(screen, outcome);
    screen.line(
      unaccounted === 0
        ? screen.paint(good ? "green" : "yellow", "  No packet is unaccounted for.")
        : screen.paint("red", `  ${count(unaccounted)} packets are unaccounted for.`),
    );
  }
  return good ? 0 : 1;
}

process.exitCode = await main();
