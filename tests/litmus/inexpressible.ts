/** Races that are not expressed, each with its reason. @module */
import type { Inexpressible } from "./litmus.ts";

/** The list. */
export const INEXPRESSIBLE: readonly Inexpressible[] = [
  { id: "R12", reason: "not written yet: link events are taken in kernel.ts, which no scenario assembles" },
  { id: "R13", reason: "not written yet: neighbour timers are CPU 0's alone, so no two threads meet there" },
  { id: "R14", reason: "not written yet: needs the bus and its unplug in a scenario" },
  { id: "R18", reason: "softc has no aggregates (lagg): nothing joins an interface to another" },
  { id: "R20", reason: "softc has no bridge and no iflladdr event: no listener runs while a member moves" },
  {
    id: "R21",
    reason: "a section is one synchronous function: a hook that awaits inside does not compile, and throws",
  },
  { id: "R22", reason: "softc has no locks that a grace period could be waited for under" },
  { id: "R23", reason: "softc has no vlans: no trunk hangs off a parent" },
  {
    id: "R25",
    reason: "not written yet: a scope's timers run on its own CPU, between turns, and so does its close",
  },
  {
    id: "R26",
    reason: "mbufs have no destructor callbacks; a device's buffers come back by txDone or quarantine",
  },
  { id: "R27", reason: "not written yet: needs the module table in a scenario" },
  { id: "R32", reason: "softc has no multicast memberships that outlive an interface" },
  { id: "R34", reason: "the index table is fixed at boot: it never grows" },
];
