/**
 * What every step of the demo uses: two vnets, a frame, and time that passes with progress shown.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ifCloneCreate, type Ifnet, type Kernel, type Ledger, pktgen, type Vnet } from "@softc/softc";
import { rate, type Screen } from "./paint.ts";

/** Everything that the steps share. */
export interface Lab {
  readonly k: Kernel;
  readonly screen: Screen;
  readonly left: Vnet;
  readonly right: Vnet;
}

/** A plugin that is in a file of its own. */
export const ECHO: URL = new URL("../echo/echo.ts", import.meta.url);

/** Makes what a cloner makes, and brings it up. */
export async function up(
  v: Vnet,
  cloner: string,
  o?: Parameters<typeof ifCloneCreate>[2],
): Promise<[Ifnet, ...Ifnet[]]> {
  const made = await ifCloneCreate(v, cloner, o);
  for (const i of made) await i.up();
  return made;
}

/** Sends for a while; answers the rate of what went well, and what did not. */
export async function measure(
  { k, screen }: Lab,
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

/** Lets time pass with progress shown; `between` is done over and over meanwhile. */
export async function watch(
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

/** Waits until it is so; false when that takes too long. */
export async function until(condition: () => boolean, seconds = 5): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  while (!condition() && performance.now() < deadline) await sleep(2);
  return condition();
}

/** A part of a whole, drawn. */
export function bar(part: number): string {
  const full = Math.round(Math.min(1, part) * 24);
  return "█".repeat(full) + "░".repeat(24 - full);
}

/** A UDP datagram to the echo port (RFC 862), 64 bytes, right to its checksum. */
export function datagram(): Uint8Array {
  const f = new Uint8Array(64);
  f.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0x66, 0xb9]);
  f.set([10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 7, 0, 30, 0, 0], 26);
  return f;
}

function drops(l: Ledger): number {
  return Object.values(l.dropped).reduce((x, y) => x + y, 0);
}
