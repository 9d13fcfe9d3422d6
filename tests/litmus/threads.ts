/**
 * Threads that many of softc's sides are made of. All of them run production code.
 *
 * @module
 */
import { load, store } from "../../core/doors/arena.ts";
import type { Driver } from "../../core/device/driver.ts";
import type { IfEntry } from "../../core/net/interfaces.ts";
import { detachEntry } from "../../core/net/lifecycle.ts";
import type { NetSection } from "../../core/net/section.ts";
import type { Scenario, ScenarioThread, ThreadContext } from "../../testing/mod.ts";
import {
  assertLedger,
  attachIf,
  type AttachSpec,
  type ControlWorld,
  type CpuWorld,
  openControl,
  openCpu,
  openInstance,
  scratch,
  sendOne,
  serveMail,
} from "../../testing/world.ts";
import { checkOn, everywhere } from "./drivers/checked.ts";

/** CPU 0 with one interface. */
export interface OneIf {
  readonly w: ControlWorld;
  readonly e: IfEntry;
}

/** Scratch word: 1 when CPU 0 is done. */
export const DONE = 0;

/** Makes CPU 0 and `if0`. */
export function oneIf(t: ThreadContext, driver: Driver<never>, o: AttachSpec = {}): OneIf {
  const w = checkOn(openControl(t, driver));
  return { w, e: attachIf(w, driver, o) };
}

/** CPU 0 detaches `if0`; the other CPUs may end when it has. */
export function detacher(driver: Driver<never> = everywhere, o: AttachSpec = {}): ScenarioThread {
  return {
    name: "B ifDetach",
    async prepare(t) {
      const one = oneIf(t, driver, o);
      if (driver.queues === "per-cpu" || (o.home ?? 0) === 0) {
        await openInstance(one.w, one.e.index, true);
      }
      return one;
    },
    operations: {
      async detach(t, { w, e }: OneIf) {
        await detachEntry(w.ifs, e);
        store(w.a, scratch(t.arena, DONE), 1);
      },
    },
  };
}

/** A CPU that runs the driver, does one thing, then answers mail until CPU 0 is done. */
export function worker(
  name: string,
  body: (w: CpuWorld) => void,
  driver: Driver<never> = everywhere,
  home = false,
): ScenarioThread {
  return {
    name,
    async prepare(t) {
      const w = checkOn(openCpu(t, driver));
      await openInstance(w, 1, home);
      return w;
    },
    run(t, w: CpuWorld) {
      body(w);
      const done = scratch(t.arena, DONE);
      serveMail(w, [done], () => load(w.a, done) === 1);
    },
  };
}

/** Sends one packet; says "sent" or "refused". */
export function sender(between?: (s: NetSection) => void): ScenarioThread {
  return worker("A sender", (w) => {
    w.t.happened(sendOne(w, 1, 1, between) > 0 ? "sent" : "refused");
  });
}

/** `if0` is gone, its slot free, and every packet accounted for. */
export const gone: NonNullable<Scenario["check"]> = ({ arena }) => {
  assertLedger(arena);
  const state = load(arena.a, arena.ifnetAt(1) + 1);
  if (state !== 0) throw new Error(`the slot is in state ${state}`);
};

/** Detach against one sender, who does something between look-up and transmit. */
export function detachVsSender(name: string, between?: (s: NetSection) => void): Scenario {
  return {
    name,
    mustHappen: ["sent", "refused"],
    threads: [detacher(), sender(between)],
    check: gone,
  };
}
