/**
 * The kernel of Linux pings softc, softc pings Linux, and what they know of each other agrees.
 *
 * Needs root, /dev/net/tun, iproute2, iputils-ping, traceroute and tshark; skips with a reason.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { ifCloneCreate, ifVmove, vnetCreate } from "../../mod.ts";
import { inetAddress, inetForwarding, inetNeighbours, inetRoute, ping } from "../../vnet/mod.ts";
import { run } from "./run.ts";
import { type Lab, lab, missing, until } from "./tap_linux.ts";

const why = missing(["ping", "-V"], ["traceroute", "--version"]);
if (why !== undefined) console.log(`skipped: softc against Linux through a tap: ${why}`);

function test(name: string, cpus: number, body: (lab: Lab) => Promise<void>): void {
  Deno.test({ name: `${name} (${cpus} CPU)`, ignore: why !== undefined, fn: () => lab({ cpus }, body) });
}

/** 10.7.0.1 and fd07::1 are Linux, .2 and ::2 softc. */
async function addressed({ tap, netns }: Lab): Promise<void> {
  for (
    const args of [["addr", "add", "10.7.0.1/24", "dev", "tap0"], [
      "addr",
      "add",
      "fd07::1/64",
      "dev",
      "tap0",
      "nodad",
    ], [
      "link",
      "set",
      "tap0",
      "up",
    ]]
  ) assertEquals((await run(["ip", "-n", netns, ...args])).code, 0);
  await inetAddress(tap, "10.7.0.2/24");
  await inetAddress(tap, "fd07::2/64");
}

for (const cpus of [1, 2]) {
  test("Linux pings softc and softc pings Linux, both families, whole and in fragments", cpus, async (l) => {
    await addressed(l);
    for (
      const args of [["10.7.0.2"], ["-s", "3000", "10.7.0.2"], ["-6", "fd07::2"], [
        "-s",
        "1000",
        "-6",
        "fd07::2",
      ], ["-s", "3000", "-6", "fd07::2"]]
    ) {
      const text = await l.linux("ping", "-c", "20", "-i", "0.01", "-W", "2", ...args);
      assertStringIncludes(text, "20 packets transmitted, 20 received, 0% packet loss");
    }
    for (
      const [to, size] of [["10.7.0.1", 56], ["10.7.0.1", 3000], ["fd07::1", 56], ["fd07::1", 3000]] as const
    ) {
      const r = await ping(l.kernel.vnet0, to, { count: 5, size });
      assertEquals(r.received, 5, JSON.stringify(r.replies));
    }
  });
}

test("neighbour tables agree", 1, async (l) => {
  await addressed(l);
  await l.linux("ping", "-c", "1", "10.7.0.2");
  await l.linux("ping", "-c", "1", "-6", "fd07::2");
  const { mac } = l.tap.toJSON();
  const theirs = /link\/ether (\S+)/.exec(await l.linux("ip", "link", "show", "tap0"))![1]!;
  const table = await l.linux("ip", "neigh", "show", "dev", "tap0");
  for (const ours of ["10.7.0.2", "fd07::2"]) {
    assertMatch(table, new RegExp(`^${ours} lladdr ${mac}`, "m"));
  }
  for (const address of ["10.7.0.1", "fd07::1"]) {
    assertEquals(inetNeighbours(l.tap).find((n) => n.address === address)?.mac, theirs);
  }
});

test("a duplicate address that Linux has is found", 1, async (l) => {
  await addressed(l);
  for (const [cidr, options] of [["fd07::1/64", {}], ["10.7.0.1/24", { dad: true }]] as const) {
    const e = await inetAddress(l.tap, cidr, options).then(() => undefined, (e) => e);
    assertEquals(e?.code, "SOFTC_INET_DUPLICATE", cidr);
  }
});

test("Linux finds that softc has an address already", 1, async (l) => {
  await addressed(l);
  await l.linux("ip", "addr", "add", "fd07::2/64", "dev", "tap0");
  await until("dadfailed", () => true);
  for (let i = 0; i < 100; i++) {
    if (/dadfailed/.test(await l.linux("ip", "-6", "addr", "show", "dev", "tap0"))) return;
    await new Promise((r) => setTimeout(r, 50));
  }
  throw new Error("Linux did not notice");
});

/** Linux - tap - vnet0 - epair - "far": one router between. The link behind has an MTU of 1280. */
async function routed(l: Lab): Promise<void> {
  await addressed(l);
  const { kernel } = l;
  await kernel.modules.load("softc:epair");
  const middle = await vnetCreate(kernel.vnet0, "middle");
  const far = await vnetCreate(kernel.vnet0, "far");
  const [a, b] = await ifCloneCreate(kernel.vnet0, "epair") as [typeof l.tap, typeof l.tap];
  const [c, d] = await ifCloneCreate(middle, "epair", { name: "back" }) as [typeof l.tap, typeof l.tap];
  const m = (await ifVmove(b, middle)).ifnet;
  const f = (await ifVmove(d, far)).ifnet;
  for (const i of [a, m, c, f]) {
    await i.up();
    l.capture(i);
  }
  for (const i of [c, f]) await i.set({ mtu: 1280 });
  for (
    const [i, cidr] of [[a, "10.8.0.1/24"], [m, "10.8.0.2/24"], [c, "10.9.0.1/24"], [
      f,
      "10.9.0.2/24",
    ]] as const
  ) {
    await inetAddress(i, cidr);
  }
  for (
    const [i, cidr] of [[a, "fd08::1/64"], [m, "fd08::2/64"], [c, "fd09::1/64"], [f, "fd09::2/64"]] as const
  ) {
    await inetAddress(i, cidr, { dad: false });
  }
  inetForwarding(kernel.vnet0, true);
  inetForwarding(middle, true);
  inetRoute(kernel.vnet0, "10.9.0.0/24", "10.8.0.2");
  inetRoute(kernel.vnet0, "fd09::/64", "fd08::2");
  inetRoute(middle, "0.0.0.0/0", "10.8.0.1");
  inetRoute(middle, "::/0", "fd08::1");
  inetRoute(far, "0.0.0.0/0", "10.9.0.1");
  inetRoute(far, "::/0", "fd09::1");
  await l.linux("ip", "route", "add", "default", "via", "10.7.0.2");
  await l.linux("ip", "route", "add", "default", "via", "fd07::2");
}

for (const cpus of [1, 2]) {
  test("Linux traces the route across two softc vnets to a third", cpus, async (l) => {
    await routed(l);
    const v4 = await l.linux("traceroute", "-n", "-q", "1", "-w", "2", "10.9.0.2");
    const hops = [...v4.matchAll(/^ *(\d+) +(\S+)/gm)].map((m) => m[2]);
    assertEquals(hops, ["10.7.0.2", "10.8.0.2", "10.9.0.2"], v4);
    const v6 = await l.linux("traceroute", "-6", "-n", "-q", "1", "-w", "2", "fd09::2");
    assertEquals(
      [...v6.matchAll(/^ *(\d+) +(\S+)/gm)].map((m) => m[2]),
      ["fd07::2", "fd08::2", "fd09::2"],
      v6,
    );
    const icmp = await l.linux("traceroute", "-I", "-n", "-q", "1", "-w", "2", "10.9.0.2");
    assertEquals([...icmp.matchAll(/^ *(\d+) +(\S+)/gm)].map((m) => m[2]), hops);
  });
}

test("MTU errors agree: need fragment, packet too big", 1, async (l) => {
  await routed(l);
  const v4 = await l.attempt("ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1400", "10.9.0.2");
  assertMatch(v4.text, /From 10\.8\.0\.2 .*Frag needed and DF set \(mtu = 1280\)/);
  const v6 = await l.attempt("ping", "-6", "-c", "1", "-W", "2", "-M", "do", "-s", "1400", "fd09::2");
  assertMatch(v6.text, /From fd08::2 .*Packet too big: mtu=1280/);
  // Without "don't fragment" the router cuts it, and it is put together at both ends.
  await l.linux("sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1");
  await l.linux("ip", "route", "flush", "cache");
  const cut = await l.linux("ping", "-c", "3", "-W", "2", "-M", "dont", "-s", "1400", "10.9.0.2");
  assertStringIncludes(cut, "3 received");
});

test("what Linux as a router says of the MTU is heard, and remembered", 1, async (l) => {
  await addressed(l);
  await l.linux("ip", "link", "add", "v0", "mtu", "1280", "type", "veth", "peer", "name", "v1");
  await l.linux("ip", "addr", "add", "10.9.0.1/24", "dev", "v0");
  await l.linux("ip", "addr", "add", "fd09::1/64", "dev", "v0", "nodad");
  for (const i of ["v0", "v1"]) await l.linux("ip", "link", "set", i, "up");
  await l.linux("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
  for (
    const [prefix, router, to] of [["10.9.0.0/24", "10.7.0.1", "10.9.0.2"], [
      "fd09::/64",
      "fd07::1",
      "fd09::2",
    ]] as const
  ) {
    inetRoute(l.kernel.vnet0, prefix, router);
    const big = async (): Promise<unknown[]> => {
      const [r] = (await ping(l.kernel.vnet0, to, { size: 1400, dontFragment: true })).replies;
      return [r!.answer, r!.from, r!.mtu];
    };
    assertEquals(await big(), ["too big", router, 1280]);
    assertEquals(await big(), ["not sent", undefined, 0]);
  }
});

test("errors for what cannot be reached arrive at Linux", 1, async (l) => {
  await routed(l);
  const noRoute = await l.attempt("ping", "-c", "1", "-W", "2", "10.99.0.1");
  assertMatch(noRoute.text, /From 10\.7\.0\.2 .*Destination Net Unreachable/);
  const noHost = await l.attempt("ping", "-c", "1", "-W", "6", "10.9.0.77");
  assertMatch(noHost.text, /From 10\.8\.0\.2 .*Destination Host Unreachable/);
  const noRoute6 = await l.attempt("ping", "-6", "-c", "1", "-W", "2", "fd99::1");
  assertMatch(noRoute6.text, /From fd07::2 .*Destination unreachable: No route/);
});

test("the Linux interface is deleted under traffic: surprise removal, nothing uncounted", 1, async (l) => {
  await addressed(l);
  const flood = l.attempt("ping", "-f", "-w", "3", "10.7.0.2");
  await until("traffic", () => l.tap.counters.ipackets > 2000);
  assertEquals((await run(["ip", "-n", l.netns, "link", "del", "tap0"])).code, 0);
  await until("the interface to go", () => l.tap.state === "freed");
  assertEquals((await l.kernel.ledger()).unaccounted, 0);
  await flood;
});

test("the namespace is deleted under traffic: surprise removal, nothing uncounted", 1, async (l) => {
  await addressed(l);
  const flood = l.attempt("ping", "-f", "-w", "3", "10.7.0.2");
  await until("traffic", () => l.tap.counters.ipackets > 2000);
  assertEquals((await run(["ip", "netns", "del", l.netns])).code, 0);
  await until("the interface to go", () => l.tap.state === "freed");
  assertEquals((await l.kernel.ledger()).unaccounted, 0);
  await flood;
});

test("the namespace is deleted while nothing comes: surprise removal; others keep theirs", 1, async (l) => {
  const other = `${l.netns}-other`;
  assertEquals((await run(["ip", "netns", "add", other])).code, 0);
  try {
    const [second] = await ifCloneCreate(l.kernel.vnet0, "tap", {
      options: { device: "tap0", netns: other },
    });
    assertEquals((await run(["ip", "netns", "del", l.netns])).code, 0);
    await until("the interface to go", () => l.tap.state === "freed");
    assertEquals(second.state, "attached");
  } finally {
    await run(["ip", "netns", "del", other]);
  }
});

test("the driver is unloaded under traffic: Linux's interface goes", 1, async (l) => {
  await addressed(l);
  const flood = l.attempt("ping", "-f", "-w", "2", "10.7.0.2");
  await until("traffic", () => l.tap.counters.ipackets > 2000);
  await l.kernel.modules.unload("tap", { mode: "drain" });
  assertEquals(l.tap.state, "freed");
  assertEquals((await run(["ip", "-n", l.netns, "link", "show", "tap0"])).code, 1);
  assertEquals((await l.kernel.ledger()).unaccounted, 0);
  await flood;
});

test("an interface that cannot be made leaves no descriptor and nothing in Linux", 1, async (l) => {
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const make = (options: object): Promise<string> =>
    ifCloneCreate(l.kernel.vnet0, "tap", { options }).then(() => "made", (e) => e.code);
  for (const options of [{ netns: `${l.netns}-none` }, { device: "tap1", netns: l.netns, mtu: 1 }]) {
    assertNotEquals(await make(options), "made");
  }
  assertEquals((await run(["ip", "-n", l.netns, "link", "show", "tap1"])).code, 1);
  assertEquals([...Deno.readDirSync("/proc/self/fd")].length, before);
});
