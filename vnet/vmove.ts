/**
 * Moving an interface to another vnet: a transaction.
 *
 * 1. Prepare, still attached: everything that can fail. Nothing is held across the driver's answer but what is
 *    given back on failure: the target (held), the name (reserved), the new address-family data (built).
 * 2. Claim: `moving`, by compare-and-swap; of two moves one wins, the other gets ENODEV (behaviour 48).
 * 3. Down: admission is closed, hooks still run. Queue owners transmit what is queued, raced with a deadline.
 * 4. Unlink: gencnt even. No return: a failure from here on goes forward into detach.
 * 5. Grace period: no section that found it in the old vnet is open.
 * 6. A purge is posted to the queue owners and not awaited: the stamp is the barrier (output.ts, 2). Its
 *    answers complete the result.
 * 7. The old vnet's data of the interface goes, the driver is told (`reassign`).
 * 8. Commit: fields, flags, gencnt odd, state, list, arrival. Between 4 and 8 it resolves nowhere.
 *
 * Every failure before 4 restores the old vnet exactly, gencnt included: stored handles live on.
 *
 * @module
 */
import { get, load, set } from "../core/doors/arena.ts";
import { openAsyncSections } from "../core/epoch/epoch.ts";
import { SoftcError } from "../core/error.ts";
import { IFNET } from "../core/memory/arena.ts";
import { checkIfName } from "../core/net/config.ts";
import { IFF } from "../core/net/flags.ts";
import type { IfChange } from "../core/net/ifnet.ts";
import { formatHandle, GENCNT_END } from "../core/net/handle.ts";
import type { IfEntry, Interfaces } from "../core/net/interfaces.ts";
import { giveIn } from "../core/net/lifecycle.ts";
import { stateOf, transition, tryTransition } from "../core/net/state.ts";
import type { VnetObject } from "./vnet.ts";

/** Options of a move. */
export interface VmoveOptions {
  /** Its name in the target; its own unless told, its home name when it goes home. */
  readonly name?: string;
  /** Milliseconds that queued packets may take to leave, 0 to 60,000; 10 unless told. */
  readonly flushMs?: number;
  /** Whether it is UP afterwards; as before unless told. */
  readonly up?: boolean;
}

/** Options of a move that softc itself makes. */
interface OwnMove extends VmoveOptions {
  /** The vnet that it leaves is being destroyed. */
  readonly fromClosing?: boolean;
}

/** What happened in a move. */
export interface VmoveCounts {
  /** Nanoseconds from the moment that senders were refused in the old vnet until they are admitted in the new. */
  readonly blackoutNs: number;
  /** Packets that queue owners transmitted before unlink. */
  readonly flushed: number;
  /** Packets that were queued too late: dropped and counted. */
  readonly dropped: number;
}

/** An async section that is older than this (ms) keeps a move from starting. */
const OVERDUE = 1000;

/** The transaction. */
export async function vmove(
  ifs: Interfaces,
  e: IfEntry,
  to: VnetObject,
  o: OwnMove = {},
): Promise<VmoveCounts> {
  const { a } = ifs.arena;
  const at = ifs.at(e);
  const from = e.vnet as VnetObject;
  const handle = ifs.handle(e);
  const called = e.name;
  const name = o.name ?? (to === e.homeVnet ? e.homeName ?? e.name : e.name);
  if (o.name !== undefined) checkIfName(o.name);
  check(ifs, e, from, to, o);
  // 1. Prepare.
  const wasReserved = to === e.homeVnet && name === e.homeName;
  if (!wasReserved) ifs.reserve(to, name, `${e.name} on its way from "${from.name}"`);
  from.holds++;
  to.holds++;
  let built: number[] = [];
  try {
    built = ifs.buildAfdata(e, to.id);
    const veto = await e.device.canMove(to).catch((x: Error) => x.message);
    await ifs.control.step("vmove: prepared");
    if (veto !== true) {
      throw new SoftcError("SOFTC_VNET_VETO", `Cannot move ${e.name} to vnet "${to.name}": ${veto}`, {
        state: "vetoed",
        wanted: "movable",
      });
    }
    // On the way home from a vnet that goes the grace period is waited for, however long: the other way out is detach.
    if (o.fromClosing !== true) refuseOverdue(ifs, e);
    // 2. Claim.
    if (!tryTransition(a, at, "move")) {
      throw new SoftcError("SOFTC_VNET_LOST", `Cannot move ${e.name} to vnet "${to.name}"`, {
        state: stateOf(a, at),
        wanted: "attached",
      });
    }
    // It may have moved away, and even back, or got another name, while the driver was asked.
    if (ifs.handle(e) !== handle || e.name !== called) {
      transition(a, at, "restore", e.name);
      throw new SoftcError("SOFTC_VNET_LOST", `Cannot move ${e.name} to vnet "${to.name}"`, {
        state: `${formatHandle(ifs.handle(e))}, ${e.name} in vnet "${e.vnet.name}"`,
        wanted: `${formatHandle(handle)}, ${called} in vnet "${from.name}"`,
      });
    }
  } catch (x) {
    freeBlocks(ifs, built);
    if (!wasReserved) ifs.unreserve(to, name);
    from.holds--;
    to.holds--;
    ifs.control.cpu.ring(0);
    throw x;
  }
  try {
    return await move(ifs, e, from, to, name, built, o);
  } finally {
    from.holds--;
    to.holds--;
    ifs.control.cpu.ring(0);
  }
}

async function move(
  ifs: Interfaces,
  e: IfEntry,
  from: VnetObject,
  to: VnetObject,
  name: string,
  built: number[],
  o: VmoveOptions,
): Promise<VmoveCounts> {
  const { a } = ifs.arena;
  const { control } = ifs;
  const at = ifs.at(e);
  const handle = ifs.handle(e);
  const giveUp = async (linked: boolean, what: string, cause?: unknown): Promise<never> => {
    freeBlocks(ifs, built);
    // Its name at home stays its own until the detach is over.
    if (to !== e.homeVnet || name !== e.homeName) ifs.unreserve(to, name);
    await giveIn(ifs, e, linked);
    throw new SoftcError(
      cause === undefined ? "SOFTC_VNET_LOST" : "SOFTC_VNET_REASSIGN",
      `Cannot move ${e.name} to vnet "${to.name}": ${what}`,
      { state: "detached", wanted: "attached", cause },
    );
  };
  // 3. Down and flush.
  const closedAt = control.cpu.clock.now();
  const wasUp = ifs.clearUp(e);
  const flushed = await flush(ifs, e, o.flushMs ?? 10);
  await control.step("vmove: flushed");
  if (stateOf(a, at) === "doomed") return giveUp(true, "it was detached meanwhile");
  // 4. Unlink: no return.
  ifs.unlink(e);
  if (from === e.homeVnet) {
    // A home name stays reserved while the interface is lent, so the return never fails.
    e.homeName = e.name;
    ifs.reserve(from, e.name, `${e.name}, lent to "${to.name}"`);
  }
  // 5. Grace period.
  await control.grace.wait();
  await control.step("vmove: grace");
  // 6. Posted, not awaited.
  const purged = e.device.purge().catch(() => 0);
  // 7. The old vnet's data goes.
  ifs.events.emit("departure", e.name, { vnet: from.name, handle });
  ifs.taps.unlinkAll(e.index);
  const old = ifs.takeAfdata(e);
  ifs.freeAfdata(e, old, "ifVmove (address-family data of the old vnet)");
  const forgotten = forgetCounted(ifs, e);
  e.groups.clear();
  for (const g of ["all", ...e.spec!.groups]) e.groups.add(g);
  const up = o.up ?? wasUp;
  try {
    await e.device.reassign(to);
    // The driver first, then the flag (behaviour 29).
    const change = { ...forgotten, ...(up === wasUp ? {} : { up }) };
    if (Object.keys(change).length > 0 && stateOf(a, at) !== "doomed") await e.device.set(change);
  } catch (cause) {
    return giveUp(false, `its driver's reassign failed: ${(cause as Error).message}`, cause);
  }
  await control.step("vmove: reassigned");
  if (stateOf(a, at) === "doomed") return giveUp(false, "it was detached meanwhile");
  // 8. Commit.
  e.vnet = to;
  e.name = name;
  set(a, at + IFNET.vnet, to.id);
  set(a, at + IFNET.xconnectGen, 0);
  const flags = get(a, at + IFNET.flags) & ~(IFF.PROMISC | IFF.ALLMULTI | IFF.UP);
  set(a, at + IFNET.flags, up ? flags | IFF.UP : flags);
  ifs.hangAfdata(e, built);
  ifs.link(e, "commit");
  const blackoutNs = Math.round((control.cpu.clock.now() - closedAt) * 1e6);
  if (up) ifs.events.emit("up", e.name, { vnet: to.name, handle: ifs.handle(e) });
  if (to === e.homeVnet && e.homeName !== undefined) {
    if (e.homeName !== name) ifs.unreserve(to, e.homeName);
    e.homeName = undefined;
  }
  return { blackoutNs, flushed, dropped: await purged };
}

/** Nobody in the other vnet has asked for promisc or allmulti: what the driver must hear of it. */
function forgetCounted(ifs: Interfaces, e: IfEntry): IfChange {
  const flags = get(ifs.arena.a, ifs.at(e) + IFNET.flags);
  e.promisc = e.allmulti = 0;
  return {
    ...((flags & IFF.PROMISC) === 0 ? {} : { promisc: false }),
    ...((flags & IFF.ALLMULTI) === 0 ? {} : { allmulti: false }),
  };
}

/** What cannot be waited for: checked in the caller's turn. */
function check(ifs: Interfaces, e: IfEntry, from: VnetObject, to: VnetObject, o: OwnMove): void {
  const { a } = ifs.arena;
  const state = ifs.entries[e.index] === e ? stateOf(a, ifs.at(e)) : "freed";
  const what = `Cannot move ${e.name} to vnet "${to.name}"`;
  if (o.flushMs !== undefined && !(o.flushMs >= 0 && o.flushMs <= 60_000)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `${what}: flushMs is ${o.flushMs}`, {
      wanted: "0 to 60000 ms",
    });
  }
  if (state !== "attached") {
    throw new SoftcError(state === "freed" ? "SOFTC_IF_GONE" : "SOFTC_VNET_LOST", what, {
      state,
      wanted: "attached",
    });
  }
  if (from === to) {
    throw new SoftcError("SOFTC_VNET_SAME", what, { state: "in that vnet already", wanted: "in another" });
  }
  if (to.state !== "live") {
    throw new SoftcError("SOFTC_VNET_STATE", what, { state: to.state, wanted: "live" });
  }
  if (from.state !== "live" && o.fromClosing !== true) {
    throw new SoftcError("SOFTC_VNET_STATE", what, { state: from.state, wanted: "live" });
  }
  if ((load(a, ifs.at(e) + IFNET.gencnt) >>> 0) >= GENCNT_END - 4) {
    throw new SoftcError("SOFTC_IF_STATE", `${what}: its gencnt has come to its end`, {
      state: formatHandle(ifs.handle(e)),
      fix: "destroy it and create it again",
    });
  }
}

function refuseOverdue(ifs: Interfaces, e: IfEntry): void {
  const overdue = openAsyncSections(ifs.arena, ifs.control.cpu.clock.now()).find((s) =>
    (s.age ?? 0) > OVERDUE
  );
  if (overdue === undefined) return;
  throw new SoftcError("SOFTC_VNET_OVERDUE", `Cannot move ${e.name}`, {
    state: `"${overdue.opener}" on CPU ${overdue.cpu} holds a section for ${Math.round(overdue.age!)} ms`,
    wanted: `no section older than ${OVERDUE} ms`,
  });
}

/** What is queued leaves, as far as it does within `ms`. */
async function flush(ifs: Interfaces, e: IfEntry, ms: number): Promise<number> {
  const { control } = ifs;
  const asked = e.device.flush().catch(() => 0);
  let late = (): void => {};
  const deadline = new Promise<number>((resolve) => late = () => resolve(0));
  const timer = control.cpu.timers.after(ms, () => {
    control.settled = true;
    late();
  });
  const sent = await Promise.race([asked, deadline]);
  timer.armed = false;
  return sent;
}

function freeBlocks(ifs: Interfaces, blocks: readonly number[]): void {
  for (const block of blocks) ifs.control.heap.free(block, "ifAttach (unwound)");
}
