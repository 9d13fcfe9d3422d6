/** `softc watch`: a driver at work while it is written. @module */
import process from "node:process";
import { relative } from "node:path";
import type { Command } from "commander";
import { type IfJSON, isSoftcError, SoftcError } from "../../mod.ts";
import type { WatchEvent } from "../../testing/mod.ts";
import { type Action, type Commands, count, EXIT } from "./command.ts";
import { whole } from "./if.ts";
import { untilSignal } from "./signal.ts";
import { ledgerText } from "./watch.ts";

/** Milliseconds between two lines about the traffic. */
const TRAFFIC = 10_000;

const watch: Action = async (x, [file], o) => {
  const told = untilSignal();
  // The kit loads the test runner: only for who needs it.
  const { watchDriver } = await import("../../testing/mod.ts");
  const say = (data: object, text: () => string): void => x.print(data, text);
  const lab = await watchDriver(file!, {
    rate: whole("--rate", o.rate),
    ...(o.cloner === undefined ? {} : { cloner: String(o.cloner) }),
    ...(o.options === undefined ? {} : { options: json(String(o.options)) }),
    onEvent: (e) => say(plain(e), () => eventText(e)),
  });
  let said = "";
  const timer = setInterval(() => {
    const ifnets = lab.ifnets.map((i) => i.toJSON());
    const text = ifnets.map(trafficText).join("\n");
    if (text !== said) say({ type: "traffic", ifnets }, () => text);
    said = text;
  }, TRAFFIC);
  await told;
  clearInterval(timer);
  const report = await lab.stop();
  for (const left of [...report.leaks, ...report.wedged]) x.io.err(`left behind: ${left}\n`);
  if (!x.json) x.io.err(ledgerText(report));
  const clean = report.unaccounted === 0 && report.leaks.length === 0 && report.wedged.length === 0;
  const code = clean ? EXIT.ok : EXIT.failed;
  // Nothing else ends a worker in a busy loop.
  if (lab.spinning > 0) process.exit(code);
  return code;
};

/** Adds the command. */
export function addWatchDriver(cli: Commands, program: Command): void {
  cli.add(
    program,
    "watch <driver>",
    "run a driver in a host of its own, with traffic, and reload it on every save",
    "watch mynic.ts",
    [
      ["--cloner <name>", "cloner of its interfaces; its first unless told"],
      ["--options <json>", "options for its interfaces"],
      ["--rate <n>", "packets per second to each interface", "1000"],
    ],
    watch,
  );
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SoftcError("SOFTC_API_INPUT", `Cannot read the options ${text}`, {
      state: (cause as Error).message,
      wanted: "JSON",
      cause,
    });
  }
}

function plain(e: WatchEvent): object {
  if (e.type !== "error") return e;
  const { error, ...rest } = e;
  return { ...rest, message: error.message, ...(isSoftcError(error) ? { code: error.code } : {}) };
}

function eventText(e: WatchEvent): string {
  if (e.type === "log") return e.line;
  if (e.type === "running") {
    const names = e.ifnets.map((i) => `${i.name} (${i.handle})`).join(", ");
    const took = e.before === undefined ? `up in ${e.ms} ms` : `up ${e.ms} ms after the save`;
    return `generation ${e.generation}: ${names} ${took}${
      e.before === undefined ? "" : `; ${leftText(e.before)}`
    }`;
  }
  const { at, error, running, leaving } = e;
  const where = at === undefined ? "" : ` at ${relative(process.cwd(), at.file)}:${at.line}:${at.column}`;
  // With the line at hand, what the runtime quotes of it says it twice.
  const what = at === undefined ? error.message : error.message.split("\n")[0];
  return [
    `error in generation ${e.generation}${where}: ${what}`,
    ...(at === undefined ? [] : [at.frame]),
    leaving
      ? "it was on its way out: the next generation comes"
      : running
      ? "the generation before goes on; save to try again"
      : "nothing runs; save to try again",
  ].join("\n");
}

function leftText(l: { generation: number; workers: number; handles: number; mbufs: number }): string {
  const gone = l.workers + l.handles + l.mbufs === 0;
  const worker = l.workers === 0 ? "worker ended" : `its worker spins on until this command ends`;
  return `generation ${l.generation} ${
    gone ? "is gone" : "is NOT GONE"
  }: ${worker}, ${l.handles} handles, ${l.mbufs} mbufs`;
}

function trafficText({ name, counters: c }: IfJSON): string {
  return `${name}: ${count(c.opackets)} sent, ${count(c.ipackets)} received, ${
    count(c.oqdrops + c.oerrors)
  } dropped`;
}
