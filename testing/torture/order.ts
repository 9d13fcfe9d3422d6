/** Judges the order of events: an interface arrives before it departs, once each, and its gencnt only grows. @module */
import { handleGencnt, handleIndex } from "../../core/net/handle.ts";
import type { KernelEvent, Subscription } from "../../mod.ts";

interface Slot {
  readonly gencnt: number;
  readonly attached: boolean;
}

/** Reads a subscription to its end; tells `wrong` what is out of order. */
export async function judgeOrder(events: Subscription, wrong: (what: string) => void): Promise<void> {
  const slots = new Map<number, Slot>();
  for await (const e of events) {
    // It fell behind: what happened meanwhile is unknown.
    if (e.type === "snapshot") slots.clear();
    else judge(slots, e, wrong);
  }
}

function judge(slots: Map<number, Slot>, e: KernelEvent, wrong: (what: string) => void): void {
  if (e.handle === undefined) return;
  const index = handleIndex(e.handle);
  const gencnt = handleGencnt(e.handle);
  const slot = slots.get(index);
  const say = (what: string): void => wrong(`event ${e.seq}, ${e.type} of ${e.name}: ${what}`);
  if (e.type === "arrival") {
    if (slot?.attached === true) say("it is attached already");
    if (slot !== undefined && gencnt <= slot.gencnt) say(`gencnt ${gencnt} after ${slot.gencnt}`);
    slots.set(index, { gencnt, attached: true });
  } else if (e.type === "wedged" && slot?.attached !== true) {
    // Or its attach stalled: it never arrived.
    slots.set(index, { gencnt, attached: false });
  } else if (slot !== undefined) {
    if (gencnt !== slot.gencnt) say(`gencnt ${gencnt}, it has ${slot.gencnt}`);
    const ended = e.type === "freed" || e.type === "wedged";
    if (slot.attached === ended) say(ended ? "it has not departed" : "it has departed");
    if (e.type === "departure") slots.set(index, { gencnt, attached: false });
  }
}
