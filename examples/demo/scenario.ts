/**
 * What the demo shows, on softc's public API alone: two vnets, real traffic between them over two CPUs, a plugin,
 * devices that come and go, a move and an unload while every CPU sends.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  boot,
  discard,
  ifCloneCreate,
  ifVmove,
  type Kernel,
  type Pktgen,
  pktgen,
  type ShutdownReport,
  vnetCreate,
} from "@softc/softc";
import { readCapture } from "@softc/softc/drivers/pcap";
import { type Crossed, type Hosted, hosted, type Replugged, usb, virtio } from "./devices.ts";
import { bar, datagram, ECHO, type Lab, measure, up, watch } from "./lab.ts";
import { count, duration, rate, type Screen } from "./paint.ts";
import { type PingReport, pings } from "./router.ts";

const CAPTURE = new URL("../data/linux.pcapng", import.meta.url);

/** How the demo runs. */
export interface DemoOptions {
  /** Told of the kernel once it is up: somebody may want to watch. */
  readonly onBoot?: (k: Kernel) => void;
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
  readonly ping: PingReport;
  readonly virtio: Crossed;
  readonly usb: Replugged;
  readonly host: Hosted;
  /** Frames of the capture that were replayed, and that arrived in the other vnet. */
  readonly replayed: { readonly sent: number; readonly arrived: number };
  /** What the kernel still had running after its shutdown, and what nobody freed. */
  readonly leaks: readonly string[];
}

/** Runs it all; the kernel is down afterwards, whatever happens. */
export async function run(o: DemoOptions, screen: Screen): Promise<Outcome> {
  const started = performance.now();
  const k = await boot({ cpus: o.cpus, onFault: (e) => screen.line(screen.paint("red", e.message)) });
  try {
    o.onBoot?.(k);
    screen.step(
      "boot",
      `${o.cpus} CPU${o.cpus > 1 ? "s" : ""} in ${duration((performance.now() - started) * 1e6)}`,
    );
    const lab = await build(k, screen);
    const replayed = await replay(lab, o.seconds * 0.2);
    const ping = await pings(lab);
    await fullRate(lab, o.seconds * 0.2);
    const crossed = await virtio(lab, o.seconds * 0.1);
    const replugged = await usb(lab, o.seconds * 0.1);
    const moves = await moveAndUnload(lab, o.seconds * 0.3);
    const host = await hosted(lab, o.seconds * 0.1);
    const report = await k.shutdown();
    const { workers, waits, timers } = k.inspect();
    const leaks = [...report.leaks, ...report.wedged, ...workers, ...waits, ...timers];
    const running = workers.length + waits.length + timers.length;
    screen.step(
      "shutdown",
      `every interface, module and CPU: ${report.wedged.length} wedged, ${running} still running`,
    );
    return {
      report,
      gracePeriods: k.gracePeriods,
      moves,
      ping,
      virtio: crossed,
      usb: replugged,
      host,
      replayed,
      leaks,
    };
  } finally {
    await k.shutdown();
  }
}

/** Two vnets with a loopback each, every module loaded on every CPU. */
async function build(k: Kernel, screen: Screen): Promise<Lab> {
  for (const driver of ["loopback", "epair", "pcap", "virtio", "usb"]) {
    await k.modules.load(`softc:${driver}`);
  }
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
async function fullRate(lab: Lab, seconds: number): Promise<void> {
  const { k, screen, left } = lab;
  const frame = datagram();
  const ways: readonly [name: string, what: string][] = [
    ["lo0", "loopback, on each CPU"],
    ["epair0a", "epair, left to right"],
    ["pcap0", `rings from ${k.cpus} CPU${k.cpus > 1 ? "s" : ""} to one`],
  ];
  for (const [name, what] of ways) {
    const ifnet = k.ifnets.find((i) => i.name === name && i.vnet === left)!;
    const { rate: r, lost } = await measure(lab, name, { vnet: left, ifnet, frame }, seconds / ways.length);
    screen.step("traffic", `${r.padStart(9)}  ${name.padEnd(8)} ${what}${lost}`);
  }
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

function summary(ns: readonly number[]): Moves {
  const sorted = ns.toSorted((x, y) => x - y);
  const us = (n: number | undefined) => Math.round((n ?? 0) / 100) / 10;
  return { count: ns.length, p50Us: us(sorted[sorted.length >> 1]), maxUs: us(sorted.at(-1)) };
}
