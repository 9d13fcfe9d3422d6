/**
 * The pump: a CPU's loop. One turn takes its mail, its queues and its timers; no section is open between turns.
 *
 * 1. Before it sleeps, a pump raises its sleep flag, then asks every source atomically whether work waits, then
 *    waits on its bell. A giver of work stores the work, then loads the sleep flag. Both are sequentially
 *    consistent, so either the pump sees the work or the giver sees the flag and rings: no lost wake-up.
 * 2. A worker blocks in `Atomics.wait` only when nothing on its thread needs the event loop (`cpu.pending`).
 * 3. CPU 0 never blocks: it sleeps in `waitAsync`, so the event loop lives.
 *
 * @module
 */
import { wait, waitAsync } from "../doors/arena.ts";
import { realClock } from "../doors/clock.ts";
import { WORK } from "../memory/counters.ts";
import type { Control } from "./control.ts";
import type { Cpu } from "./cpu.ts";

/** Packets that one source may handle in a turn. */
const TURN_BUDGET = 128;
/** Work after which a pump with an event loop yields to it. */
const YIELD_AFTER = 4096;
/** Milliseconds after which it yields however little it counted: a timer or a hook of a driver may be long. */
const YIELD_MS = 2;
/** Idle rounds before a pump lies down: a ring that fills again at once is met awake. Here each yields. */
const SPINS = 64;
/** The same for CPU 0, which yields in every 16th: what it waits for is mostly another CPU's answer. */
const CONTROL_SPINS = 256;
/** The same for a CPU whose thread serves nothing else: a wake-up costs it more than these. */
const WORKER_SPINS = 512;
/** Longest sleep: a backstop that correctness does not need. */
const NAP = 1000;

/** How a thread yields to its event loop: resolves in a later macrotask. */
export type Yield = () => Promise<void>;

/** One turn; returns the work done. */
export function turn(cpu: Cpu): number {
  let work = cpu.mail() ? 1 : 0;
  const { sources } = cpu;
  for (let i = 0; i < sources.length; i++) work += sources[i]!.poll(TURN_BUDGET);
  if (cpu.timers.run()) work++;
  return work;
}

/** The pump of CPUs 1..n: blocks the thread while nothing needs its event loop. */
export async function workerPump(cpu: Cpu, yieldToLoop: Yield): Promise<void> {
  let idle = 0;
  while (!cpu.stopped) {
    const work = turn(cpu);
    idle = work > 0 ? 0 : idle + 1;
    if (cpu.pending > 0) {
      if (idle < SPINS) await yieldToLoop();
      else {
        await napAsync(cpu, () => false);
        // It may not have slept: a source that always waits must not keep the event loop out.
        idle = SPINS - 8;
      }
    } else if (idle >= WORKER_SPINS) {
      nap(cpu);
      idle = 0;
    }
  }
}

/** The pump of CPU 0: yields to the event loop under load, sleeps asynchronously when idle. */
export async function controlPump(cpu: Cpu, control: Control, yieldToLoop: Yield): Promise<void> {
  let idle = 0;
  let sinceYield = 0;
  let yieldedAt = realClock.now();
  while (!cpu.stopped) {
    let work = turn(cpu);
    if (control.turn()) work++;
    sinceYield += work + 1;
    if (control.settled) {
      // What was settled goes on in microtasks: let them run before the next turn.
      control.settled = false;
      idle = 0;
      await undefined;
    }
    idle = work > 0 ? 0 : idle + 1;
    if (
      sinceYield >= YIELD_AFTER || (idle > 0 && idle < CONTROL_SPINS && idle % 16 === 0) ||
      (work > 0 && realClock.now() - yieldedAt >= YIELD_MS)
    ) {
      sinceYield = 0;
      await yieldToLoop();
      yieldedAt = realClock.now();
    } else if (idle >= CONTROL_SPINS) {
      await napAsync(cpu, () => control.workWaits());
      idle = CONTROL_SPINS - 32;
      sinceYield = 0;
      yieldedAt = realClock.now();
    }
  }
}

function napLength(cpu: Cpu): number {
  const ms = cpu.timers.next() - cpu.clock.now();
  // Virtual time moves by hand, and whoever moves it rings every bell.
  return cpu.clock.virtual && ms > 0 ? NAP : Math.min(NAP, ms);
}

function nap(cpu: Cpu): void {
  const bell = cpu.lieDown();
  const ms = napLength(cpu);
  if (ms > 0 && !cpu.workWaits()) {
    cpu.counters.count(WORK.sleeps, 1);
    wait(cpu.arena.a, cpu.bell, bell, ms);
  }
  cpu.getUp();
}

async function napAsync(cpu: Cpu, alsoWaits: () => boolean): Promise<void> {
  const bell = cpu.lieDown();
  const ms = napLength(cpu);
  if (ms > 0 && !cpu.workWaits() && !alsoWaits()) {
    cpu.counters.count(WORK.sleeps, 1);
    const rung = waitAsync(cpu.arena.a, cpu.bell, bell, ms);
    if (rung !== undefined) await rung;
  }
  cpu.getUp();
}
