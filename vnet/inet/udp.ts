/**
 * UDP sockets (RFC 768), on CPU 0.
 *
 * A datagram is matched to its socket on the CPU where it came in and waits in the socket's ring; CPU 0 takes
 * it out as far as the reader keeps up. What finds the ring full is dropped and counted.
 *
 * A membership names the interface by its handle: leaving after the interface went away touches nothing, and
 * a new interface in the same slot is not joined (R32).
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { SoftcError } from "../../core/error.ts";
import { MBUF } from "../../core/memory/arena.ts";
import { DROP, ENDED } from "../../core/memory/counters.ts";
import { AF } from "../../core/net/domain.ts";
import { type Handle, makeHandle } from "../../core/net/handle.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { Ifnet } from "../../core/net/ifnet.ts";
import { type AttachedIfp, ifnetByHandle } from "../../core/net/section.ts";
import { checkNames, type Names } from "../../core/options.ts";
import {
  type Address,
  addressAt,
  formatAddress,
  isLinkLocal,
  isMulticast,
  parseAddress,
  sameAddress,
  unscoped,
  UNSPECIFIED,
} from "./address.ts";
import { at16 } from "./checksum.ts";
import type { InetControl } from "./control.ts";
import type { IfInet } from "./if_inet.ts";
import { walk } from "./extensions.ts";
import { ETHER } from "./headers.ts";
import { ARRIVAL, IPPROTO } from "./layout.ts";
import { takeError } from "./path_mtu.ts";
import type { Whole } from "./reassembly.ts";
import { SEND, sendDatagram, udpPayload } from "./send.ts";
import type { SocketBuffer } from "./socket.ts";
import { socketKey } from "./sockets.ts";
import type { SocketRow, VnetInet } from "./vnet_inet.ts";

/** How a socket is opened. */
export interface UdpOptions {
  /** The address it is bound to; any of the vnet's unless told. Decides the family, with `connect`. */
  readonly address?: string;
  /** Its port, 1 to 65535; a free one from 49152 on unless told (RFC 6335 6). */
  readonly port?: number;
  /** Speaks to this one only: `{ address, port }`, the port 1 to 65535. */
  readonly connect?: { readonly address: string; readonly port: number };
  /** 4 or 6, when no address says so; 4 unless told. */
  readonly family?: 4 | 6;
  /** Several sockets may share the port, for groups. */
  readonly reuse?: boolean;
  /** Interface for groups and broadcast; the first that was joined unless told. */
  readonly ifnet?: Ifnet;
  /** Datagrams that wait for the reader, 1 to 65536; 256 unless told. */
  readonly buffer?: number;
  /** Hop limit of what it sends, 1 to 255; 64 unless told (1 for groups). */
  readonly ttl?: number;
}

const NAMES: Names<UdpOptions> = {
  address: true,
  port: true,
  connect: true,
  family: true,
  reuse: true,
  ifnet: true,
  buffer: true,
  ttl: true,
};

/** A datagram that was received. */
export interface Datagram {
  /** What was sent: a copy of the payload, without headers. */
  readonly data: Uint8Array;
  /** Who sent it. */
  readonly address: string;
  /** From which port. */
  readonly port: number;
  /** The address that it was sent to. */
  readonly to: string;
  /** The interface that it came in on: a weak name. */
  readonly ifnet: Handle;
}

/** An error that came back about something that was sent: ICMP's words. */
export interface UdpError {
  /** ICMP's type (RFC 792, RFC 4443). */
  readonly type: number;
  /** ICMP's code. */
  readonly code: number;
  /** The MTU of "need fragment" and "packet too big", in bytes. */
  readonly mtu: number;
  /** Who says so. */
  readonly from: string;
}

/** A UDP socket. Reading it is iterating it; one reader at a time. */
export interface UdpSocket extends AsyncIterableIterator<Datagram> {
  /** The address it is bound to. */
  readonly address: string;
  /** The port it is bound to. */
  readonly port: number;
  /** Datagrams that were dropped because nobody read; 0 once closed. */
  readonly dropped: number;
  /** The last ICMP error about something that it sent. */
  readonly error: UdpError | undefined;
  /**
   * Sends a datagram of at most 65,507 bytes; it leaves in fragments when it must. 0, or FreeBSD's errno:
   * 40 too big, 49 no address, 51 no route, 55 no mbufs.
   *
   * @throws {SoftcError} `SOFTC_INET_CLOSED`, `SOFTC_INET_ARGUMENT` without a destination or with a wrong one
   */
  send(data: Uint8Array, to?: { readonly address: string; readonly port: number }): number;
  /** Hears a group on an interface. @throws {SoftcError} `SOFTC_INET_EXISTS`, `SOFTC_INET_ARGUMENT`, `SOFTC_INET_CLOSED`, `SOFTC_IF_GONE`, `SOFTC_IF_STATE` */
  join(group: string, ifnet: Ifnet): void;
  /** Leaves a group. The interface may be gone. False when it was not joined. @throws {SoftcError} `SOFTC_INET_ARGUMENT` */
  leave(group: string, ifnet: Ifnet): boolean;
  /**
   * The next datagram; `undefined` when none comes within `ms` milliseconds (for ever unless told), or it is closed.
   *
   * @throws {SoftcError} `SOFTC_INET_ARGUMENT` while another read waits: rejects
   */
  receive(ms?: number): Promise<Datagram | undefined>;
  /** Closes it; iteration ends. Idempotent. */
  close(): void;
}

interface Membership {
  readonly group: Address;
  readonly handle: Handle;
  readonly on: IfInet;
}

function refuse(what: string, wanted: string): SoftcError {
  return new SoftcError("SOFTC_INET_ARGUMENT", what, { wanted });
}

function checkPort(port: unknown): number {
  if (Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65535) return port as number;
  throw refuse(`Cannot use port ${String(port)}`, "1 to 65535");
}

/** A socket as CPU 0 keeps it. */
export class UdpSocketObject implements UdpSocket {
  error: UdpError | undefined;
  readonly #v: VnetInet;
  readonly #inet: InetControl;
  readonly #family: number;
  readonly #buffer: SocketBuffer;
  readonly #row: SocketRow;
  readonly #queue: Datagram[] = [];
  readonly #max: number;
  readonly #ttl: number | undefined;
  readonly #peer: { address: Address; port: number } | undefined;
  readonly #laddr: Address;
  readonly #ifnet: Handle | undefined;
  readonly #joined: Membership[] = [];
  readonly #end = (): void => this.close();
  #waiting: ((d: Datagram | undefined) => void) | undefined;
  #closed = false;
  /** Datagrams that came in fragments and found no room. */
  #lost = 0;
  readonly port: number;

  constructor(v: VnetInet, o: UdpOptions) {
    checkNames("open a UDP socket", o, NAMES);
    this.#v = v;
    this.#inet = v.inet;
    const local = o.address === undefined ? undefined : parseAddress(o.address);
    const remote = o.connect === undefined ? undefined : parseAddress(o.connect.address);
    this.#family = local?.family ?? remote?.family ?? (o.family === 6 ? AF.inet6 : AF.inet);
    if (remote !== undefined && remote.family !== this.#family) {
      throw refuse(`Cannot connect ${o.address} to ${o.connect!.address}`, "addresses of one family");
    }
    this.#max = o.buffer ?? 256;
    if (!(Number.isInteger(this.#max) && this.#max >= 1 && this.#max <= 65536)) {
      throw refuse(`Cannot keep ${String(o.buffer)} datagrams`, "1 to 65536");
    }
    this.#ttl = o.ttl;
    if (o.ttl !== undefined && !(Number.isInteger(o.ttl) && o.ttl >= 1 && o.ttl <= 255)) {
      throw refuse(`Cannot use hop limit ${String(o.ttl)}`, "1 to 255");
    }
    this.#ifnet = o.ifnet?.handle;
    this.#laddr = local === undefined ? UNSPECIFIED : v.resolve(local);
    if (!sameAddress(this.#laddr, UNSPECIFIED) && !v.owns(this.#family, this.#laddr)) {
      throw new SoftcError("SOFTC_INET_ADDRESS", `Cannot bind to ${o.address} in vnet "${v.vnet.name}"`, {
        state: "not an address of the vnet",
      });
    }
    this.#peer = o.connect === undefined
      ? undefined
      : { address: v.resolve(remote!), port: checkPort(o.connect.port) };
    this.port = o.port === undefined ? v.freePort(IPPROTO.udp) : checkPort(o.port);
    const key = socketKey(IPPROTO.udp, this.port);
    const clash = o.reuse === true
      ? undefined
      : v.sockets.find((s) =>
        s.key === key && s.family === this.#family &&
        (sameAddress(s.laddr, this.#laddr) || sameAddress(s.laddr, UNSPECIFIED) ||
          sameAddress(this.#laddr, UNSPECIFIED)) &&
        sameAddress(s.raddr, this.#peer?.address ?? UNSPECIFIED) && s.rport === (this.#peer?.port ?? 0)
      );
    if (clash !== undefined) {
      throw new SoftcError("SOFTC_INET_IN_USE", `Cannot bind to port ${this.port} in vnet "${v.vnet.name}"`, {
        state: "in use",
        wanted: "a free port",
      });
    }
    this.#buffer = v.openBuffer(
      `UDP port ${this.port} of vnet ${v.vnet.name}`,
      (id, arrival) => this.#take(id, arrival),
      () => this.#max - this.#queue.length,
    );
    this.#row = {
      family: this.#family,
      key,
      laddr: this.#laddr,
      raddr: this.#peer?.address ?? UNSPECIFIED,
      rport: this.#peer?.port ?? 0,
      buffer: this.#buffer,
      whole: (w) => this.#whole(w),
    };
    v.addSocket(this.#row);
    v.onClose.add(this.#end);
  }

  get address(): string {
    return formatAddress(this.#family, this.#plain(this.#laddr));
  }

  get dropped(): number {
    return this.#closed ? 0 : this.#buffer.dropped + this.#lost;
  }

  send(data: Uint8Array, to?: { readonly address: string; readonly port: number }): number {
    this.#assertOpen();
    if (data.length > 65507) return SEND.tooBig;
    const peer = to === undefined ? this.#peer : this.#to(to.address, to.port);
    if (peer === undefined) throw refuse("Cannot send: the socket is not connected", "a destination");
    const family = this.#family;
    const group = isMulticast(family, peer.address[0]);
    const broadcast = family === AF.inet && peer.address[0] === -1;
    return this.#inet.inSection(this.#v, (st) => {
      let via: AttachedIfp | undefined;
      if (group || broadcast) {
        const handle = this.#ifnet ?? this.#joined[0]?.handle ?? this.#v.anyInterface(family);
        via = handle === undefined ? undefined : ifnetByHandle(st.s, handle);
        if (via === undefined) return SEND.unreachable;
      }
      return sendDatagram(st, {
        family,
        destination: peer.address,
        source: sameAddress(this.#laddr, UNSPECIFIED) || isMulticast(family, this.#laddr[0])
          ? undefined
          : this.#laddr,
        proto: IPPROTO.udp,
        ttl: this.#ttl ?? (group ? 1 : 64),
        dontFragment: false,
        via,
        broadcast,
        payload: udpPayload(this.port, peer.port, data),
        ident: this.#v.nextIdent(),
        pathMtu: this.#v.pathMtu(family, peer.address),
      });
    });
  }

  #to(address: string, port: number): { address: Address; port: number } {
    const parsed = parseAddress(address);
    if (parsed.family !== this.#family) {
      throw refuse(`Cannot send to ${address}`, "an address of the socket's family");
    }
    return { address: this.#v.resolve(parsed), port: checkPort(port) };
  }

  join(group: string, ifnet: Ifnet): void {
    this.#assertOpen();
    const address = this.#group(group);
    const on = this.#inet.open(ifnet, this.#family);
    if (this.#joined.some((m) => m.on === on && sameAddress(m.group, address))) {
      throw new SoftcError("SOFTC_INET_EXISTS", `Cannot join ${group} on ${ifnet.name}`, { state: "joined" });
    }
    if (on.vnet !== this.#v) {
      throw refuse(`Cannot join ${group} on ${ifnet.name}`, "an interface of the vnet");
    }
    on.groups.join(address);
    this.#joined.push({ group: address, handle: ifnet.handle, on });
  }

  leave(group: string, ifnet: Ifnet): boolean {
    const address = this.#group(group);
    const at = this.#joined.findIndex((m) => m.handle === ifnet.handle && sameAddress(m.group, address));
    if (at < 0) return false;
    this.#drop(this.#joined.splice(at, 1)[0]!);
    return true;
  }

  #drop(m: Membership): void {
    // The interface's data may be gone, and another interface's in its place: then there is nothing to leave.
    if (!m.on.gone) m.on.groups.leave(m.group);
  }

  #group(group: string): Address {
    const parsed = parseAddress(group);
    if (parsed.family !== this.#family || !isMulticast(parsed.family, parsed.address[0])) {
      throw refuse(`Cannot join or leave ${group}`, "a group of the socket's family");
    }
    return parsed.address;
  }

  async receive(ms?: number): Promise<Datagram | undefined> {
    const d = this.#queue.shift();
    if (d !== undefined || this.#closed) return d;
    if (this.#waiting !== undefined) {
      throw new SoftcError("SOFTC_INET_ARGUMENT", "Cannot read the socket twice at a time", {
        state: "being read",
      });
    }
    return await new Promise((resolve) => {
      const timer = ms === undefined ? undefined : this.#inet.net.cpu.timers.after(ms, () => {
        this.#inet.control.settled = true;
        give(undefined);
      });
      const give = this.#waiting = (x: Datagram | undefined): void => {
        this.#waiting = undefined;
        if (timer !== undefined) timer.armed = false;
        resolve(x);
      };
      this.#inet.net.cpu.ring(0);
    });
  }

  async next(): Promise<IteratorResult<Datagram>> {
    const value = await this.receive();
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }

  return(): Promise<IteratorResult<Datagram>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const m of this.#joined.splice(0)) this.#drop(m);
    this.#v.onClose.delete(this.#end);
    this.#v.removeSocket(this.#row);
    this.#v.closeBuffer(this.#buffer);
    this.#waiting?.(undefined);
    this.#queue.length = 0;
  }

  /** One packet from the ring: headers are right, checked where it came in. */
  #take(id: number, arrival: number): number {
    const { stack: st, net } = this.#inet;
    const { u8 } = st;
    const ip = st.at(id) + ETHER;
    const six = this.#family === AF.inet6;
    const end = six ? ip + 40 + at16(u8, ip + 4) : ip + at16(u8, ip + 2);
    if (arrival === ARRIVAL.error) {
      const { type, code, mtu, from } = takeError(this.#v, id, this.#family);
      this.error = { type, code, mtu, from };
      return ENDED.delivered;
    }
    const h = net.cpu.pool.headerAt(id);
    const a = net.arena.a;
    const received = makeHandle(get(a, h + MBUF.rcvGen), get(a, h + MBUF.rcvIndex));
    // An IPv6 packet's UDP header may stand behind extension headers; it ends where the packet ends.
    if (six) walk(u8, u8[ip + 6]!, ip + 40, ip + 6, end, st.upper);
    const udp = six ? st.upper.at : ip + (u8[ip]! & 15) * 4;
    const to = addressAt(u8, ip + (six ? 24 : 16), this.#family);
    const source = addressAt(u8, ip + (six ? 8 : 12), this.#family);
    return this.#put(source, to, u8.slice(udp, udp + at16(u8, udp + 4)), received);
  }

  #whole(w: Whole): number {
    // It did not wait in the ring, which would have been full.
    if (this.#waiting === undefined && this.#queue.length >= this.#max) {
      this.#lost++;
      return DROP.full;
    }
    return this.#put(w.source, w.destination, w.payload.subarray(0, at16(w.payload, 4)), w.received);
  }

  #put(source: Address, to: Address, udp: Uint8Array, ifnet: Handle): number {
    if (isMulticast(this.#family, to[0]) && !this.#member(to, ifnet)) return DROP.nosocket;
    const zone = this.#family === AF.inet6 && isLinkLocal(source[0])
      ? `%${this.#inet.ifs.find(ifnet)?.name ?? ""}`
      : "";
    const d: Datagram = {
      data: udp.slice(8),
      address: formatAddress(this.#family, source) + zone,
      port: at16(udp, 0),
      to: formatAddress(this.#family, to),
      ifnet,
    };
    if (this.#waiting !== undefined) {
      this.#inet.control.settled = true;
      this.#waiting(d);
    } else this.#queue.push(d);
    return ENDED.delivered;
  }

  #member(group: Address, ifnet: Handle): boolean {
    return this.#joined.some((m) => m.handle === ifnet && sameAddress(m.group, group)) ||
      (this.#family === AF.inet6 && sameAddress(group, [0xff020000 | 0, 0, 0, 1]));
  }

  #plain(x: Address): Address {
    return this.#family === AF.inet6 ? [unscoped(x[0]), x[1], x[2], x[3]] : x;
  }

  #assertOpen(): void {
    if (this.#closed) {
      throw new SoftcError("SOFTC_INET_CLOSED", `Cannot use UDP port ${this.port}`, {
        state: "closed",
        wanted: "open",
      });
    }
  }
}

/** Whether what was given names an interface of the vnet. */
export function isIfnet(x: unknown): x is Ifnet {
  return typeof x === "object" && x !== null && IfnetObject.entry(x as Ifnet) !== undefined;
}
