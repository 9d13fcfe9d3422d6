import { assert, assertEquals, assertThrows } from "@std/assert";
import { IFNET } from "../../core/memory/arena.ts";
import {
  type IfEvent,
  type IfState,
  STATE,
  STATE_TEXT,
  stateOf,
  statesFor,
  transition,
  TRANSITIONS,
  tryTransition,
} from "../../core/net/state.ts";
import { isSoftcError } from "../../mod.ts";
import { page } from "../../scripts/states.ts";

const STATES = Object.keys(STATE) as IfState[];
const EVENTS = [...new Set(STATES.flatMap((s) => Object.keys(TRANSITIONS[s])))] as IfEvent[];

Deno.test("the guard answers what the table says, for every state and event", () => {
  const a = new Int32Array(new SharedArrayBuffer(64));
  for (const from of STATES) {
    for (const event of EVENTS) {
      const to = TRANSITIONS[from][event];
      a[IFNET.state] = STATE[from];
      assertEquals(tryTransition(a, 0, event), to !== undefined, `${event} in ${from}`);
      assertEquals(stateOf(a, 0), to ?? from);

      a[IFNET.state] = STATE[from];
      if (to !== undefined) {
        assertEquals(transition(a, 0, event, "x0"), from);
        assertEquals(stateOf(a, 0), to);
        continue;
      }
      const e = assertThrows(() => transition(a, 0, event, "x0"));
      assert(isSoftcError(e, "SOFTC_IF_STATE"));
      assertEquals([e.state, e.wanted], [from, statesFor(event)]);
      assertEquals(stateOf(a, 0), from, "refused: nothing changed");
    }
  }
});

Deno.test("every state is reached from freed, and every state but wedged leads back to it", () => {
  const next = (s: IfState): IfState[] => Object.values(TRANSITIONS[s]);
  const reach = (from: IfState): Set<IfState> => {
    const seen = new Set<IfState>([from]);
    for (const s of seen) for (const n of next(s)) seen.add(n);
    return seen;
  };
  assertEquals([...reach("freed")].sort(), [...STATES].sort());
  for (const s of STATES) assertEquals(reach(s).has("freed"), s !== "wedged", s);
});

Deno.test("every state has a number of its own and a sentence; 0 is freed", () => {
  assertEquals(new Set(Object.values(STATE)).size, STATES.length);
  assertEquals(STATE.freed, 0);
  assertEquals(Object.keys(STATE_TEXT), STATES);
});

Deno.test("docs/states.md is what the table generates", () => {
  assertEquals(Deno.readTextFileSync(new URL("../../docs/states.md", import.meta.url)), page());
});
