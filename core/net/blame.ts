/**
 * Who holds something, since when, and what to do: the answer to "why is it not free yet?".
 *
 * Asked, never told: nothing of it costs the data path anything. References, sections, waits and hooks are kept
 * with their names and times anyway; packets are found by a scan of their owner words, a hint while CPUs run.
 *
 * @module
 */
import { get } from "../doors/arena.ts";
import { openAsyncSections } from "../epoch/epoch.ts";
import { IFNET } from "../memory/arena.ts";
import { callbacksOf } from "../memory/counters.ts";
import { livesOf } from "../memory/mbuf.ts";
import type { IfEntry, Interfaces } from "./interfaces.ts";
import { STATE } from "./state.ts";

/** One holder, for people: `what: holder for AGE ms; fix`. */
export interface Blame {
  /** What is held: "reference" (of a kernel "reference to if#INDEX"), "grace period", "async section", "epoch callbacks", "packets", or "waiting for". */
  readonly what: string;
  /** Who holds it, by name. */
  readonly holder: string;
  /** Milliseconds of the kernel's clock since it was taken, where known. */
  readonly age?: number;
  /** What to do. */
  readonly fix: string;
}

/**
 * Holders as a printed tree: the title, then one line each.
 *
 * @example
 * ```ts
 * import { blameTree, boot, ifCloneCreate } from "@softc/softc";
 *
 * const kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * console.log(blameTree(lo.name, lo.why())); // lo0: nothing holds it
 * await kernel.shutdown();
 * ```
 */
export function blameTree(title: string, blame: readonly Blame[]): string {
  if (blame.length === 0) return `${title}: nothing holds it`;
  const lines = blame.map((b, i) => {
    const age = b.age === undefined ? "" : ` for ${Math.round(b.age)} ms`;
    return `${i === blame.length - 1 ? "└─" : "├─"} ${b.what}: ${b.holder}${age}; ${b.fix}`;
  });
  return [title, ...lines].join("\n");
}

/** Everything that is held in a kernel, or what holds one interface. */
export function whoHolds(ifs: Interfaces, e?: IfEntry): Blame[] {
  const { arena, control } = ifs;
  const now = control.cpu.clock.now();
  const state = e === undefined ? undefined : get(arena.a, ifs.at(e) + IFNET.state);
  // Where it is on its way decides what it may wait for; a kernel waits for anything.
  const going = state !== STATE.attached && state !== STATE.freed;
  const held: Blame[] = [];
  for (const r of ifs.references) {
    if (e !== undefined && r.index !== e.index) continue;
    held.push({
      what: e === undefined ? `reference to if#${r.index}` : "reference",
      holder: r.tag,
      age: now - r.since,
      fix: "release it with ifRele",
    });
  }
  if (going) {
    const { since, open } = control.grace.blame();
    for (const s of open) {
      held.push({ what: "grace period", holder: s.opener, age: s.age ?? since, fix: "leave the section" });
    }
  }
  if (e === undefined || state === STATE.attached) {
    for (const s of openAsyncSections(arena, now)) {
      held.push({
        what: "async section",
        holder: `${s.opener} on CPU ${s.cpu}`,
        age: s.age!,
        fix: "close it",
      });
    }
  }
  for (const p of control.pending()) {
    if (e !== undefined && !p.label.includes(` ${e.name}`)) continue;
    held.push({
      what: "waiting for",
      holder: p.cpu === undefined ? p.label : `${p.label} on CPU ${p.cpu}`,
      age: p.age,
      fix: "mend what does not answer",
    });
  }
  if (going) {
    for (const k of control.everyCpu) {
      const n = callbacksOf(arena, k);
      if (n === 0) continue;
      held.push({
        what: "epoch callbacks",
        holder: `${n} of CPU ${k}`,
        fix: "leave the section that their grace period waits for",
      });
    }
  }
  if (e !== undefined && state !== STATE.freed) {
    for (const { owner, lives } of livesOf(arena, e.index)) {
      held.push({ what: "packets", holder: `${lives} of ${owner}`, fix: "send, free or purge them" });
    }
  }
  return held;
}
