/**
 * The IP stack's public functions: addresses, routes, neighbours, forwarding, UDP, ping. CPU 0 only.
 *
 * @module
 */
import { get } from "../../core/doors/arena.ts";
import { SoftcError } from "../../core/error.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { AF } from "../../core/net/domain.ts";
import { IFF, IFT } from "../../core/net/flags.ts";
import type { Ifnet } from "../../core/net/ifnet.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import type { Vnet } from "../../core/net/vnet.ts";
import { checkNames, type Names } from "../../core/options.ts";
import {
  type Address,
  formatAddress,
  isLinkLocal,
  linkLocal,
  parseAddress,
  parsePrefix,
  sameAddress,
  unscoped,
  UNSPECIFIED,
} from "./address.ts";
import type { InetControl } from "./control.ts";
import { assign } from "./assign.ts";
import type { AddressRow, IfInet } from "./if_inet.ts";
import { ADDR_KIND, RTF } from "./layout.ts";
import { LEARN, ND, neighbourLearn, type NeighbourState } from "./neighbour.ts";
import { type PingOptions, type PingResult, pingVnet } from "./ping.ts";
import { isIfnet, type UdpOptions, type UdpSocket, UdpSocketObject } from "./udp.ts";
import { VnetInet } from "./vnet_inet.ts";

/** An address of an interface. It is gone when the interface leaves its vnet. */
export interface InetAddress {
  /** As text, with its prefix length: `10.0.0.1/24`. */
  readonly prefix: string;
  /** As text, without the length. */
  readonly address: string;
  /** Of IPv4 or IPv6. */
  readonly family: 4 | 6;
  /** Whether it is tried for duplicates, in use, or gone. */
  readonly state: "tentative" | "assigned" | "gone";
  /** Takes it away, and the routes that came with it. False when it was gone. */
  remove(): boolean;
}

/** How an address is given. */
export interface AddressOptions {
  /**
   * Looks for another one that has it before it is used (RFC 4862 5.4, RFC 5227). It takes a second for IPv6,
   * which does it unless told not to, and five for IPv4, which does it only when told.
   */
  readonly dad?: boolean;
}

const ADDRESS: Names<AddressOptions> = { dad: true };

class AddressObject implements InetAddress {
  constructor(readonly inet: InetControl, readonly on: IfInet, readonly row: AddressRow) {}

  get family(): 4 | 6 {
    return this.on.family === AF.inet ? 4 : 6;
  }
  get address(): string {
    return text(this.on.family, this.row.address);
  }
  get prefix(): string {
    return `${this.address}/${this.row.plen}`;
  }
  get state(): InetAddress["state"] {
    if (this.on.gone || !this.on.rows.includes(this.row)) return "gone";
    return this.row.kind === ADDR_KIND.tentative ? "tentative" : "assigned";
  }
  remove(): boolean {
    if (this.state === "gone") return false;
    this.on.vnet.removeRoutes((r) => r.row === this.row);
    this.inet.removeRow(this.on, this.row);
    this.row.conflict?.();
    return true;
  }
}

function text(family: number, x: Address): string {
  return formatAddress(family, family === AF.inet ? x : [unscoped(x[0]), x[1], x[2], x[3]]);
}

function inetOf(i: Ifnet): InetControl {
  if (!isIfnet(i)) {
    throw new SoftcError("SOFTC_INET_ARGUMENT", "Cannot use what was given as an interface", {
      wanted: "an Ifnet",
    });
  }
  return VnetInet.of(i.vnet).inet;
}

/**
 * Gives an interface an address, with the route to its subnet. Resolves when it may be used. The first IPv6
 * address of an interface brings its link-local address with it (RFC 4862 5.3).
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await lo.up();
 * const { prefix, state } = await inetAddress(lo, "127.0.0.1/8");
 * console.log(prefix, state); // 127.0.0.1/8 assigned
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_OPTION_UNKNOWN`, `SOFTC_INET_EXISTS`, `SOFTC_INET_DUPLICATE`, `SOFTC_IF_GONE`,
 * `SOFTC_IF_STATE` when it is to be tried for duplicates and the interface is not UP, or when it is not attached
 * (on the move); `SOFTC_VNET_ARGUMENT` when its vnet is gone. All reject the promise
 */
export async function inetAddress(i: Ifnet, cidr: string, o: AddressOptions = {}): Promise<InetAddress> {
  const inet = inetOf(i);
  checkNames(`give ${i.name} an address`, o, ADDRESS);
  const p = parsePrefix(cidr);
  const unusable = sameAddress(p.address, UNSPECIFIED) ||
    (p.family === AF.inet ? p.address[0] >>> 28 >= 14 : p.address[0] >>> 24 === 255);
  if (unusable || p.zone !== undefined) {
    throw new SoftcError("SOFTC_INET_ARGUMENT", `Cannot give ${i.name} the address ${cidr}`, {
      wanted: "a unicast address without a zone",
    });
  }
  const e = IfnetObject.entry(i)!;
  const slot = inet.arena.ifnetAt(e.index);
  const loop = get(inet.arena.a, slot + IFNET.type) === IFT.loop;
  const dad = !loop && (o.dad ?? p.family === AF.inet6);
  const up = (get(inet.arena.a, slot + IFNET.flags) & IFF.UP) !== 0;
  inet.assertAttached(e, i.handle);
  if (dad && !up) {
    throw new SoftcError("SOFTC_IF_STATE", `Cannot look for duplicates of ${cidr} on ${i.name}`, {
      state: "down",
      wanted: "UP",
      fix: "bring the interface up first, or pass { dad: false }",
    });
  }
  const on = inet.open(i, p.family);
  const address = inet.scopedTo(p.family, p.address, e.index);
  if (
    on.vnet.routes.some((r) =>
      r.row !== undefined && r.family === p.family && sameAddress(r.row.address, address)
    )
  ) {
    throw new SoftcError("SOFTC_INET_EXISTS", `Cannot give ${i.name} the address ${cidr}`, {
      state: "an address of the vnet already",
    });
  }
  if (on.rows.some((r) => sameAddress(r.address, address))) {
    throw new SoftcError("SOFTC_INET_EXISTS", `Cannot give ${i.name} the address ${cidr}`, {
      state: "tentative",
    });
  }
  const pending: Promise<void>[] = [];
  if (p.family === AF.inet6 && !loop && !on.rows.some((r) => isLinkLocal(r.address[0]))) {
    const own = inet.scopedTo(p.family, linkLocal(e.spec!.mac), e.index);
    if (!sameAddress(own, address)) {
      pending.push(assign(inet, on, own, 64, dad, `${i.name}'s link-local address`));
    }
  }
  const row: { row?: AddressRow } = {};
  pending.push(assign(inet, on, address, p.plen, dad, cidr, row));
  const results = await Promise.allSettled(pending);
  for (const r of results) if (r.status === "rejected") throw r.reason;
  return new AddressObject(inet, on, row.row!);
}

/**
 * The addresses of an interface, IPv4 first.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, inetAddresses } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * await a.up();
 * await inetAddress(a, "10.0.0.1/24");
 * console.log(inetAddresses(a).map((x) => x.prefix)); // 10.0.0.1/24
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_VNET_ARGUMENT` when its vnet is gone
 */
export function inetAddresses(i: Ifnet): InetAddress[] {
  const inet = inetOf(i);
  const e = IfnetObject.entry(i)!;
  return [AF.inet, AF.inet6].flatMap((family) => {
    const on = inet.find(e, family);
    return on === undefined ? [] : on.rows.map((row) => new AddressObject(inet, on, row));
  });
}

/** A route of a vnet. */
export interface InetRoute {
  /** Where it leads to: `10.0.0.0/24`. */
  readonly prefix: string;
  /** The next router; none when the destination is on the link. */
  readonly gateway: string | undefined;
  /** The interface's name; none when it rejects. */
  readonly ifnet: string | undefined;
  /** What it is: to ourselves, onto a link, to all of a link, set by hand, to nowhere. */
  readonly kind: "local" | "link" | "broadcast" | "static" | "reject";
  /** Takes a static or rejecting route away. False when it was gone or belongs to an address. */
  remove(): boolean;
}

/**
 * Adds a static route: through a router on a link of the vnet, straight onto a link, or to nowhere. The longest
 * prefix wins; `0.0.0.0/0` and `::/0` are the default. It goes with its interface.
 *
 * @param via a router's address (`10.0.0.254`, `fe80::1%epair0a`), an interface, or `"reject"`
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, inetRoute } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * await a.up();
 * await inetAddress(a, "10.0.0.1/24");
 * const route = inetRoute(kernel.vnet0, "0.0.0.0/0", "10.0.0.254");
 * console.log(route.prefix, route.gateway, route.kind); // 0.0.0.0/0 10.0.0.254 static
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_INET_EXISTS`, `SOFTC_INET_UNREACHABLE` when the router is on no link,
 * `SOFTC_VNET_ARGUMENT`; for an interface also `SOFTC_IF_GONE`, `SOFTC_IF_STATE`
 */
export function inetRoute(v: Vnet, cidr: string, via: string | Ifnet): InetRoute {
  const own = VnetInet.of(v);
  const p = parsePrefix(cidr);
  const base = { family: p.family, prefix: p.address, plen: p.plen, row: undefined };
  if (via === "reject") {
    return routeObject(
      own,
      own.addRoute({
        ...base,
        via: undefined,
        flags: RTF.reject,
        index: 0,
        gencnt: 0,
        gateway: UNSPECIFIED,
        source: UNSPECIFIED,
      }),
    );
  }
  if (typeof via !== "string") {
    const on = own.inet.open(via, p.family);
    if (on.vnet !== own) {
      throw new SoftcError("SOFTC_INET_ARGUMENT", `Cannot route ${cidr} through ${via.name}`, {
        wanted: `an interface of vnet "${v.name}"`,
      });
    }
    const source = on.rows.find((r) => r.kind === ADDR_KIND.address)?.address ?? UNSPECIFIED;
    return routeObject(
      own,
      own.addRoute({
        ...base,
        via: on,
        flags: 0,
        index: on.e.index,
        gencnt: on.gencnt,
        gateway: UNSPECIFIED,
        source,
      }),
    );
  }
  const g = parseAddress(via);
  const gateway = own.resolve(g);
  const link = g.family === p.family ? own.linkTo(g.family, gateway) : undefined;
  if (link === undefined) {
    throw new SoftcError("SOFTC_INET_UNREACHABLE", `Cannot route ${cidr} through ${via}`, {
      state: "the router is on no link of the vnet",
    });
  }
  const { via: on, index, gencnt, source } = link;
  return routeObject(
    own,
    own.addRoute({ ...base, via: on, flags: RTF.gateway, index, gencnt, gateway, source }),
  );
}

function routeObject(own: VnetInet, r: VnetInet["routes"][number]): InetRoute {
  const kind = (r.flags & RTF.local) !== 0
    ? "local"
    : (r.flags & RTF.broadcast) !== 0
    ? "broadcast"
    : (r.flags & RTF.reject) !== 0
    ? "reject"
    : r.row !== undefined
    ? "link"
    : "static";
  return {
    prefix: `${text(r.family, r.prefix)}/${r.plen}`,
    gateway: (r.flags & RTF.gateway) !== 0 ? text(r.family, r.gateway) : undefined,
    ifnet: r.via?.e.name,
    kind,
    remove: () => r.row === undefined && own.removeRoutes((x) => x === r) === 1,
  };
}

/**
 * Every route of a vnet: IPv4 first, then the longest prefix first.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, inetRoutes } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * await a.up();
 * await inetAddress(a, "10.0.0.1/24");
 * for (const r of inetRoutes(kernel.vnet0)) console.log(r.prefix, r.kind, r.ifnet);
 * ```
 * @throws {SoftcError} `SOFTC_VNET_ARGUMENT`
 */
export function inetRoutes(v: Vnet): InetRoute[] {
  const own = VnetInet.of(v);
  return [...own.routes].sort((x, y) => x.family - y.family || y.plen - x.plen).map((r) =>
    routeObject(own, r)
  );
}

/** A neighbour of an interface. */
export interface InetNeighbour {
  /** Its IP address. */
  readonly address: string;
  /** `02:00:00:00:00:01`; none while it is not known. */
  readonly mac: string | undefined;
  /** What is known of it. */
  readonly state: NeighbourState;
}

/**
 * The neighbours that an interface knows, of both families: ARP (RFC 826) and ND (RFC 4861).
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, inetNeighbour, inetNeighbours } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * await a.up();
 * await inetAddress(a, "10.0.0.1/24");
 * inetNeighbour(a, "10.0.0.2", "02:00:00:00:00:02");
 * console.log(inetNeighbours(a).map((n) => n.mac)); // 02:00:00:00:00:02
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_VNET_ARGUMENT` when its vnet is gone
 */
export function inetNeighbours(i: Ifnet): InetNeighbour[] {
  const inet = inetOf(i);
  const e = IfnetObject.entry(i)!;
  return [AF.inet, AF.inet6].flatMap((family) => {
    const on = inet.find(e, family);
    return on === undefined ? [] : inet.neighbours(on).map((n): InetNeighbour => ({
      address: text(family, n.address),
      mac: n.state > ND.incomplete ? n.mac.map((b) => b.toString(16).padStart(2, "0")).join(":") : undefined,
      state: (Object.keys(ND) as NeighbourState[]).find((k) => ND[k] === n.state)!,
    }));
  });
}

/**
 * Sets a neighbour's MAC address by hand: it is not asked for and does not age. Packets that waited for it leave.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, inetNeighbour, inetNeighbours } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:epair");
 * const [a] = await ifCloneCreate(kernel.vnet0, "epair");
 * await a.up();
 * await inetAddress(a, "10.0.0.1/24");
 * inetNeighbour(a, "10.0.0.2", "02:00:00:00:00:02");
 * console.log(inetNeighbours(a)); // 10.0.0.2, permanent
 * ```
 * @param mac six pairs of hexadecimal digits with colons, not a group's: `02:00:00:00:00:01`
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_IF_GONE`, `SOFTC_IF_STATE`, `SOFTC_VNET_ARGUMENT` when its vnet is gone
 */
export function inetNeighbour(i: Ifnet, address: string, mac: string): void {
  const inet = inetOf(i);
  const p = parseAddress(address);
  const bytes = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)
    ? mac.split(":").map((x) => parseInt(x, 16))
    : undefined;
  if (bytes === undefined || (bytes[0]! & 1) === 1) {
    throw new SoftcError("SOFTC_INET_ARGUMENT", `Cannot use ${mac} as a neighbour's address`, {
      wanted: "six pairs of hexadecimal digits of a single host",
    });
  }
  const on = inet.open(i, p.family);
  const key = inet.scopedTo(p.family, p.address, on.e.index);
  const high = bytes[0]! << 8 | bytes[1]!;
  const low = bytes[2]! << 24 | bytes[3]! << 16 | bytes[4]! << 8 | bytes[5]!;
  inet.inSection(on.vnet, (st) => {
    const e = neighbourLearn(inet.arena.a, on.neigh, ...key, high, low, LEARN.permanent);
    const ifp = inet.ifp(st, on);
    if (e !== 0 && ifp !== undefined) st.sendHeld(ifp, e, ...key, high, low);
  });
}

/**
 * Switches whether a vnet forwards packets: it is a router. Both families unless one is named.
 *
 * @example
 * ```ts
 * import { boot, inetForwarding, vnetCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * const router = await vnetCreate(kernel.vnet0, "router");
 * inetForwarding(router, true);
 * ```
 * @throws {SoftcError} `SOFTC_VNET_ARGUMENT`
 */
export function inetForwarding(v: Vnet, on: boolean, family?: 4 | 6): void {
  const own = VnetInet.of(v);
  if (family !== 6) own.setForwarding(AF.inet, on);
  if (family !== 4) own.setForwarding(AF.inet6, on);
}

/**
 * Opens a UDP socket (RFC 768) in a vnet. It closes with the vnet.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, udpOpen } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await lo.up();
 * await inetAddress(lo, "127.0.0.1/8");
 * const echo = udpOpen(kernel.vnet0, { port: 7 });
 * const client = udpOpen(kernel.vnet0, { connect: { address: "127.0.0.1", port: 7 } });
 * client.send(new TextEncoder().encode("hello"));
 * const d = await echo.receive(1000);
 * console.log(new TextDecoder().decode(d?.data)); // hello
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_INET_ADDRESS` when the vnet has no such address,
 * `SOFTC_INET_IN_USE` when the port is taken or none is free, `SOFTC_VNET_ARGUMENT`
 */
export function udpOpen(v: Vnet, o: UdpOptions = {}): UdpSocket {
  return new UdpSocketObject(VnetInet.of(v), o);
}

/**
 * Pings an address from a vnet with ICMP echo (RFC 792, RFC 4443); `ttl` makes a traceroute of it. What is not
 * answered is no error: the reply says `timeout` or `not sent`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate, inetAddress, ping } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:loopback");
 * const [lo] = await ifCloneCreate(kernel.vnet0, "lo");
 * await lo.up();
 * await inetAddress(lo, "127.0.0.1/8");
 * const { received } = await ping(kernel.vnet0, "127.0.0.1", { count: 3 });
 * console.log(received); // 3
 * ```
 * @throws {SoftcError} `SOFTC_INET_ARGUMENT`, `SOFTC_INET_IN_USE` when no identifier is free: both reject the
 * promise; `SOFTC_VNET_ARGUMENT` is thrown at once
 */
export async function ping(v: Vnet, destination: string, o: PingOptions = {}): Promise<PingResult> {
  return await pingVnet(VnetInet.of(v), destination, o);
}
