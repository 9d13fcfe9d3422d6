/**
 * The states of an interface: one table. The guard, the page in docs and the explorer's oracle come from it.
 *
 * A transitional state (attaching, moving, detaching) is a claim: it owns the interface across awaits, so no
 * structural operation needs a lock (X2). Only CPU 0 changes the state word; it does so by compare-and-swap,
 * so that a claim made between two awaits is never overwritten.
 *
 * @module
 */
import { cas, load } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";

/** Number of each state in the slot's state word. */
export const STATE = {
  freed: 0,
  allocated: 1,
  attaching: 2,
  attached: 3,
  moving: 4,
  doomed: 5,
  detaching: 6,
  dead: 7,
  wedged: 8,
} as const;
/** A state of an interface. */
export type IfState = keyof typeof STATE;

/** What happens to an interface: a column of {@linkcode TRANSITIONS}. */
export type IfEvent =
  | "allocate"
  | "attach"
  | "publish"
  | "unwind"
  | "move"
  | "restore"
  | "commit"
  | "detach"
  | "give in"
  | "stopped"
  | "free"
  | "wedge";

/** What one sentence says of each state. */
export const STATE_TEXT: Readonly<Record<IfState, string>> = {
  freed: "the slot is free",
  allocated: "a slot is claimed; nobody can find it",
  attaching: "the driver's attach and open run; nobody can find it",
  attached: "on its vnet's list; packets flow when it is UP",
  moving: "a vmove owns it; resolves nowhere between unlink and commit",
  doomed: "a vmove owns it, and a detach or unplug came meanwhile: it goes forward into detaching",
  detaching: "ifDetach owns it; hooks still run until their gates close",
  dead: "no hook runs or can be entered; waits for its last reference",
  wedged: "a driver hook missed its deadline: memory is kept, nobody waits for it",
};

/** States x events: what comes next. An event that is missing in a row is refused there. */
export const TRANSITIONS: Readonly<Record<IfState, Readonly<Partial<Record<IfEvent, IfState>>>>> = {
  freed: { allocate: "allocated" },
  allocated: { attach: "attaching", free: "freed" },
  attaching: { publish: "attached", unwind: "dead", wedge: "wedged" },
  attached: { move: "moving", detach: "detaching" },
  moving: {
    restore: "attached",
    commit: "attached",
    detach: "doomed",
    "give in": "detaching",
    wedge: "wedged",
  },
  doomed: { "give in": "detaching", wedge: "wedged" },
  detaching: { stopped: "dead", wedge: "wedged" },
  dead: { free: "freed" },
  wedged: {},
};

const NAMES = Object.keys(STATE) as IfState[];

/** The state of the slot at `at`. */
export function stateOf(a: Int32Array, at: number): IfState {
  return NAMES[load(a, at + IFNET.state)] ?? "freed";
}

/**
 * Applies an event; returns the state that was left. The compare-and-swap is the claim.
 *
 * @throws {SoftcError} `SOFTC_IF_STATE` when the table has no such transition
 */
export function transition(a: Int32Array, at: number, event: IfEvent, what: string): IfState {
  for (;;) {
    const from = stateOf(a, at);
    const to = TRANSITIONS[from][event];
    if (to === undefined) {
      throw new SoftcError("SOFTC_IF_STATE", `Cannot ${event} ${what}`, {
        state: from,
        wanted: statesFor(event),
      });
    }
    if (cas(a, at + IFNET.state, STATE[from], STATE[to]) === STATE[from]) return from;
  }
}

/** Like {@linkcode transition}, answering `false` instead of throwing: for races that have a loser. */
export function tryTransition(a: Int32Array, at: number, event: IfEvent): boolean {
  for (;;) {
    const from = stateOf(a, at);
    const to = TRANSITIONS[from][event];
    if (to === undefined) return false;
    if (cas(a, at + IFNET.state, STATE[from], STATE[to]) === STATE[from]) return true;
  }
}

/** The states in which an event is allowed. */
export function statesFor(event: IfEvent): string {
  return NAMES.filter((s) => TRANSITIONS[s][event] !== undefined).join(" or ");
}
