/**
 * The interfaces of a kernel, on CPU 0: slots, names, publication, and going away.
 *
 * A slot's gencnt goes up by one at every link and every unlink: odd = attached. "Is it still the interface
 * that I stored, attached, in that vnet?" is one load and one compare. Publication is last (X1): nobody
 * reaches an interface by index, name or list before every callback and every afdata is in place.
 *
 * @module
 */
import { get, load, set, store } from "../doors/arena.ts";
import type { Control } from "../cpu/control.ts";
import { SoftcError } from "../error.ts";
import { type Arena, IFNET, ringWords } from "../memory/arena.ts";
import { type IfCounters, ifCounters, resetIfCounters } from "../memory/counters.ts";
import { ringDepth, ringInit } from "../memory/ring.ts";
import type { Domain, DomainIf } from "./domain.ts";
import type { Events } from "./event.ts";
import { IFF, IFT, type IfType } from "./flags.ts";
import {
  formatHandle,
  GENCNT_END,
  type Handle,
  handleGencnt,
  handleIndex,
  makeHandle,
  type Resolved,
} from "./handle.ts";
import type { IfDevice } from "./ifdevice.ts";
import type { IfHint, Ifnet } from "./ifnet.ts";
import type { Net } from "./net.ts";
import { dropRef, type Reference, type RefHolder, resetRefs, tryKill } from "./ref.ts";
import { STATE, stateOf, transition } from "./state.ts";
import { Taps } from "./tap.ts";
import type { Vnet } from "./vnet.ts";

/** What a driver declared of its interface. */
export interface IfSpec {
  readonly type: IfType;
  /** 6 bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** Output queues; 0 = one per CPU, no rings. */
  readonly queues: number;
  /** Entries of each ring. */
  readonly ringSize: number;
  readonly home: number;
  readonly dispatch: number;
  readonly groups: readonly string[];
  /** Bits of IFCAP. */
  readonly caps: number;
}

/** One interface, from its slot's allocation to its free: CPU 0's record. */
export class IfEntry {
  name: string;
  vnet: Vnet;
  readonly homeVnet: Vnet;
  readonly index: number;
  readonly born: number;
  /** Born of the first of its line: those whose slot it took over. */
  readonly line: number;
  spec: IfSpec | undefined;
  readonly device: IfDevice;
  readonly groups = new Set<string>();
  /** Set once it is asked to go: every further caller gets this promise. */
  detaching: Promise<void> | undefined;
  /** Ends the wait of those who asked while a vmove owned it. */
  doomed: { resolve(p: Promise<void>): void } | undefined;
  /** A hook threw before it was published: then it never is. */
  fault: Error | undefined;
  /** Configuration changes queue up here. */
  config: Promise<unknown> = Promise.resolve();
  /** What its owner sees of its present link. */
  ifnet: Ifnet | undefined;
  /** Frozen when the slot is freed. */
  final: IfCounters | undefined;
  /** Its name at home while it is lent. */
  homeName: string | undefined;
  promisc = 0;
  allmulti = 0;
  /** Memory of the shared softc and the rings. */
  rings = 0;

  constructor(index: number, born: number, line: number, name: string, vnet: Vnet, device: IfDevice) {
    this.index = index;
    this.born = born;
    this.line = line;
    this.name = name;
    this.vnet = vnet;
    this.homeVnet = vnet;
    this.device = device;
  }
}

/** The table. */
export class Interfaces implements RefHolder {
  readonly arena: Arena;
  readonly taps: Taps;
  readonly references = new Set<Reference>();
  /** Occupants by slot. */
  readonly entries: (IfEntry | undefined)[] = [];
  /** By slot: the line of its last occupant. */
  readonly #lines: number[] = [];
  /** Slots by vnet and name. Numbers: an entry that was in a Map outlives young collections in V8, and all that hangs off it. */
  readonly #names = new Map<number, Map<string, number>>();
  readonly #reserved = new Map<number, Map<string, string>>();
  #lowest = 1;
  #highest = 0;
  #count = 0;

  constructor(
    readonly control: Control,
    readonly net: Net,
    readonly events: Events,
    readonly domains: readonly Domain[],
  ) {
    this.arena = net.arena;
    this.taps = new Taps(net, control);
    net.refs = this;
    net.names = (vnetId, name) => this.byName(vnetId, name)?.index;
  }

  /** Slots in use. */
  get count(): number {
    return this.#count;
  }

  /** Occupants, by index. */
  *all(): IterableIterator<IfEntry> {
    for (let i = 1; i <= this.#highest; i++) {
      const e = this.entries[i];
      if (e !== undefined) yield e;
    }
  }

  /** Interfaces linked in a vnet. */
  inVnet(vnetId: number): IfEntry[] {
    return [...this.#names.get(vnetId)?.values() ?? []].sort((x, y) => x - y).map((i) => this.entries[i]!);
  }

  /** Whether people may see it: from publication on, and what is wedged before (X1). */
  shown(e: IfEntry): boolean {
    const state = stateOf(this.arena.a, this.at(e));
    return state !== "allocated" && state !== "attaching";
  }

  /** Whether its detach is over: only references may keep its slot. */
  gone(e: IfEntry): boolean {
    return this.entries[e.index] !== e || stateOf(this.arena.a, this.at(e)) === "dead";
  }

  /** By name; in vnet 0 (all): the first of that name. */
  byName(vnetId: number, name: string): IfEntry | undefined {
    const where = vnetId === 0 ? this.#names.values() : [this.#names.get(vnetId)];
    for (const names of where) {
      const index = names?.get(name);
      if (index !== undefined) return this.entries[index];
    }
    return undefined;
  }

  /** Word offset of an entry's slot. */
  at(e: IfEntry): number {
    return this.arena.ifnetAt(e.index);
  }

  /** The handle of its present (or last) link. */
  handle(e: IfEntry): Handle {
    const gencnt = load(this.arena.a, this.at(e) + IFNET.gencnt);
    return makeHandle((gencnt & 1) === 1 ? gencnt : Math.max(gencnt - 1, e.born), e.index);
  }

  /** The occupant that a handle names, whatever its state. */
  find(h: Handle): IfEntry | undefined {
    const e = this.entries[handleIndex(h)];
    return e !== undefined && handleGencnt(h) >= e.born ? e : undefined;
  }

  /** What a handle answers, for people. */
  resolve(h: Handle): Resolved {
    const index = handleIndex(h);
    const gencnt = handleGencnt(h);
    if (!Number.isSafeInteger(h) || h < 0 || index < 1 || index >= this.net.ifnets || (gencnt & 1) === 0) {
      return "unknown";
    }
    const { a } = this.arena;
    const at = this.arena.ifnetAt(index);
    const now = load(a, at + IFNET.gencnt);
    if (gencnt > now) return "unknown";
    if (gencnt === now) return "live";
    const state = stateOf(a, at);
    if (state === "freed") return "gone";
    if (gencnt < this.entries[index]!.line) return "reused";
    if (gencnt < now - 1) return "moved";
    if (state === "moving" || state === "doomed") return "moving";
    return (now & 1) === 1 ? "moved" : "detached";
  }

  /** Throws unless `name` is free in the vnet; keeps it for `owner` until {@linkcode unreserve}. The check and the claim are one (R33). */
  reserve(vnet: Vnet, name: string, owner: string): void {
    const taken = this.#names.get(vnet.id)?.get(name);
    const reserved = this.#reserved.get(vnet.id)?.get(name);
    if (taken !== undefined || reserved !== undefined) {
      throw new SoftcError("SOFTC_IF_EXISTS", `Cannot name an interface "${name}" in vnet "${vnet.name}"`, {
        state: taken === undefined
          ? `reserved for ${reserved}`
          : `taken by ${formatHandle(this.handle(this.entries[taken]!))}`,
        wanted: "free",
      });
    }
    this.#mapOf(this.#reserved, vnet.id).set(name, owner);
  }

  /** Gives a reserved name back. */
  unreserve(vnet: Vnet, name: string): void {
    this.#reserved.get(vnet.id)?.delete(name);
  }

  /** Whether a name can be had. */
  nameFree(vnet: Vnet, name: string): boolean {
    return !this.#names.get(vnet.id)?.has(name) && !this.#reserved.get(vnet.id)?.has(name);
  }

  /** Claims the lowest free slot, or the hint's when that is free. @throws {SoftcError} `SOFTC_IF_FULL` */
  allocate(vnet: Vnet, name: string, device: IfDevice, hint?: IfHint): IfEntry {
    const { a } = this.arena;
    const index = hint !== undefined && this.#usable(hint.index) ? hint.index : this.#lowestFree();
    const at = this.arena.ifnetAt(index);
    this.net.cpu.sanitizer?.unmark(at, IFNET.WORDS);
    transition(a, at, "allocate", `slot ${index}`);
    const gencnt = load(a, at + IFNET.gencnt);
    a.fill(0, at + IFNET.vnet, at + IFNET.WORDS);
    resetRefs(a, at + IFNET.refs);
    store(a, at + IFNET.born, gencnt + 1);
    resetIfCounters(this.arena, index, hint?.totals);
    const line = index === hint?.index ? this.#lines[index] ?? gencnt + 1 : gencnt + 1;
    const e = new IfEntry(index, gencnt + 1, line, name, vnet, device);
    this.#lines[index] = line;
    this.entries[index] = e;
    this.#highest = Math.max(this.#highest, index);
    this.#count++;
    return e;
  }

  /** Writes the fields and makes rings: nobody can find the slot yet. */
  fill(e: IfEntry, spec: IfSpec): void {
    const { a } = this.arena;
    const at = this.at(e);
    const { cpus } = this.arena.plan.config;
    e.spec = spec;
    for (const g of ["all", ...spec.groups]) e.groups.add(g);
    if (spec.queues > 0) {
      const each = ringWords(spec.ringSize);
      e.rings = this.control.heap.alloc(each * spec.queues * cpus, `output queues of ${e.name}`);
      for (let i = 0; i < spec.queues * cpus; i++) ringInit(a, e.rings + i * each, spec.ringSize);
    }
    const { mac } = spec;
    set(a, at + IFNET.vnet, e.vnet.id);
    set(a, at + IFNET.homeVnet, e.vnet.id);
    set(a, at + IFNET.flags, spec.type === "loop" ? IFF.LOOPBACK : IFF.BROADCAST | IFF.MULTICAST);
    set(a, at + IFNET.mtu, spec.mtu);
    set(a, at + IFNET.queues, spec.queues);
    set(a, at + IFNET.home, spec.home);
    set(a, at + IFNET.rings, e.rings);
    set(a, at + IFNET.ringSize, spec.ringSize);
    set(a, at + IFNET.dispatch, spec.dispatch);
    set(a, at + IFNET.type, IFT[spec.type]);
    set(a, at + IFNET.caps, spec.caps);
    set(a, at + IFNET.macHigh, mac[0]! << 8 | mac[1]!);
    set(a, at + IFNET.macLow, mac[2]! << 24 | mac[3]! << 16 | mac[4]! << 8 | mac[5]!);
  }

  /** Packets in the rings of its output queues: a hint. */
  queued(e: IfEntry): number {
    if (e.rings === 0 || e.spec === undefined) return 0;
    const { queues, ringSize } = e.spec;
    let sum = 0;
    for (let i = 0; i < queues * this.arena.plan.config.cpus; i++) {
      sum += ringDepth(this.arena.a, e.rings + i * ringWords(ringSize));
    }
    return sum;
  }

  /** Builds every domain's data: before publication (X1). */
  buildAfdata(e: IfEntry, vnet = e.vnet.id): number[] {
    const facts = { ...this.facts(e), vnet };
    const built: number[] = [];
    try {
      for (const d of this.domains) {
        const block = this.control.heap.alloc(d.afdataWords, `${d.name} data of ${e.name}`);
        built.push(block);
        d.ifattach(this.arena.a, block, facts);
      }
      return built;
    } catch (cause) {
      for (const block of built) this.control.heap.free(block, "ifAttach (unwound)");
      throw cause;
    }
  }

  /** Hangs built data off the slot. */
  hangAfdata(e: IfEntry, blocks: readonly number[]): void {
    this.domains.forEach((d, i) => store(this.arena.a, this.at(e) + IFNET.afdata + d.family, blocks[i]!));
  }

  /** Takes the data off the slot and returns it: the caller frees it after a grace period (rule 1b). */
  takeAfdata(e: IfEntry): number[] {
    const { a } = this.arena;
    return this.domains.map((d) => {
      const word = this.at(e) + IFNET.afdata + d.family;
      const block = load(a, word);
      store(a, word, 0);
      return block;
    });
  }

  /** Frees what {@linkcode takeAfdata} gave: no section that could have found it is open any more. */
  freeAfdata(
    e: IfEntry,
    blocks: readonly number[],
    site: "ifDetach" | "ifAttach (unwound)" | "ifVmove (address-family data of the old vnet)",
  ): void {
    const facts = this.facts(e);
    this.domains.forEach((d, i) => {
      const block = blocks[i]!;
      if (block === 0) return;
      d.ifdetach?.(this.arena.a, block, facts);
      this.control.heap.free(block, site);
    });
  }

  /** What a domain is told. */
  facts(e: IfEntry): DomainIf {
    return {
      index: e.index,
      vnet: e.vnet.id,
      mtu: get(this.arena.a, this.at(e) + IFNET.mtu),
      mac: e.spec!.mac,
    };
  }

  /** Links it: gencnt odd, then the state, then list and name, then arrival. One piece of code, no await. */
  link(e: IfEntry, event: "publish" | "commit"): void {
    const { a } = this.arena;
    const at = this.at(e);
    const gencnt = load(a, at + IFNET.gencnt);
    store(a, at + IFNET.gencnt, gencnt + 1);
    // A state that opened first would let a claim unlink an even slot.
    transition(a, at, event, e.name);
    this.linkName(e);
    this.ringAll();
    this.events.emit("arrival", e.name, { vnet: e.vnet.name, handle: this.handle(e) });
  }

  /** Wakes every CPU: a sender may have waited for this interface. */
  ringAll(): void {
    for (const k of this.control.everyCpu) this.control.cpu.ring(k);
  }

  /** Puts it on its vnet's list under its name. */
  linkName(e: IfEntry): void {
    this.unreserve(e.vnet, e.name);
    this.#mapOf(this.#names, e.vnet.id).set(e.name, e.index);
  }

  /** Gives it another name, which the caller reserved. */
  rename(e: IfEntry, name: string): void {
    this.#names.get(e.vnet.id)?.delete(e.name);
    e.name = name;
    this.linkName(e);
  }

  /** Unlinks it: gencnt even, off list and name. From here on no look-up finds it. */
  unlink(e: IfEntry): void {
    const { a } = this.arena;
    const at = this.at(e);
    const gencnt = load(a, at + IFNET.gencnt);
    if ((gencnt & 1) === 0) throw new Error(`${e.name} is unlinked twice`);
    store(a, at + IFNET.gencnt, gencnt + 1);
    this.#names.get(e.vnet.id)?.delete(e.name);
  }

  /** Clears UP, after listeners heard of it; admission is closed from here on. True when it was up. */
  clearUp(e: IfEntry): boolean {
    const { a } = this.arena;
    const word = this.at(e) + IFNET.flags;
    const flags = get(a, word);
    if ((flags & IFF.UP) === 0) return false;
    this.events.emit("down", e.name, { vnet: e.vnet.name, handle: this.handle(e) });
    set(a, word, flags & ~IFF.UP);
    return true;
  }

  /** Frees the slot, or leaves it for the last release: the deferred free. */
  free(e: IfEntry): void {
    const { a } = this.arena;
    const at = this.at(e);
    if (this.entries[e.index] !== e || !tryKill(a, at + IFNET.refs)) return;
    e.final = ifCounters(this.arena, e.index);
    transition(a, at, "free", e.name);
    this.entries[e.index] = undefined;
    this.#count--;
    if (e.index < this.#lowest) this.#lowest = e.index;
    while (this.#highest > 0 && this.entries[this.#highest] === undefined) this.#highest--;
    this.net.cpu.sanitizer?.mark(at, IFNET.WORDS, "ifDetach");
    this.events.emit("freed", e.name, {
      handle: makeHandle(Math.max(load(a, at + IFNET.gencnt) - 1, e.born), e.index),
    });
  }

  lastReleased(index: number): void {
    const at = this.arena.ifnetAt(index);
    if (!dropRef(this.arena.a, at + IFNET.refs)) return;
    const e = this.entries[index];
    // The further delay: sections that saw the slot before the last release end first.
    if (e !== undefined && stateOf(this.arena.a, at) === "dead") {
      // It fails when the kernel goes down: then nobody needs the slot.
      this.control.grace.wait().then(() => this.free(e), () => {});
    }
  }

  /** Frees what a slot and its rings hold, without counters or events: an attach that failed. */
  abandon(e: IfEntry): void {
    const { a } = this.arena;
    const at = this.at(e);
    this.freeRings(e, "ifAttach (unwound)");
    this.unreserve(e.vnet, e.name);
    if (load(a, at + IFNET.state) === STATE.attaching) transition(a, at, "unwind", e.name);
    tryKill(a, at + IFNET.refs);
    transition(a, at, "free", e.name);
    this.entries[e.index] = undefined;
    this.#count--;
    if (e.index < this.#lowest) this.#lowest = e.index;
    this.net.cpu.sanitizer?.mark(at, IFNET.WORDS, "ifAttach (unwound)");
  }

  /** Frees its rings: no sender and no consumer can reach them any more. */
  freeRings(e: IfEntry, site: "ifDetach" | "ifAttach (unwound)"): void {
    if (e.rings !== 0) this.control.heap.free(e.rings, site);
    e.rings = 0;
  }

  /** Forgets a vnet's names: the vnet is gone. */
  dropVnet(vnetId: number): void {
    this.#names.delete(vnetId);
    this.#reserved.delete(vnetId);
  }

  #usable(index: number): boolean {
    if (!(Number.isInteger(index) && index > 0 && index < this.net.ifnets)) return false;
    const { a } = this.arena;
    const at = this.arena.ifnetAt(index);
    return load(a, at + IFNET.state) === STATE.freed && (load(a, at + IFNET.gencnt) >>> 0) < GENCNT_END - 2;
  }

  #lowestFree(): number {
    for (let i = this.#lowest; i < this.net.ifnets; i++) {
      if (!this.#usable(i)) continue;
      this.#lowest = i + 1;
      return i;
    }
    throw new SoftcError("SOFTC_IF_FULL", "Cannot allocate an interface", {
      state: `${this.#count} of ${this.net.ifnets - 1} slots in use`,
    });
  }

  #mapOf<V>(maps: Map<number, Map<string, V>>, id: number): Map<string, V> {
    let map = maps.get(id);
    if (map === undefined) maps.set(id, map = new Map());
    return map;
  }
}
