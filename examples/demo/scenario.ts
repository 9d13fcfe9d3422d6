/**
 * What the demo shows, on softc's public API alone: two vnets, real traffic between them over two CPUs, a plugin,
 * a move and an unload while every CPU sends.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  boot,
  discard,
  ifCloneCreate,
  type Ifnet,
  ifVmove,
  type Kernel,
  type Ledger,
  type Pktgen,
  pktgen,
  type ShutdownReport,
  type Vnet,
  vnetCreate,
} from "@softc/softc";
import { readCapture } from "@softc/softc/drivers/pcap";
import { readFileSync } from "node:fs";
import { count, duration, rate, type Screen } from "./paint.ts";

const CAPTURE = new URL("../data/linux.pcapng", import.meta.url);
const ECHO = new URL("../echo/echo.ts", import.meta.url);

/** How the demo runs. */
export interface DemoOptions {
  readonly cpus: number;
  readonly seconds: number;
}

/** How the moves went: how many, and how long senders were refused. */
export interface Moves {
  readonly count: number;
  readonly p50Us: number;
  readonly maxUs: number;
}

/** What the demo found. */
export interface Outcome {
  readonly report: ShutdownReport;
  readonly gracePeriods: number;
  readonly moves: Moves;
  /** Frames of the capture that were replayed, and that arrived in the other vnet. */
  readonly replayed: { readonly sent: number; readonly arrived: number };
  /** What the kernel still had running after its shutdown, and what nobody freed. */
  readonly leaks: readonly string[];
}

/** Everything that the steps share. */
interface Lab {
  readonly k: Kernel;
  readonly screen: Screen;
  readonly left: Vnet;
  readonly right: Vnet;
}

/** Runs it all; the kernel is down afterwards, whatever happens. */
export async function run(o: DemoOptions, screen: Screen): Promise<Outcome> {
  const started = performance.now();
  const k = await boot({ cpus: o.cpus, onFault: (e) => screen.line(screen.paint("red", e.message)) });
  try {
    screen.step(
      "boot",
      `${o.cpus} CPU${o.cpus > 1 ? "s" : ""} in ${duration((performance.now() - started) * 1e6)}`,
    );
    const lab = await build(k, screen);
    const replayed = await replay(lab, o.seconds * 0.3);
    await fullRate(lab, o.seconds * 0.2);
    const moves = await moveAndUnload(lab, o.seconds * 0.5);
    const report = await k.shutdown();
    const { workers, waits, timers } = k.inspect();
    const leaks = [...report.leaks, ...report.wedged, ...workers, ...waits, ...timers];
    const running = workers.length + waits.length + timers.length;
    screen.step(
      "shutdown",
      `every interface, module and CPU: ${report.wedged.length} wedged, ${running} still running`,
    );
    return { report, gracePeriods: k.gracePeriods, moves, replayed, leaks };
  } finally {
    await k.shutdown();
  }
}

/** Two vnets with a loopback each, every module loaded on every CPU. */
async function build(k: Kernel, screen: Screen): Promise<Lab> {
  for (const driver of ["loopback", "epair", "pcap"]) await k.modules.load(`softc:${driver}`);
  await k.modules.load(ECHO);
  const names = k.modules.list().map((m) => m.name).join(", ");
  screen.step("modules", `${names}; echo is a plugin from ${screen.paint("bold", "examples/echo/echo.ts")}`);
  const [left, right] = [await vnetCreate(k.vnet0, "left"), await vnetCreate(k.vnet0, "right")];
  for (const v of [left, right]) {
    discard(v);
    await up(v, "lo");
  }
  return { k, screen, left, right };
}

/** Makes what a cloner makes, and brings it up. */
async function up(
  v: Vnet,
  cloner: string,
  o?: Parameters<typeof ifCloneCreate>[2],
): Promise<[Ifnet, ...Ifnet[]]> {
  const made = await ifCloneCreate(v, cloner, o);
  for (const i of made) await i.up();
  return made;
}

/** A real capture comes in on pcap0 of "left", leaves through a pair, and is received in "right" on another CPU. */
async function replay({ k, screen, left, right }: Lab, seconds: number): Promise<Outcome["replayed"]> {
  const { frames } = readCapture(readFileSync(CAPTURE), "linux.pcapng");
  const recorded = Number(frames.at(-1)!.at - frames[0]!.at) / 1e9;
  const loop = 3;
  const speed = loop * recorded / (seconds * 0.9);
  const there = k.cpus - 1;
  const ends = await up(left, "epair", { options: { dispatch: there } });
  const far = (await ifVmove(ends[1]!, right)).ifnet;
  const [pcap0] = await ifCloneCreate(left, "pcap", { cpu: 0, options: { file: CAPTURE, speed, loop } });
  await pcap0.set({ xconnect: ends[0] });
  screen.step(
    "lab",
    `left [ pcap0 on CPU 0 ─▶ ${ends[0].name} ]═══[ ${far.name} on CPU ${there} ─▶ discard ] right`,
  );
  await pcap0.up();
  const sent = frames.length * loop;
  const arrived = () => far.counters.ipackets;
  const deadline = performance.now() + (seconds + 10) * 1000;
  while (arrived() < sent && performance.now() < deadline) {
    screen.progress("replay", `${bar(arrived() / sent)} ${count(arrived())} of ${count(sent)} frames`);
    await sleep(50);
  }
  await k.ledger(); // every CPU has stopped: what had arrived is counted
  screen.step(
    "replay",
    `ping, ping6, UDP and TCP of linux.pcapng, ${loop} times at ${speed.toFixed(1)}x: ` +
      `${count(arrived())} of ${count(sent)} frames arrived`,
  );
  return { sent, arrived: arrived() };
}

/** Every CPU sends as fast as it can: run to completion, through a pair, and through rings to one home CPU. */
async function fullRate({ k, screen, left }: Lab, seconds: number): Promise<void> {
  const frame = datagram();
  const ways: readonly [name: string, what: string][] = [
    ["lo0", "loopback, on each CPU"],
    ["epair0a", "epair, left to right"],
    ["pcap0", `rings from ${k.cpus} CPU${k.cpus > 1 ? "s" : ""} to one`],
  ];
  for (const [name, what] of ways) {
    const ifnet = k.ifnets.find((i) => i.name === name && i.vnet === left)!;
    const { rate: r, lost } = await measure(
      k,
      screen,
      name,
      { vnet: left, ifnet, frame },
      seconds / ways.length,
    );
    screen.step("traffic", `${r.padStart(9)}  ${name.padEnd(8)} ${what}${lost}`);
  }
}

/** Sends for a while; answers the rate of what went well, and what did not. */
async function measure(
  k: Kernel,
  screen: Screen,
  name: string,
  o: Parameters<typeof pktgen>[0],
  seconds: number,
): Promise<{ rate: string; lost: string }> {
  const before = await k.ledger();
  const start = performance.now();
  const generator = await pktgen(o);
  await watch(screen, name, start, seconds, () => "");
  await generator.stop();
  const after = await k.ledger();
  const took = (performance.now() - start) / 1000;
  const dropped = drops(after) - drops(before);
  const share = dropped / (after.sent - before.sent) * 100;
  return {
    rate: rate(after.delivered - before.delivered, took),
    lost: dropped === 0 ? "" : screen.paint("dim", ` (${share.toFixed(0)} % had no room)`),
  };
}

/** The plugin's interface goes back and forth between the vnets, then its module goes, while every CPU sends. */
async function moveAndUnload({ k, screen, left, right }: Lab, seconds: number): Promise<Moves> {
  let [echo] = await up(left, "echo", { options: { perSecond: 1e9 } });
  const frame = datagram();
  const generators: Pktgen[] = [];
  for (const vnet of [left, right]) generators.push(await pktgen({ vnet, ifnet: echo, frame }));
  const blackouts: number[] = [];
  const start = performance.now();
  const before = echo.counters.opackets;
  await watch(screen, "vmove", start, seconds * 0.75, () => `${count(blackouts.length)} moves`, async () => {
    const to = echo.vnet === left ? right : left;
    const moved = await ifVmove(echo, to);
    echo = moved.ifnet;
    blackouts.push(moved.blackoutNs);
  });
  const took = (performance.now() - start) / 1000;
  const moves = summary(blackouts);
  screen.step(
    "vmove",
    `${echo.name} left ⇄ right ${count(moves.count)} times at ${
      rate(echo.counters.opackets - before, took)
    }: ` +
      `blackout p50 ${duration(moves.p50Us * 1e3)}, max ${duration(moves.maxUs * 1e3)}`,
  );
  await watch(screen, "unload", performance.now(), seconds * 0.2, () => "full traffic");
  const at = performance.now();
  await k.modules.unload("echo", { mode: "drain" });
  screen.step(
    "unload",
    `module echo, every CPU sending through it: gone after ${duration((performance.now() - at) * 1e6)}; ` +
      `${count(echo.counters.opackets)} packets sent`,
  );
  for (const g of generators) await g.stop();
  return moves;
}

/** Lets time pass with progress shown; `between` is done over and over meanwhile. */
async function watch(
  screen: Screen,
  name: string,
  start: number,
  seconds: number,
  text: () => string,
  between?: () => Promise<void>,
): Promise<void> {
  const end = start + seconds * 1000;
  let shown = 0;
  for (let now = start; now < end; now = performance.now()) {
    if (now - shown > 80) {
      screen.progress(name, `${bar((now - start) / (end - start))} ${text()}`);
      shown = now;
    }
    await between?.();
    await sleep(between === undefined ? Math.min(80, end - now) : 5);
  }
}

function bar(part: number): string {
  const full = Math.round(Math.min(1, part) * 24);
  return "█".repeat(full) + "░".repeat(24 - full);
}

function drops(l: Ledger): number {
  return Object.values(l.dropped).reduce((x, y) => x + y, 0);
}

function summary(ns: readonly number[]): Moves {
  const sorted = ns.toSorted((x, y) => x - y);
  const us = (n: number | undefined) => Math.round((n ?? 0) / 100) / 10;
  return { count: ns.length, p50Us: us(sorted[sorted.length >> 1]), maxUs: us(sorted.at(-1)) };
}

/** A UDP datagram to the echo port (RFC 862), 64 bytes, right to its checksum. */
function datagram(): Uint8Array {
  const f = new Uint8Array(64);
  f.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0x66, 0xb9]);
  f.set([10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 7, 0, 30, 0, 0], 26);
  return f;
}
