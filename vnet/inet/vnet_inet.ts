/**
 * A vnet's IP stack on CPU 0: routes and sockets, and their tables in the arena.
 *
 * @module
 */
import { load, set, store } from "../../core/doors/arena.ts";
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { SoftcError } from "../../core/error.ts";
import type { Vnet } from "../../core/net/vnet.ts";
import { AF } from "../../core/net/domain.ts";
import type { Handle } from "../../core/net/handle.ts";
import {
  type Address,
  isLinkLocal,
  isMulticast,
  maskAddress,
  maskWord,
  type ParsedAddress,
  sameAddress,
  UNSPECIFIED,
} from "./address.ts";
import type { InetControl } from "./control.ts";
import type { AddressRow, IfInet } from "./if_inet.ts";
import { readGroupMessage } from "./group_messages.ts";
import { ETHER } from "./headers.ts";
import { at16 } from "./checksum.ts";
import { walk } from "./extensions.ts";
import { ARRIVAL, RTF, SOCKET, SOCKETS, VINET } from "./layout.ts";
import { PathMtus } from "./path_mtu.ts";
import { Reassembly, type Whole } from "./reassembly.ts";
import { type RouteRow, routeWords, writeRoutes } from "./routes.ts";
import { SocketBuffer } from "./socket.ts";

/** A route with what it belongs to. */
export interface OwnedRoute extends RouteRow {
  readonly family: number;
  /** The interface it leads through; none when it rejects. */
  readonly via: IfInet | undefined;
  /** The address that it came with; none for a static route. */
  readonly row: AddressRow | undefined;
}

/** A socket's address as the table has it. */
export interface SocketRow {
  readonly family: number;
  readonly key: number;
  readonly laddr: Address;
  readonly raddr: Address;
  readonly rport: number;
  readonly buffer: SocketBuffer;
  /** Takes a datagram that came in fragments; answers how its life ends. */
  readonly whole?: (w: Whole) => number;
}

const bound = new WeakMap<Vnet, VnetInet>();

/** The IP stack of one vnet. */
export class VnetInet {
  readonly routes: OwnedRoute[] = [];
  readonly sockets: SocketRow[] = [];
  readonly buffers = new Set<SocketBuffer>();
  readonly reassembly: Reassembly;
  readonly pathMtus = new PathMtus();
  /** Told when the vnet goes: sockets close. */
  readonly onClose = new Set<() => void>();
  closed = false;
  #tables = [0, 0];
  #sockets = 0;
  #control: SocketBuffer | undefined;
  #port = 49152;
  #ident = 0;

  constructor(readonly inet: InetControl, readonly vnet: Vnet) {
    this.reassembly = new Reassembly(this);
    bound.set(vnet, this);
  }

  /** The stack of a vnet. @throws {SoftcError} `SOFTC_VNET_ARGUMENT` */
  static of(v: Vnet): VnetInet {
    const found = bound.get(v);
    if (found === undefined || found.closed) {
      throw new SoftcError("SOFTC_VNET_ARGUMENT", "Cannot use what was given as a vnet", {
        state: found === undefined ? typeof v : "gone",
        wanted: "a vnet of a kernel that is up",
      });
    }
    return found;
  }

  /** Word offset of the vnet's words in the arena. */
  get at(): number {
    return this.inet.vnetAt(this.vnet);
  }

  /** The routes that come with an address: itself, its subnet, its broadcast address. */
  addAddressRoutes(i: IfInet, row: AddressRow): void {
    const { family } = i;
    const max = family === AF.inet ? 32 : 128;
    const one = {
      family,
      via: i,
      row,
      index: i.e.index,
      gencnt: i.gencnt,
      gateway: UNSPECIFIED,
      source: row.address,
    };
    this.routes.push({ ...one, prefix: row.address, plen: max, flags: RTF.local });
    if (row.plen < max) this.routes.push({ ...one, prefix: row.address, plen: row.plen, flags: 0 });
    if (family === AF.inet && row.plen > 0 && row.plen <= 30) {
      const last = row.address[0] | ~maskWord(row.plen, 0);
      this.routes.push({ ...one, prefix: [last, 0, 0, 0], plen: 32, flags: RTF.broadcast });
    }
    this.publishRoutes(family);
  }

  /** Adds a static route. @throws {SoftcError} `SOFTC_INET_EXISTS` */
  addRoute(r: OwnedRoute): OwnedRoute {
    const prefix = maskAddress(r.prefix, r.plen);
    const same = this.routes.find((x) =>
      x.family === r.family && x.plen === r.plen && sameAddress(maskAddress(x.prefix, x.plen), prefix)
    );
    if (same !== undefined) {
      throw new SoftcError("SOFTC_INET_EXISTS", "Cannot add the route: its prefix has one", {
        state: "exists",
      });
    }
    this.routes.push(r);
    this.publishRoutes(r.family);
    return r;
  }

  /** Takes routes away. */
  removeRoutes(which: (r: OwnedRoute) => boolean): number {
    const going = this.routes.filter(which);
    for (const r of going) this.routes.splice(this.routes.indexOf(r), 1);
    for (const f of new Set(going.map((r) => r.family))) this.publishRoutes(f);
    return going.length;
  }

  /** What led through an interface that is gone goes. */
  purge(i: IfInet): void {
    this.removeRoutes((r) => r.via === i);
  }

  /** Replaces a family's route table by one store. */
  publishRoutes(family: number): void {
    const { inet } = this;
    const rows = this.routes.filter((r) => r.family === family);
    const old = this.#tables[family]!;
    let table = 0;
    if (rows.length > 0) {
      table = inet.control.heap.alloc(routeWords(rows), `routes of vnet ${this.vnet.name}`);
      writeRoutes(inet.arena.a, table, rows);
    }
    this.#tables[family] = table;
    store(inet.arena.a, this.at + VINET.routes + family, table);
    inet.freeLater(old);
  }

  /** Switches forwarding of a family. */
  setForwarding(family: number, on: boolean): void {
    const { a } = this.inet.arena;
    const word = this.at + VINET.forwarding;
    const bit = 1 << family;
    store(a, word, on ? load(a, word) | bit : load(a, word) & ~bit);
  }

  /** Whether a family is forwarded. */
  forwarding(family: number): boolean {
    return (load(this.inet.arena.a, this.at + VINET.forwarding) & 1 << family) !== 0;
  }

  /** Makes a socket's memory. */
  openBuffer(name: string, take: (id: number, arrival: number) => number, room: () => number): SocketBuffer {
    const buffer = new SocketBuffer(this.inet, name, take, room);
    this.buffers.add(buffer);
    return buffer;
  }

  /** Ends a socket's memory, once no section can push any more. */
  closeBuffer(buffer: SocketBuffer): void {
    buffer.closing = true;
    this.inet.defer(() => {
      this.buffers.delete(buffer);
      buffer.free();
    });
  }

  /** Adds a socket to the table. */
  addSocket(row: SocketRow): void {
    this.sockets.push(row);
    this.publishSockets();
  }

  /** Takes it out. */
  removeSocket(row: SocketRow): void {
    const at = this.sockets.indexOf(row);
    if (at < 0) return;
    this.sockets.splice(at, 1);
    if (!this.closed) this.publishSockets();
  }

  /** Replaces the socket table by one store. */
  publishSockets(): void {
    const { inet } = this;
    const { a } = inet.arena;
    const old = this.#sockets;
    const rows = [...this.sockets].sort((x, y) => x.key - y.key);
    let t = 0;
    if (rows.length > 0) {
      t = inet.control.heap.alloc(
        SOCKETS.entries + rows.length * SOCKETS.ENTRY,
        `sockets of vnet ${this.vnet.name}`,
      );
      set(a, t + SOCKETS.count, rows.length);
      rows.forEach((r, n) => {
        const e = t + SOCKETS.entries + n * SOCKETS.ENTRY;
        set(a, e + SOCKET.key, r.key);
        set(a, e + SOCKET.family, r.family);
        set(a, e + SOCKET.rport, r.rport);
        set(a, e + SOCKET.block, r.buffer.block);
        for (let k = 0; k < 4; k++) {
          set(a, e + SOCKET.laddr + k, r.laddr[k]!);
          set(a, e + SOCKET.raddr + k, r.raddr[k]!);
        }
      });
    }
    this.#sockets = t;
    store(a, this.at + VINET.sockets, t);
    inet.freeLater(old);
  }

  /** A port above 49151 that nobody has (RFC 6335 6). @throws {SoftcError} `SOFTC_INET_IN_USE` */
  freePort(proto: number): number {
    for (let n = 0; n < 16384; n++) {
      const port = this.#port;
      this.#port = port === 65535 ? 49152 : port + 1;
      if (!this.sockets.some((s) => s.key === (proto << 16 | port))) return port;
    }
    throw new SoftcError("SOFTC_INET_IN_USE", `Cannot choose a port in vnet "${this.vnet.name}"`, {
      state: "all in use",
    });
  }

  /** Identification of the next datagram that may be fragmented (RFC 6864); IPv4 takes its lower half. */
  nextIdent(): number {
    return this.#ident = this.#ident + 1 >>> 0;
  }

  /** Largest packet that the way to an address was found to take. */
  pathMtu(family: number, to: Address): number {
    return this.pathMtus.of(family, to, this.inet.net.cpu.clock.now());
  }

  /** A parsed address as it stands in tables: a link-local one needs its zone, or the vnet's only interface. @throws {SoftcError} `SOFTC_INET_ARGUMENT` */
  resolve(x: ParsedAddress): Address {
    const scopedGroup = x.family === AF.inet6 && isLinkLocal(x.address[0]);
    if (!scopedGroup) return x.address;
    const all = this.inet.inVnet(this).filter((i) => i.family === AF.inet6);
    const found = x.zone === undefined
      ? (all.length === 1 ? all[0] : undefined)
      : all.find((i) => i.e.name === x.zone);
    if (found === undefined) {
      throw new SoftcError("SOFTC_INET_ARGUMENT", "Cannot use a link-local address", {
        state: x.zone === undefined ? "it names no interface" : `no interface ${x.zone} with IPv6`,
        wanted: "ADDRESS%INTERFACE",
      });
    }
    return this.inet.scopedTo(x.family, x.address, found.e.index);
  }

  /** The longest link route that covers an address: how a router is reached. */
  linkTo(family: number, address: Address): OwnedRoute | undefined {
    const fits = this.routes.filter((r) =>
      r.family === family && r.via !== undefined && r.flags === 0 &&
      sameAddress(maskAddress(r.prefix, r.plen), maskAddress(address, r.plen))
    );
    return fits.sort((x, y) => y.plen - x.plen)[0];
  }

  /** An interface to send groups and broadcasts through. */
  anyInterface(family: number): Handle | undefined {
    const on = this.inet.inVnet(this).filter((i) => i.family === family && i.rows.length > 0);
    return (on.find((i) => i.e.spec!.type === "ether") ?? on[0])?.handle;
  }

  /** Whether an address is one of the vnet's. */
  owns(family: number, address: Address): boolean {
    if (isMulticast(family, address[0])) return true;
    const plain = family === AF.inet6 && isLinkLocal(address[0]);
    return this.routes.some((r) =>
      r.family === family && (r.flags & RTF.local) !== 0 &&
      (plain ? r.prefix[2] === address[2] && r.prefix[3] === address[3] : sameAddress(r.prefix, address))
    );
  }

  poll(): number {
    let work = 0;
    for (const b of this.buffers) work += b.poll();
    return work;
  }

  waits(): boolean {
    for (const b of this.buffers) if (b.waits()) return true;
    return false;
  }

  /** The vnet goes: its interfaces are gone already. */
  close(): void {
    this.closed = true;
    for (const fn of [...this.onClose]) fn();
    this.reassembly.close();
    const { inet } = this;
    const { a } = inet.arena;
    for (const word of [VINET.routes, VINET.routes + 1, VINET.sockets, VINET.forwarding, VINET.control]) {
      store(a, this.at + word, 0);
    }
    for (const t of [...this.#tables, this.#sockets]) inet.freeLater(t);
    this.#tables = [0, 0];
    this.#sockets = 0;
    if (this.#control !== undefined) this.closeBuffer(this.#control);
    // Its buffers are polled until they are freed.
    inet.defer(() => void inet.vnets.delete(this));
  }

  /** Opens the way by which the data path passes on what CPU 0 does. */
  openControl(): void {
    if (this.#control !== undefined) return;
    this.#control = this.openBuffer(
      `what CPU 0 does for vnet ${this.vnet.name}`,
      (id, arrival) =>
        arrival < ARRIVAL.group
          ? this.reassembly.take(id, arrival - ARRIVAL.fragment)
          : this.#heard(id, arrival - ARRIVAL.group),
      () => 64,
    );
    store(this.inet.arena.a, this.at + VINET.control, this.#control.block);
  }

  /** A message about groups whose checksum is right. */
  #heard(id: number, family: number): number {
    const { stack: st } = this.inet;
    const ip = st.at(id) + ETHER;
    const six = family === AF.inet6;
    const end = ip + (six ? 40 + at16(st.u8, ip + 4) : at16(st.u8, ip + 2));
    const { upper } = st;
    if (six) walk(st.u8, st.u8[ip + 6]!, ip + 40, ip + 6, end, upper);
    const body = six ? upper.at : ip + (st.u8[ip]! & 15) * 4;
    const message = readGroupMessage(st.u8, family, body, end - body);
    if (message === undefined) return DROP.malformed;
    this.inet.receivedOn(id, family)?.groups.heard(message);
    return ENDED.delivered;
  }
}
