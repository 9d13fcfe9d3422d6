/**
 * Two vnets ping each other through a third, while one of them hands its interface to a fourth.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Ifnet, ifVmove, type Vnet, vnetCreate } from "@softc/softc";
import { inetAddress, inetForwarding, inetRoute, ping } from "@softc/softc/vnet";
import { type Lab, up } from "./lab.ts";
import { duration } from "./paint.ts";

/** Echo requests, and those that were answered. */
export interface Pings {
  readonly sent: number;
  readonly received: number;
}

/** How the pings went: IPv4 and IPv6 together. */
export interface PingReport {
  readonly before: Pings;
  readonly during: Pings;
  readonly after: Pings;
  /** The router's hop off 64. */
  readonly ttl: number;
}

const FAR = { v4: "10.2.0.2", v6: "fd02::2" } as const;

/** Pings over both families, before, during and after a move of the far end into another vnet. */
export async function pings(lab: Lab): Promise<PingReport> {
  const { k, screen } = lab;
  const make = (name: string): Promise<Vnet> => vnetCreate(k.vnet0, name);
  const [near, router, far, elsewhere] = [
    await make("near"),
    await make("router"),
    await make("far"),
    await make("elsewhere"),
  ];
  const [n, r0] = await wire(near, router, "net1p");
  const [f, r1] = await wire(far, router, "net2p");
  await address(n, "10.1.0.2", "fd01::2");
  await address(r0, "10.1.0.1", "fd01::1");
  await address(r1, "10.2.0.1", "fd02::1");
  await reachable(f);
  inetRoute(near, "0.0.0.0/0", "10.1.0.1");
  inetRoute(near, "::/0", "fd01::1");
  inetForwarding(router, true);

  const both = async (requests: number, timeout: number): Promise<Pings & { ms: number; ttl: number }> => {
    const o = { count: requests, interval: 5, timeout };
    const [v4, v6] = await Promise.all([ping(near, FAR.v4, o), ping(near, FAR.v6, o)]);
    const answered = [...v4.replies, ...v6.replies].filter((r) => r.answer === "reply");
    const ms = answered.map((r) => r.ms).sort((x, y) => x - y)[answered.length >> 1] ?? 0;
    return {
      sent: v4.sent + v6.sent,
      received: v4.received + v6.received,
      ms,
      ttl: answered[0]?.ttl ?? 0,
    };
  };
  screen.progress("ping", `${FAR.v4} and ${FAR.v6}, through a router`);
  const before = await both(5, 1000);
  const pinging = both(20, 20);
  await sleep(30);
  const { ifnet: moved, blackoutNs } = await ifVmove(f, elsewhere);
  await reachable(moved); // addresses do not move with it: the new vnet gives its own
  const during = await pinging;
  const after = await both(5, 1000);
  const told = ({ sent, received }: Pings): string => `${received} of ${sent} answered`;
  screen.step(
    "ping",
    `near ─▶ router ─▶ far, ${FAR.v4} and ${FAR.v6}: ${told(before)} in ${duration(before.ms * 1e6)}, ` +
      `ttl ${before.ttl}`,
  );
  screen.step(
    "ping",
    `while ${moved.name} moves from ${far.name} to ${elsewhere.name} (${duration(blackoutNs)}): ` +
      `${told(during)}; after: ${told(after)}`,
  );
  const plain = ({ sent, received }: Pings): Pings => ({ sent, received });
  return { before: plain(before), during: plain(during), after: plain(after), ttl: after.ttl };
}

/** A pair with one end in each vnet. */
async function wire(a: Vnet, b: Vnet, name: string): Promise<[Ifnet, Ifnet]> {
  const [x, y] = await up(a, "epair", { name });
  return [x, (await ifVmove(y!, b)).ifnet];
}

/** Gives an interface an address of each family: nobody else can have them, so it does not ask around first. */
async function address(i: Ifnet, v4: string, v6: string): Promise<void> {
  await inetAddress(i, `${v4}/24`);
  await inetAddress(i, `${v6}/64`, { dad: false });
}

/** The far end, wherever it is: its addresses, and the way back through the router. */
async function reachable(i: Ifnet): Promise<void> {
  await address(i, FAR.v4, FAR.v6);
  inetRoute(i.vnet, "0.0.0.0/0", "10.2.0.1");
  inetRoute(i.vnet, "::/0", "fd02::1");
}
