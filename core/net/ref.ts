/**
 * References: what keeps a slot from being reused after its interface is gone (rule 4a).
 *
 * One word holds the count, PENDING and DEAD:
 *
 * 1. `ifTryRef` adds one by compare-and-swap, only inside a section, and fails when PENDING or DEAD is set: a
 *    reference is never revived (R06).
 * 2. The deferred free turns 0 into DEAD, or sets PENDING when references are left.
 * 3. The release that leaves PENDING alone queues the deferred free again (the "further delay", R07). Nothing
 *    polls, and exactly one release sees that value.
 *
 * @module
 */
import { cas, load, store } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import { type AttachedIfp, ifnetByIndexAttached, type Ifp, netOf, type Section } from "./section.ts";

const PENDING = 1 << 30;
const DEAD = 1 << 31;
const COUNT = PENDING - 1;

/** A reference to an interface slot, held across sections. It keeps the slot from being reused, not the interface from being detached. Release it with {@linkcode ifRele}. */
export interface IfRef {
  /** The slot: look it up again in each section. */
  readonly index: number;
  /** Who took it: named in blame. */
  readonly tag: string;
}

/** A reference as core sees it. */
export class Reference implements IfRef {
  released = false;

  constructor(
    readonly index: number,
    readonly tag: string,
    readonly since: number,
    readonly holder: RefHolder,
  ) {}
}

/** Keeps the references of a kernel: CPU 0. */
export interface RefHolder {
  readonly references: Set<Reference>;
  /** Queues the deferred free of a slot again: the last reference is gone. */
  lastReleased(index: number): void;
}

/**
 * Takes a reference in a section of CPU 0; undefined when the slot is to be freed already. May fail: that is the only
 * way from the epoch to a reference (rule 4a). FreeBSD's `if_try_ref`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifRele, ifTryRef, ifunit } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * const ref = kernel.vnet0.section((s) => ifTryRef(s, ifunit(s, nul.name)!, "statistics"));
 * console.log(ref?.index === nul.index); // true
 * if (ref !== undefined) ifRele(ref);
 * ```
 * @param tag names the holder in "why is it not free yet?"
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed, `SOFTC_IF_ARGUMENT` when `p` is no slot
 */
export function ifTryRef(s: Section, p: Ifp, tag: string): IfRef | undefined {
  const net = netOf(s);
  if (!(Number.isInteger(p) && p > 0 && p < net.ifnets)) {
    throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot take a reference to if#${p}`, {
      wanted: "what a look-up of this section gave",
    });
  }
  const word = net.arena.ifnetAt(p) + IFNET.refs;
  for (;;) {
    const refs = load(net.arena.a, word);
    if ((refs & (PENDING | DEAD)) !== 0) return undefined;
    if (cas(net.arena.a, word, refs, refs + 1) === refs) break;
  }
  const ref = new Reference(p, tag, net.cpu.clock.now(), net.refs);
  net.refs.references.add(ref);
  return ref;
}

/**
 * A reference to the interface in slot `index`, if it is attached in the section's vnet: as {@linkcode ifTryRef}.
 * FreeBSD's `ifnet_byindex_ref`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifnetByIndexRef, ifRele } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * const ref = kernel.vnet0.section((s) => ifnetByIndexRef(s, nul.index, "statistics"));
 * if (ref !== undefined) ifRele(ref);
 * console.log(ref?.tag); // statistics
 * ```
 * @throws {SoftcError} `SOFTC_EPOCH_OUTSIDE` when the section is closed
 */
export function ifnetByIndexRef(s: Section, index: number, tag = "ifnetByIndexRef"): IfRef | undefined {
  const p: AttachedIfp | undefined = ifnetByIndexAttached(s, index);
  return p === undefined ? undefined : ifTryRef(s, p, tag);
}

/** Drops one count of a slot; true when the deferred free must be queued again (argument 3). */
export function dropRef(a: Int32Array, word: number): boolean {
  for (;;) {
    const refs = load(a, word);
    if ((refs & COUNT) === 0) {
      throw new SoftcError("SOFTC_IF_REF", "Cannot release a reference: none is held", { state: `${refs}` });
    }
    if (cas(a, word, refs, refs - 1) === refs) return refs - 1 === PENDING;
  }
}

/** The deferred free's side: true when the slot may be freed now, false when references are left (argument 2). */
export function tryKill(a: Int32Array, word: number): boolean {
  for (;;) {
    const refs = load(a, word);
    if ((refs & COUNT) === 0) {
      if (cas(a, word, refs, DEAD) === refs) return true;
    } else if (cas(a, word, refs, refs | PENDING) === refs) return false;
  }
}

/** A slot that is given out again starts with no references. */
export function resetRefs(a: Int32Array, word: number): void {
  store(a, word, 0);
}

/**
 * Releases a reference, in or outside a section. The last one lets a slot be freed that waits for it. FreeBSD's
 * `if_rele`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, ifnetByIndexRef, ifRele } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:null");
 * const [nul] = await ifCloneCreate(kernel.vnet0, "null");
 * const ref = kernel.vnet0.section((s) => ifnetByIndexRef(s, nul.index, "the example"));
 * if (ref !== undefined) ifRele(ref); // now its slot can be freed
 * ```
 * @throws {SoftcError} `SOFTC_IF_REF` when it was released before, or is none
 */
export function ifRele(ref: IfRef): void {
  const own = ref as Reference;
  if (!(own instanceof Reference) || own.released) {
    const { tag, index } = ref ?? {};
    throw new SoftcError("SOFTC_IF_REF", `Cannot release the reference "${tag}" to if#${index}`, {
      state: "released",
      wanted: "held",
    });
  }
  own.released = true;
  own.holder.references.delete(own);
  own.holder.lastReleased(own.index);
}
