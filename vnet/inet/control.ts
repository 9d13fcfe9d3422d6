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
import { get, load, set, store } from "../../core/doors/arena.ts";
import type { TimerEntry } from "../../core/doors/clock.ts";
import { SoftcError } from "../../core/error.ts";
import { type Arena, IFNET, MBUF, VNET } from "../../core/memory/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { AF, type DomainIf } from "../../core/net/domain.ts";
import type { Events } from "../../core/net/event.ts";
import { type Handle, makeHandle } from "../../core/net/handle.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { Ifnet } from "../../core/net/ifnet.ts";
import type { IfEntry, Interfaces } from "../../core/net/interfaces.ts";
import type { Net } from "../../core/net/net.ts";
import { type AttachedIfp, ifnetByHandle } from "../../core/net/section.ts";
import { stateOf } from "../../core/net/state.ts";
import type { Vnet } from "../../core/net/vnet.ts";
import type { VnetVar } from "../../core/net/vnet.ts";
import { type Address, ALL_NODES, formatAddress, scoped, solicitedNode, unscoped } from "./address.ts";
import { InetDomain } from "./domain.ts";
import { type AddressRow, IfInet } from "./if_inet.ts";
import { ADDR, ADDR_KIND, ADDRS, AFDATA, LLE, NEIGH } from "./layout.ts";
import { everySlot, neighbours } from "./neighbour.ts";
import { ageNeighbours, neighbourKey, neighbourView, TICK } from "./neighbour_timers.ts";
import { sendAdvertisement, sendArp } from "./solicit.ts";
import { NOTE, Stack } from "./stack.ts";
import { VnetInet } from "./vnet_inet.ts";

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
      if (e.type === "up") {
        for (const i of this.#byBlock.values()) if (i.handle === e.handle) i.groups.announce();
      }
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
    made.vnet.openControl();
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

  /** The interface that a packet of this CPU came in on, if it is still that link. */
  receivedOn(id: number, family: number): IfInet | undefined {
    const { a } = this.arena;
    const h = this.net.cpu.pool.headerAt(id);
    const handle = makeHandle(get(a, h + MBUF.rcvGen), get(a, h + MBUF.rcvIndex));
    const e = this.ifs.find(handle);
    const found = e === undefined ? undefined : this.find(e, family);
    return found?.handle === handle ? found : undefined;
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
    // Heard before anybody is asked (RFC 4862 5.4.2).
    if (i.family === AF.inet6) i.groups.join(solicitedNode(address[3]));
    return row;
  }

  /** Takes an address away. */
  removeRow(i: IfInet, row: AddressRow): void {
    const at = i.rows.indexOf(row);
    if (at < 0) return;
    i.rows.splice(at, 1);
    if (i.gone) return;
    this.publish(i);
    if (i.family === AF.inet6) i.groups.leave(solicitedNode(row.address[3]));
  }

  /** Publishes an interface's address list (argument 1). */
  publish(i: IfInet): void {
    const { a } = this.arena;
    const entries = [
      ...i.rows.map((r) => ({ address: r.address, kind: r.kind, plen: r.plen, id: r.id })),
      ...i.groups.addresses().map((address) => ({ address, kind: ADDR_KIND.group, plen: 0, id: 0 })),
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
      // Noted on any CPU, read later: nothing is told of an interface that has departed.
      if (this.ifs.resolve(i.handle) !== "live") return;
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
      if (i.family === AF.inet) sendArp(st, p, 1, row.address[0], row.address[0]);
      else sendAdvertisement(st, p, 0x20, row.address, ALL_NODES);
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
    i.groups.close();
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
      for (const i of [...this.#byBlock.values()]) ageNeighbours(this, i);
      if (this.#byBlock.size > 0) this.#arm();
    });
  }

  /** The neighbours of an interface, as they are now. */
  neighbours(i: IfInet): { address: Address; state: number; mac: number[]; router: boolean }[] {
    const { a } = this.arena;
    return [...neighbours(a, i.neigh)].map((e) => {
      const view = neighbourView(this, i, e);
      const { macHigh: h, macLow: l } = view;
      const mac = [h >>> 8 & 255, h & 255, l >>> 24, l >>> 16 & 255, l >>> 8 & 255, l & 255];
      return {
        address: neighbourKey(this, e),
        state: view.state,
        mac,
        router: load(a, e + LLE.router) === 1,
      };
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
