/**
 * Sections and look-ups: the only way to an interface on the data path.
 *
 * A look-up takes its section as an argument, so one outside a section does not compile, and throws in
 * JavaScript. What a look-up found is stamped with the section's sequence: using it in another section throws
 * as well (rule 2).
 *
 * @module
 */
import { get, load } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import { type Handle, handleGencnt, handleIndex } from "./handle.ts";
import type { Net } from "./net.ts";
import type { Vnet } from "./vnet.ts";

/** An open section: what a look-up in it found stays until it ends (rule 2). Valid in the call that gave it, and not after. */
export interface Section {
  /** The vnet whose interfaces it sees; undefined in a section of the kernel, which sees all. */
  readonly vnet: Vnet | undefined;
  /** The CPU that it runs on. */
  readonly cpu: number;
  /** Only a section has it. */
  readonly "softc.section": true;
}

/** What a synchronous callback may return: a promise does not compile, and throws `SOFTC_EPOCH_ASYNC`. */
export type Sync<R> = R extends PromiseLike<unknown> ? never : R;

/** An interface inside a section: its slot, 1 or more. To look at; for `ifTryRef`. */
export type Ifp = number & { readonly "softc.ifp": true };
/** An interface that is attached in the section's vnet: to send through with `ifOutput`, in this section alone. */
export type AttachedIfp = Ifp & { readonly "softc.attached": true };

/** A section as core sees it. Reused by its CPU, one per depth. */
export class NetSection implements Section {
  declare readonly "softc.section": true;
  vnet: Vnet | undefined;
  /** Id of the vnet; 0 sees all. */
  vnetId = 0;
  /** The record's value while it is open; 0 (even, so never a record's) when it is not. */
  seq = 0;

  constructor(readonly net: Net) {}

  get cpu(): number {
    return this.net.cpu.id;
  }
}

/** The Net of an open section. @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` */
export function netOf(s: Section): Net {
  const own = s as NetSection;
  if (!(own instanceof NetSection) || own.seq !== own.net.cpu.epoch.seq || (own.seq & 1) === 0) {
    throw new SoftcError("SOFTC_EPOCH_OUTSIDE", "Cannot look up an interface", {
      state: "section closed",
      wanted: "section open",
    });
  }
  return own.net;
}

/** Word offset of slot `index`, or -1 when there is no such slot. */
function slot(net: Net, index: number): number {
  return index > 0 && index < net.ifnets ? net.arena.ifnetAt(index) : -1;
}

/**
 * Whatever occupies slot `index` and is in the section's vnet, in any state from publication to free: to look at, not
 * to send through. For sections of CPU 0, which frees slots between its sections: what it sees stays. Another CPU
 * looks up what is attached. FreeBSD's `ifnet_byindex`.
 *
 * @example
 * ```ts
 * import { boot, ifnetByIndex } from "@softc/softc";
 *
 * await using kernel = await boot();
 * console.log(kernel.vnet0.section((s) => ifnetByIndex(s, 1))); // undefined: nothing was made yet
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function ifnetByIndex(s: Section, index: number): Ifp | undefined {
  const net = netOf(s);
  const at = slot(net, index);
  if (at < 0 || load(net.arena.a, at + IFNET.state) === 0) return undefined;
  // Not linked yet: found by nobody (X1).
  if (load(net.arena.a, at + IFNET.gencnt) < get(net.arena.a, at + IFNET.born)) return undefined;
  const { vnetId } = s as NetSection;
  if (vnetId !== 0 && get(net.arena.a, at + IFNET.vnet) !== vnetId) return undefined;
  return index as Ifp;
}

/**
 * The interface in slot `index` if it is attached in the section's vnet: one atomic load and two compares.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifnetByIndexAttached } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * console.log(kernel.vnet0.section((s) => ifnetByIndexAttached(s, nul.index) === nul.index)); // true
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function ifnetByIndexAttached(s: Section, index: number): AttachedIfp | undefined {
  const net = netOf(s);
  const at = slot(net, index);
  if (at < 0) return undefined;
  const gencnt = load(net.arena.a, at + IFNET.gencnt, net.arena.wasm);
  return found(s as NetSection, net, index, at, gencnt);
}

/**
 * The interface that the handle names, if it is still that one, attached, in the section's vnet. FreeBSD's
 * `ifnet_byindexgen`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifDetach, ifnetByHandle } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * const found = () => kernel.vnet0.section((s) => ifnetByHandle(s, nul.handle) !== undefined);
 * console.log(found()); // true
 * await ifDetach(nul);
 * console.log(found()); // false
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function ifnetByHandle(s: Section, h: Handle): AttachedIfp | undefined {
  const net = netOf(s);
  const index = handleIndex(h);
  const at = slot(net, index);
  if (at < 0) return undefined;
  const gencnt = load(net.arena.a, at + IFNET.gencnt, net.arena.wasm);
  if (gencnt !== handleGencnt(h)) return undefined;
  return found(s as NetSection, net, index, at, gencnt);
}

/**
 * The attached interface of that name in the section's vnet. Names are CPU 0's: undefined on every other CPU.
 * FreeBSD's `ifunit`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifunit } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * console.log(kernel.vnet0.section((s) => ifunit(s, "null0") === nul.index)); // true
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function ifunit(s: Section, name: string): AttachedIfp | undefined {
  const net = netOf(s);
  const index = net.names?.((s as NetSection).vnetId, name);
  return index === undefined ? undefined : ifnetByIndexAttached(s, index);
}

function found(s: NetSection, net: Net, index: number, at: number, gencnt: number): AttachedIfp | undefined {
  if ((gencnt & 1) === 0) return undefined;
  // No field read after the compare changes before a grace period that follows unlink.
  if (s.vnetId !== 0 && get(net.arena.a, at + IFNET.vnet) !== s.vnetId) return undefined;
  net.stamps[index] = gencnt;
  net.stampSeqs[index] = s.seq;
  return index as AttachedIfp;
}
