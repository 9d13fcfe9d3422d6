/**
 * Configuration of an interface: flags, MTU, name, dispatch, cross-connect.
 *
 * Changes of one interface queue up behind each other; each checks again that the interface is still attached
 * after every await, because nothing is held while a driver is asked.
 *
 * @module
 */
import { get, set, store } from "../doors/arena.ts";
import { isSoftcError, SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import { checkNames, type Names } from "../options.ts";
import { DISPATCH, IFF, LINK_STATE } from "./flags.ts";
import { formatHandle, type Handle, handleGencnt } from "./handle.ts";
import type { IfChange, Ifnet, IfOptions } from "./ifnet.ts";
import type { IfEntry, Interfaces } from "./interfaces.ts";
import { stateOf } from "./state.ts";

const NAME = /^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/;

/** Throws unless `name` can be an interface's. */
export function checkIfName(name: unknown): asserts name is string {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot name an interface "${String(name)}"`, {
      wanted: "1 to 15 letters, digits, dots, dashes or underscores, a letter first",
    });
  }
}

/** Runs `fn` after the changes of the interface that were asked before. */
function inOrder<T>(e: IfEntry, fn: () => Promise<T>): Promise<T> {
  const next = e.config.then(fn, fn);
  e.config = next.catch(() => {});
  return next;
}

/** Throws unless the interface is attached under this very handle. */
export function assertLive(ifs: Interfaces, e: IfEntry, h: Handle, verb: string, cause?: unknown): void {
  if (ifs.entries[e.index] === e && ifs.resolve(h) === "live") return;
  throw new SoftcError("SOFTC_IF_GONE", `Cannot ${verb} ${e.name} (${formatHandle(h)})`, {
    state: ifs.resolve(h),
    wanted: "live",
    cause,
  });
}

/** Sets UP: the driver first, then the flag, then listeners (behaviours 28, 29). */
export function ifUp(ifs: Interfaces, e: IfEntry, h: Handle): Promise<void> {
  return inOrder(e, async () => {
    assertClaimable(ifs, e, h, "bring up");
    const word = ifs.at(e) + IFNET.flags;
    if ((get(ifs.arena.a, word) & IFF.UP) !== 0) return;
    await change(ifs, e, h, "bring up", { up: true }, { up: false });
    set(ifs.arena.a, word, get(ifs.arena.a, word) | IFF.UP);
    ifs.ringAll();
    ifs.events.emit("up", e.name, { vnet: e.vnet.name, handle: h });
  });
}

/** Clears UP: listeners first, then the flag, then the driver. */
export function ifDown(ifs: Interfaces, e: IfEntry, h: Handle): Promise<void> {
  return inOrder(e, async () => {
    assertClaimable(ifs, e, h, "bring down");
    if (ifs.clearUp(e)) await tell(ifs, e, h, "bring down", { up: false });
  });
}

/** A driver's CPU says that the link changed: ignored after unlink, or when the slot has another occupant (R12). */
export function ifLinkChanged(ifs: Interfaces, index: number, born: number, state: number): void {
  const e = ifs.entries[index];
  if (e === undefined || e.born !== born || ifs.resolve(ifs.handle(e)) !== "live") return;
  const name = Object.keys(LINK_STATE)[state] ?? "unknown";
  ifs.events.emit("link", e.name, { vnet: e.vnet.name, handle: ifs.handle(e), detail: name });
}

const NAMES: Names<IfOptions> = {
  mtu: true,
  name: true,
  promisc: true,
  allmulti: true,
  dispatch: true,
  xconnect: true,
};

/** Changes options; what the driver refuses is rolled back. */
export function ifSet(
  ifs: Interfaces,
  e: IfEntry,
  h: Handle,
  o: IfOptions,
  mtu: { min: number; max: number },
): Promise<void> {
  return inOrder(e, async () => {
    checkNames(`change ${e.name}`, o, NAMES);
    assertClaimable(ifs, e, h, "change");
    if (o.mtu !== undefined && !(Number.isInteger(o.mtu) && o.mtu >= mtu.min && o.mtu <= mtu.max)) {
      throw new SoftcError("SOFTC_IF_MTU", `Cannot set the MTU of ${e.name} to ${o.mtu}`, {
        wanted: `${mtu.min} to ${mtu.max} bytes`,
      });
    }
    if (o.name !== undefined && o.name !== e.name) rename(ifs, e, o.name, h);
    if (o.mtu !== undefined) await setMtu(ifs, e, h, o.mtu);
    if (o.promisc !== undefined) await setCounted(ifs, e, h, "promisc", o.promisc);
    if (o.allmulti !== undefined) await setCounted(ifs, e, h, "allmulti", o.allmulti);
    if (o.dispatch !== undefined) setDispatch(ifs, e, o.dispatch);
    if (o.xconnect !== undefined) await setXconnect(ifs, e, h, o.xconnect);
    ifs.events.emit("change", e.name, { vnet: e.vnet.name, handle: h, detail: Object.keys(o).join(" ") });
  });
}

/** The check and the claim of the new name are one (R33). */
function rename(ifs: Interfaces, e: IfEntry, name: string, h: Handle): void {
  checkIfName(name);
  ifs.reserve(e.vnet, name, e.name);
  const old = e.name;
  ifs.rename(e, name);
  ifs.events.emit("rename", name, { vnet: e.vnet.name, handle: h, detail: `was ${old}` });
}

async function setMtu(ifs: Interfaces, e: IfEntry, h: Handle, mtu: number): Promise<void> {
  const word = ifs.at(e) + IFNET.mtu;
  if (get(ifs.arena.a, word) === mtu) return;
  await change(ifs, e, h, "change", { mtu }, { mtu: get(ifs.arena.a, word) });
  set(ifs.arena.a, word, mtu);
}

/** Promisc and allmulti are counted: only 0 to 1 and 1 to 0 reach the driver (behaviour 30). */
async function setCounted(
  ifs: Interfaces,
  e: IfEntry,
  h: Handle,
  which: "promisc" | "allmulti",
  on: boolean,
): Promise<void> {
  const before = e[which];
  const after = on ? before + 1 : Math.max(0, before - 1);
  e[which] = after;
  if ((before > 0) === (after > 0)) return;
  try {
    await change(ifs, e, h, "change", { [which]: on }, { [which]: !on });
  } catch (x) {
    // A move has set the count to 0.
    if (ifs.resolve(h) === "live") e[which] = before;
    throw x;
  }
  const word = ifs.at(e) + IFNET.flags;
  const bit = which === "promisc" ? IFF.PROMISC : IFF.ALLMULTI;
  set(ifs.arena.a, word, on ? get(ifs.arena.a, word) | bit : get(ifs.arena.a, word) & ~bit);
}

function setDispatch(ifs: Interfaces, e: IfEntry, d: "direct" | "flow" | number): void {
  const { cpus } = ifs.arena.plan.config;
  if (typeof d === "number" && !(Number.isInteger(d) && d >= 0 && d < cpus)) {
    throw new SoftcError("SOFTC_DEV_CPU", `Cannot dispatch ${e.name} to CPU ${d}`, {
      wanted: `0 to ${cpus - 1}`,
    });
  }
  if (typeof d !== "number" && !Object.hasOwn(DISPATCH, d)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot dispatch ${e.name} by "${String(d)}"`, {
      wanted: '"direct", "flow" or a CPU',
    });
  }
  set(ifs.arena.a, ifs.at(e) + IFNET.dispatch, typeof d === "number" ? d : DISPATCH[d]);
}

/** A weak handle of the other interface. The grace period keeps a reader from pairing old and new halves. */
async function setXconnect(ifs: Interfaces, e: IfEntry, h: Handle, to: Ifnet | null): Promise<void> {
  const { a } = ifs.arena;
  const at = ifs.at(e);
  if (to !== null && (to.vnet !== e.vnet || ifs.resolve(to.handle) !== "live")) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot cross-connect ${e.name} to ${String(to?.name)}`, {
      state: `${ifs.resolve(to?.handle)} in vnet "${String(to?.vnet?.name)}"`,
      wanted: `live in vnet "${e.vnet.name}"`,
    });
  }
  store(a, at + IFNET.xconnectGen, 0);
  if (to === null) return;
  await ifs.control.grace.wait();
  assertClaimable(ifs, e, h, "change");
  store(a, at + IFNET.xconnect, to.index);
  store(a, at + IFNET.xconnectGen, handleGencnt(to.handle));
}

/** Attached, and owned by no structural operation. */
function assertClaimable(ifs: Interfaces, e: IfEntry, h: Handle, verb: string): void {
  assertLive(ifs, e, h, verb);
  const state = stateOf(ifs.arena.a, ifs.at(e));
  if (state !== "attached") {
    throw new SoftcError("SOFTC_IF_STATE", `Cannot ${verb} ${e.name}`, { state, wanted: "attached" });
  }
}

/** Tells the driver of a change; takes it back when a move claimed the interface meanwhile and the change is void. */
async function change(
  ifs: Interfaces,
  e: IfEntry,
  h: Handle,
  verb: string,
  to: IfChange,
  back: IfChange,
): Promise<void> {
  await tell(ifs, e, h, verb, to);
  try {
    assertClaimable(ifs, e, h, verb);
  } catch (x) {
    // One that goes hears no more: its stop may have run.
    if (ifs.entries[e.index] === e && ["attached", "moving"].includes(stateOf(ifs.arena.a, ifs.at(e)))) {
      await tell(ifs, e, h, verb, back).catch(() => {});
    }
    throw x;
  }
}

async function tell(ifs: Interfaces, e: IfEntry, h: Handle, verb: string, change: IfChange): Promise<void> {
  try {
    // Asked in the piece of code that checked: nobody can have taken the interface away in between (R16).
    await e.device.set(change);
  } catch (x) {
    // What a driver meets when its device is pulled out is its own affair: the interface goes. What the kernel
    // says (a CPU that died, a deadline) stands.
    if (!isSoftcError(x)) assertLive(ifs, e, h, verb, x);
    throw x;
  }
  await ifs.control.step(`set ${e.name}`);
}
