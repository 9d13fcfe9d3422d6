/** Judges the order of events: an interface arrives before it departs, once each, and its gencnt only grows. @module */
import { formatHandle, handleGencnt, handleIndex } from "../../core/net/handle.ts";
import type { KernelEvent, Subscription } from "../../mod.ts";

interface Slot {
  readonly gencnt: number;
  readonly attached: boolean;
}

/** Events that are kept, to be printed with a failure. */
const KEPT = 40;

/** Judges a subscription until it ends. */
export class OrderJudge {
  /** The last events, as lines. */
  readonly history: string[] = [];
  /** Settles when the subscription has ended. */
  readonly over: Promise<void>;

  /** `wrong` is told what is out of order, and what is wedged unless hooks do stall. */
  constructor(events: Subscription, wrong: (what: string) => void, stalls: boolean) {
    this.over = this.#judge(events, wrong, stalls);
  }

  async #judge(events: Subscription, wrong: (what: string) => void, stalls: boolean): Promise<void> {
    const slots = new Map<number, Slot>();
    for await (const e of events) {
      // It fell behind: what happened meanwhile is unknown.
      if (e.type === "snapshot") {
        slots.clear();
        continue;
      }
      if (this.history.push(line(e)) > KEPT) this.history.shift();
      judge(slots, e, wrong);
      if (e.type === "wedged" && !stalls) wrong(`wedged, and nothing stalled: ${line(e)}`);
    }
  }
}

function line(e: KernelEvent): string {
  const handle = e.handle === undefined ? "" : ` ${formatHandle(e.handle)}`;
  const more = [e.vnet, e.detail].filter((x) => x !== undefined).map((x) => `: ${x}`);
  return `+${e.at.toFixed(1)} ms ${e.type} ${e.name}${handle}${more.join("").slice(0, 200)}`;
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
