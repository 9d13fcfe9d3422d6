/**
 * The IP stack on CPU 0: addresses, neighbour timers, and the copy-on-write of what the data path reads.
 *
 * 1. All that is changed here is changed by one piece of code without an await; a new list or table is built,
 *    published by one atomic store, and the old one freed in an epoch callback (layout.ts, 1).
 * 2. What belongs to an interface is found by its afdata block, which is another one after each vmove. So what
 *    an old address, membership or promise names is either there or gone, never another interface's (4b).
 * 3. `ifdetach` runs after the grace period that follows unlink: nobody can park a packet any more, and what
 *    is parked is taken whole and counted.
 * 4. Timers run only while a neighbour table exists: a kernel without addresses has none.
 *
 * @module
 */
import { MAIL } from "../../core/cpu/mailbox.ts";
import type { Control } from "../../core/cpu/control.ts";
import type { Source } from "../../core/cpu/cpu.ts";
import { exchange, get, load, set, store } from "../../core/doors/arena.ts";
import type { TimerEntry } from "../../core/doors/clock.ts";
import { SoftcError } from "../../core/error.ts";
import { type Arena, IFNET, VNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF, type DomainIf } from "../../core/net/domain.ts";
import type { Events } from "../../core/net/event.ts";
import { type Handle, handleGencnt } from "../../core/net/handle.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { Ifnet } from "../../core/net/ifnet.ts";
import type { IfEntry, Interfaces } from "../../core/net/interfaces.ts";
import type { Net } from "../../core/net/net.ts";
import { type AttachedIfp, ifnetByHandle } from "../../core/net/section.ts";
import { stateOf } from "../../core/net/state.ts";
import type { Vnet } from "../../core/net/vnet.ts";
import type { VnetVar } from "../../core/net/vnet.ts";
import { type Address, formatAddress, scoped, unscoped } from "./address.ts";
import { InetDomain } from "./domain.ts";
import { ICMP, ICMP6, icmp6Error, icmpError, UNREACH, UNREACH6 } from "./icmp.ts";
import { ADDR, ADDR_KIND, ADDRS, AFDATA, LLE, NEIGH } from "./layout.ts";
import { everySlot, ND, neighbourAge, neighbourRead, neighbours, NeighbourView } from "./neighbour.ts";
import { NOTE, Stack } from "./stack.ts";
import { VnetInet } from "./vnet_inet.ts";

/** One address of an interface as CPU 0 keeps it. */
export interface AddressRow {
  readonly id: number;
  readonly address: Address;
  readonly plen: number;
  kind: number;
  /** Told that somebody else has it. */
  conflict: (() => void) | undefined;
  defendedAt: number;
}

/** What one neighbour's timer needs. */
interface Age {
  ms: number;
  probes: number;
}

/** A family on one link of an interface: made with its first address, gone with its afdata. */
export class IfInet {
  readonly rows: AddressRow[] = [];
  readonly groups = new Map<string, { address: Address; count: number }>();
  readonly ages = new Map<number, Age>();
  /** Word offset of the list that is published. */
  list = 0;
  neigh = 0;
  gone = false;

  constructor(
    readonly e: IfEntry,
    readonly handle: Handle,
    readonly family: number,
    readonly block: number,
    readonly vnet: VnetInet,
  ) {}

  get gencnt(): number {
    return handleGencnt(this.handle);
  }
}

/** Milliseconds between looks at the neighbours. */
const TICK = 250;
/** Milliseconds between questions (RFC 4861 10: RETRANS_TIMER), and how often a neighbour is asked. */
const RETRANS = 1000;
const MAX_SOLICITS = 3;
/** Milliseconds that an answer is believed, that a stale neighbour is kept, and until one in use is asked again. */
const REACHABLE = 30_000;
const STALE_LIFE = 1_200_000;
const DELAY = 5_000;

/** The IP stack's side of CPU 0. */
export class InetControl implements Source {
  readonly net: Net;
  readonly arena: Arena;
  readonly control: Control;
  readonly ifs: Interfaces;
  readonly events: Events;
  /** Sends for CPU 0; the domains have stacks of their own. */
  readonly stack: Stack;
  readonly defer: (fn: () => void) => void;
  /** Makes and ends each vnet's part. */
  readonly vnetVar: VnetVar<VnetInet>;
  readonly vnets = new Set<VnetInet>();
  readonly #byBlock = new Map<number, IfInet>();
  readonly #notes: [number, number, number][] = [];
  #timer: TimerEntry | undefined;
  #nextId = 1;

  constructor(control: Control, ifs: Interfaces, events: Events, defer: (fn: () => void) => void) {
    this.control = control;
    this.ifs = ifs;
    this.net = ifs.net;
    this.arena = ifs.arena;
    this.events = events;
    this.defer = defer;
    this.stack = new Stack(this.net, (kind, index, id) => void this.#notes.push([kind, index, id]));
    this.vnetVar = { order: 1000, init: (v) => this.#open(v), uninit: (_v, value) => value.close() };
    for (const d of this.net.domains) {
      if (!(d instanceof InetDomain)) continue;
      d.onDetach = (_a, block, ifnet) => this.#detached(block, ifnet);
      d.onNote = (kind, index, id) => void this.#notes.push([kind, index, id]);
    }
    control.on(MAIL.domain, (m) => void this.#notes.push([m.a, m.b, m.c]));
    events.listen((e) => {
      if (e.type === "change") this.#mtuChanged();
    });
  }

  #open(v: Vnet): VnetInet {
    const made = new VnetInet(this, v);
    this.vnets.add(made);
    return made;
  }

  /** The family of an interface that is attached; made when there is none. @throws {SoftcError} `SOFTC_IF_GONE`, `SOFTC_IF_STATE` */
  open(i: Ifnet, family: number): IfInet {
    const e = IfnetObject.entry(i);
    if (e === undefined) {
      throw new SoftcError("SOFTC_INET_ARGUMENT", "Cannot use what was given as an interface", {
        wanted: "an Ifnet",
      });
    }
    this.assertAttached(e, i.handle);
    const found = this.find(e, family);
    if (found !== undefined) return found;
    const { a } = this.arena;
    const block = load(a, this.arena.ifnetAt(e.index) + IFNET.afdata + family);
    const made = new IfInet(e, i.handle, family, block, VnetInet.of(e.vnet));
    made.neigh = this.control.heap.alloc(NEIGH.WORDS, `neighbours of ${e.name}`);
    this.#byBlock.set(block, made);
    store(a, block + AFDATA.neigh, made.neigh);
    this.#arm();
    return made;
  }

  /** The family of an interface's present link, when it is configured. */
  find(e: IfEntry, family: number): IfInet | undefined {
    return this.#byBlock.get(load(this.arena.a, this.arena.ifnetAt(e.index) + IFNET.afdata + family));
  }

  /** Every configured family of every interface of a vnet. */
  inVnet(v: VnetInet): IfInet[] {
    return [...this.#byBlock.values()].filter((i) => i.vnet === v);
  }

  /** Throws unless the interface is attached under this handle and no structural operation owns it. */
  assertAttached(e: IfEntry, handle: Handle): void {
    const state = this.ifs.resolve(handle);
    if (state !== "live") {
      throw new SoftcError("SOFTC_IF_GONE", `Cannot configure ${e.name}`, { state, wanted: "live" });
    }
    const now = stateOf(this.arena.a, this.ifs.at(e));
    if (now !== "attached") {
      throw new SoftcError("SOFTC_IF_STATE", `Cannot configure ${e.name}`, {
        state: now,
        wanted: "attached",
      });
    }
  }

  /** Adds an address in a state. Address and scope are as they stand in tables. */
  addRow(i: IfInet, address: Address, plen: number, kind: number): AddressRow {
    const row: AddressRow = {
      id: this.#nextId++,
      address,
      plen,
      kind,
      conflict: undefined,
      defendedAt: -Infinity,
    };
    i.rows.push(row);
    this.publish(i);
    return row;
  }

  /** Takes an address away. */
  removeRow(i: IfInet, row: AddressRow): void {
    const at = i.rows.indexOf(row);
    if (at < 0) return;
    i.rows.splice(at, 1);
    if (i.gone) return;
    this.publish(i);
  }

  /** Publishes an interface's address list (argument 1). */
  publish(i: IfInet): void {
    const { a } = this.arena;
    const entries = [
      ...i.rows.map((r) => ({ address: r.address, kind: r.kind, plen: r.plen, id: r.id })),
      ...[...i.groups.values()].map((g) => ({ address: g.address, kind: ADDR_KIND.group, plen: 0, id: 0 })),
    ];
    const old = i.list;
    i.list = this.control.heap.alloc(
      ADDRS.entries + entries.length * ADDRS.ENTRY,
      `addresses of ${i.e.name}`,
    );
    set(a, i.list + ADDRS.count, entries.length);
    entries.forEach((x, n) => {
      const e = i.list + ADDRS.entries + n * ADDRS.ENTRY;
      for (let k = 0; k < 4; k++) set(a, e + ADDR.address + k, x.address[k]!);
      set(a, e + ADDR.kind, x.kind);
      set(a, e + ADDR.plen, x.plen);
      set(a, e + ADDR.id, x.id);
    });
    store(a, i.block + AFDATA.addrs, i.list);
    this.freeLater(old);
  }

  /** Frees a block that was published and is no more. */
  freeLater(block: number): void {
    if (block !== 0) this.defer(() => this.control.heap.free(block, "epoch callback"));
  }

  /** Runs `fn` with the stack in a section of the vnet; sends what it made. */
  inSection<R>(v: VnetInet, fn: (st: Stack) => R): R {
    const s = this.net.open(v.vnet.id, v.vnet);
    try {
      this.stack.begin(s, v.vnet.id);
      try {
        return fn(this.stack);
      } finally {
        this.stack.end();
      }
    } finally {
      this.net.close(s);
    }
  }

  /** The interface inside the section, if it is still this link. */
  ifp(st: Stack, i: IfInet): AttachedIfp | undefined {
    return ifnetByHandle(st.s, i.handle);
  }

  /** Resolves after `ms` of the kernel's clock, unless it is cancelled. */
  after(ms: number): { readonly done: Promise<void>; cancel(): void } {
    let timer: TimerEntry | undefined;
    const done = new Promise<void>((resolve) => {
      timer = this.net.cpu.timers.after(ms, () => {
        this.control.settled = true;
        resolve();
      });
    });
    return { done, cancel: () => void (timer!.armed = false) };
  }

  poll(): number {
    let work = 0;
    for (let n = this.#notes.shift(); n !== undefined; n = this.#notes.shift()) {
      this.#noted(...n);
      work++;
    }
    for (const v of this.vnets) work += v.poll();
    return work;
  }

  waits(): boolean {
    if (this.#notes.length > 0) return true;
    for (const v of this.vnets) if (v.waits()) return true;
    return false;
  }

  /** Somebody else has an address of ours. */
  #noted(kind: number, index: number, id: number): void {
    if (kind !== NOTE.duplicate) return;
    for (const i of this.#byBlock.values()) {
      const row = i.e.index === index ? i.rows.find((r) => r.id === id) : undefined;
      if (row === undefined) continue;
      if (row.kind === ADDR_KIND.tentative) return row.conflict?.();
      const now = this.net.cpu.clock.now();
      // RFC 5227 2.4 (b): defended once, then left alone for a while.
      if (now - row.defendedAt < 10_000) return;
      row.defendedAt = now;
      const text = formatAddress(
        i.family,
        [unscoped(row.address[0]), ...row.address.slice(1)] as unknown as Address,
      );
      this.events.emit("fault", i.e.name, {
        vnet: i.e.vnet.name,
        handle: i.handle,
        detail: `a neighbour has the address ${text} too`,
      });
      this.announce(i, row);
    }
  }

  /** Tells the link that the address is here: a gratuitous ARP (RFC 5227 3), an unsolicited advertisement. */
  announce(i: IfInet, row: AddressRow): void {
    this.inSection(i.vnet, (st) => {
      const p = this.ifp(st, i);
      if (p === undefined || get(this.arena.a, this.arena.ifnetAt(p) + IFNET.type) === 24) return;
      if (i.family === AF.inet) st.arp(p, 1, row.address[0], row.address[0]);
      else st.neighbourAdvertise(p, 0x20, row.address, [0xff020000 | 0, 0, 0, 1]);
    });
  }

  /** The MTU of a family follows its interface's. */
  #mtuChanged(): void {
    for (const e of this.ifs.all()) {
      const at = this.arena.ifnetAt(e.index);
      for (let f = 0; f < 2; f++) {
        const block = load(this.arena.a, at + IFNET.afdata + f);
        if (block !== 0) set(this.arena.a, block + AFDATA.mtu, get(this.arena.a, at + IFNET.mtu));
      }
    }
  }

  /** The interface's afdata goes: what hung off it goes with it (argument 3). */
  #detached(block: number, ifnet: DomainIf): void {
    const i = this.#byBlock.get(block);
    if (i === undefined) return;
    this.#byBlock.delete(block);
    i.gone = true;
    for (const e of everySlot(i.neigh)) this.stack.dropHeld(ifnet.index, e, DROP.purged, true);
    i.vnet.purge(i);
    for (const row of i.rows.splice(0)) row.conflict?.();
    this.control.heap.free(i.neigh, "ifDetach");
    if (i.list !== 0) this.control.heap.free(i.list, "ifDetach");
    if (this.#byBlock.size === 0 && this.#timer !== undefined) {
      this.#timer.armed = false;
      this.#timer = undefined;
    }
  }

  #arm(): void {
    this.#timer ??= this.net.cpu.timers.after(TICK, () => {
      this.#timer = undefined;
      for (const i of [...this.#byBlock.values()]) this.#tick(i);
      if (this.#byBlock.size > 0) this.#arm();
    });
  }

  /** Looks at the neighbours of one interface. */
  #tick(i: IfInet): void {
    const { a } = this.arena;
    for (const e of everySlot(i.neigh)) {
      if (load(a, e + LLE.state) === ND.none) {
        i.ages.delete(e);
        // Parked in the moment when the entry was given up.
        if (load(a, e + LLE.hold) !== 0) this.stack.dropHeld(i.e.index, e, DROP.unresolved, false);
      } else this.#age(i, e);
    }
  }

  #age(i: IfInet, e: number): void {
    const { a } = this.arena;
    let age = i.ages.get(e);
    if (age === undefined || exchange(a, e + LLE.heard, 0) === 1) {
      if (age === undefined) store(a, e + LLE.heard, 0);
      i.ages.set(e, age = { ms: 0, probes: 0 });
      return;
    }
    age.ms += TICK;
    const state = load(a, e + LLE.state);
    if (state > ND.incomplete && load(a, e + LLE.hold) !== 0) this.#release(i, e);
    if (state === ND.incomplete || state === ND.probe) {
      if (age.ms < RETRANS) return;
      age.ms = 0;
      // The first question to an unknown neighbour was asked by the CPU that needed the answer.
      const asked = ++age.probes + (state === ND.incomplete ? 1 : 0);
      if (asked <= MAX_SOLICITS) this.#ask(i, e, state === ND.probe);
      else this.#giveUp(i, e, state);
    } else if (state === ND.reachable && age.ms >= REACHABLE) {
      age.ms = 0;
      neighbourAge(a, i.neigh, e, ND.reachable, ND.stale);
    } else if (state === ND.stale) {
      if (load(a, e + LLE.used) === 0) {
        if (age.ms >= STALE_LIFE) neighbourAge(a, i.neigh, e, ND.stale, ND.none);
      } else if (age.ms >= DELAY) {
        i.ages.set(e, { ms: RETRANS, probes: 0 });
        neighbourAge(a, i.neigh, e, ND.stale, ND.probe);
      }
    }
  }

  /** Sends what was parked in the moment when the entry was aged (neighbour.ts, 5). */
  #release(i: IfInet, e: number): void {
    this.inSection(i.vnet, (st) => {
      const p = this.ifp(st, i);
      const { state, macHigh, macLow } = this.view(i, e);
      if (p !== undefined && state > ND.incomplete) st.sendHeld(p, e, ...this.#key(e), macHigh, macLow);
    });
  }

  #key(e: number): Address {
    const { a } = this.arena;
    const w = (k: number): number => load(a, e + LLE.address + k);
    return [w(0), w(1), w(2), w(3)];
  }

  #ask(i: IfInet, e: number, unicast: boolean): void {
    this.inSection(i.vnet, (st) => {
      const p = this.ifp(st, i);
      if (p !== undefined) st.solicit(p, i.family, ...this.#key(e), unicast ? this.view(i, e) : undefined);
    });
  }

  /** What is known of a neighbour. */
  view(i: IfInet, e: number): NeighbourView {
    const view = new NeighbourView();
    neighbourRead(this.arena.a, i.neigh, ...this.#key(e), view);
    return view;
  }

  /** A neighbour that does not answer: what waits for it is dropped and its sender told (RFC 4861 7.2.2). */
  #giveUp(i: IfInet, e: number, state: number): void {
    if (!neighbourAge(this.arena.a, i.neigh, e, state, ND.none)) return;
    i.ages.delete(e);
    this.inSection(i.vnet, (st) => {
      const p = this.ifp(st, i);
      st.dropHeld(i.e.index, e, DROP.unresolved, false, (id) => {
        if (p === undefined) return;
        // The frame's destination was never written.
        st.u8.fill(0, st.at(id), st.at(id) + 6);
        if (i.family === AF.inet) icmpError(st, id, ICMP.unreachable, UNREACH.host);
        else icmp6Error(st, id, p, ICMP6.unreachable, UNREACH6.address);
      });
    });
  }

  /** The neighbours of an interface, as they are now. */
  neighbours(i: IfInet): { address: Address; state: number; mac: number[]; router: boolean }[] {
    const { a } = this.arena;
    return [...neighbours(a, i.neigh)].map((e) => {
      const view = this.view(i, e);
      const { macHigh: h, macLow: l } = view;
      const mac = [h >>> 8 & 255, h & 255, l >>> 24, l >>> 16 & 255, l >>> 8 & 255, l & 255];
      return { address: this.#key(e), state: view.state, mac, router: load(a, e + LLE.router) === 1 };
    });
  }

  /** An address as it stands in tables. */
  scopedTo(family: number, address: Address, index: number): Address {
    return family === AF.inet ? address : [scoped(address[0], index), address[1], address[2], address[3]];
  }

  /** Word offset of a vnet's words. */
  vnetAt(v: Vnet): number {
    return this.arena.vnetAt(v.id % this.arena.plan.config.vnets) + VNET.inet;
  }
}
