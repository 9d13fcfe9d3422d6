/**
 * Attach and detach: the order of an interface's coming and going.
 *
 * @module
 */
import { SoftcError } from "../error.ts";
import type { FreeSite } from "../memory/sanitizer.ts";
import { formatHandle } from "./handle.ts";
import type { IfEntry, IfSpec, Interfaces } from "./interfaces.ts";
import { stateOf, transition, tryTransition } from "./state.ts";

/**
 * Attaches slots (state attaching) whose drivers have attached: fields and rings, afdata, `open` on every CPU, then
 * publication of all of them in one piece of code. A failure at any step unwinds exactly what was done.
 *
 * @param admit called right before publication, in the same piece of code: throws when the vnet takes no more
 */
export async function attachEntries(
  ifs: Interfaces,
  entries: readonly IfEntry[],
  specs: readonly IfSpec[],
  admit: () => void,
): Promise<void> {
  const hung: IfEntry[] = [];
  try {
    for (const [n, e] of entries.entries()) {
      ifs.fill(e, specs[n]!);
      ifs.hangAfdata(e, ifs.buildAfdata(e));
      hung.push(e);
      await e.device.open();
    }
    await ifs.control.step("attach: opened");
    for (const e of entries) if (e.fault !== undefined) throw e.fault;
    admit();
    for (const e of entries) ifs.link(e, "publish");
  } catch (cause) {
    for (const e of hung) ifs.freeAfdata(e, ifs.takeAfdata(e), "ifAttach (unwound)");
    throw cause;
  }
}

/**
 * Detaches; cannot fail. Idempotent: every caller gets the same promise, which resolves when no hook runs or
 * can be entered. A vmove under way is told, and goes forward into detach.
 *
 * @throws {SoftcError} `SOFTC_IF_NOT_ATTACHED` for what was never attached
 */
export function detachEntry(ifs: Interfaces, e: IfEntry): Promise<void> {
  if (e.detaching !== undefined) return e.detaching;
  const { a } = ifs.arena;
  const at = ifs.at(e);
  if (tryTransition(a, at, "detach")) {
    if (stateOf(a, at) === "doomed") {
      return e.detaching = new Promise<void>((resolve) => e.doomed = { resolve: (p) => resolve(p) });
    }
    return e.detaching = takeDown(ifs, e, true);
  }
  throw new SoftcError("SOFTC_IF_NOT_ATTACHED", `Cannot detach ${e.name}`, {
    state: stateOf(a, at),
    wanted: "attached or moving",
  });
}

/** A vmove that cannot go on: forward into detach. `linked` says whether unlink has happened. */
export function giveIn(ifs: Interfaces, e: IfEntry, linked: boolean): Promise<void> {
  transition(ifs.arena.a, ifs.at(e), "give in", e.name);
  const done = takeDown(ifs, e, linked);
  if (e.doomed !== undefined) e.doomed.resolve(done);
  else e.detaching = done;
  return done;
}

/** The way out. The state is `detaching`, so this code owns the interface. */
async function takeDown(ifs: Interfaces, e: IfEntry, linked: boolean): Promise<void> {
  const { control, events } = ifs;
  const handle = ifs.handle(e);
  const vnet = e.vnet.name;
  // 1. One piece of code: down, admission closed, unlinked.
  ifs.clearUp(e);
  if (linked) ifs.unlink(e);
  ifs.taps.unlinkAll(e.index);
  // 2. Nobody who found it is inside a section any more.
  await control.grace.wait();
  await control.step("detach: grace");
  // 3. Told to all; queues purged by their owners; transmit gates closed everywhere.
  if (linked) events.emit("departure", e.name, { vnet, handle });
  try {
    await e.device.quiet();
    // 4. The device stops, then every CPU's part closes.
    await e.device.stop();
    await e.device.close();
  } catch (cause) {
    throw wedge(ifs, e, cause);
  }
  transition(ifs.arena.a, ifs.at(e), "stopped", e.name);
  // 5. What hung off it: the grace period of 2 covers all of it.
  const blocks = ifs.takeAfdata(e);
  ifs.freeAfdata(e, blocks, "ifDetach");
  ifs.freeRings(e, "ifDetach" satisfies FreeSite);
  await e.device.destroy();
  if (e.homeName !== undefined) ifs.unreserve(e.homeVnet, e.homeName);
  ifs.free(e);
}

/** An attach or open that did not answer: nobody ever found it, and detaching it answers that it is wedged. */
export function wedgeEntry(ifs: Interfaces, e: IfEntry, cause: unknown): void {
  ifs.unreserve(e.vnet, e.name);
  e.detaching = Promise.reject(wedge(ifs, e, cause));
  e.detaching.catch(() => {});
}

/** A driver that did not answer: its memory is kept, it is shown, and nobody waits for it. */
function wedge(ifs: Interfaces, e: IfEntry, cause: unknown): SoftcError {
  transition(ifs.arena.a, ifs.at(e), "wedge", e.name);
  ifs.events.emit("wedged", e.name, { handle: ifs.handle(e), detail: String(cause) });
  return new SoftcError("SOFTC_IF_WEDGED", `Interface ${e.name} (${formatHandle(ifs.handle(e))}) is wedged`, {
    state: "wedged",
    wanted: "dead",
    cause,
  });
}
