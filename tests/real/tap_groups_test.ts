/**
 * Linux as the router that asks who hears which group: a bridge that snoops IGMP and MLD, and queries.
 *
 * Needs root, /dev/net/tun, iproute2, tshark and a kernel with bridges; skips with a reason.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { inetAddress, udpOpen } from "../../vnet/mod.ts";
import { runs } from "./run.ts";
import { type Lab, lab, missing } from "./tap_linux.ts";

function why(): string | undefined {
  const tools = missing(["bridge", "-V"]);
  if (tools !== undefined) return tools;
  const name = `softcbr${Deno.pid % 1e6}`;
  if (!runs(["ip", "link", "add", name, "type", "bridge", "mcast_snooping", "1"])) {
    return "it needs a kernel with bridges";
  }
  runs(["ip", "link", "del", name]);
  return undefined;
}

const reason = why();
if (reason !== undefined) console.log(`skipped: groups against Linux through a tap: ${reason}`);

/** Waits until Linux's answer to a command passes. */
async function linuxSays(l: Lab, command: string, passes: (text: string) => boolean): Promise<void> {
  let text = "";
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    text = await l.linux(...command.split(" "));
    if (passes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not within 10 s: ${command}: ${text}`);
}

/** How many reports of a version Linux has received through the tap. */
function reports(text: string, protocol: "IGMP" | "MLD", version: number): number {
  return Number(new RegExp(`${protocol} reports:\\s*RX:.* v${version} (\\d+)`).exec(text)![1]);
}

for (const [igmp, mld] of [[3, 2], [2, 1]] as const) {
  Deno.test({
    name:
      `Linux's IGMPv${igmp} and MLDv${mld} know the groups that are heard, and forget those that are left`,
    ignore: reason !== undefined,
    fn: () =>
      lab({ cpus: 2 }, async (l) => {
        const bridge = "mcast_snooping 1 mcast_querier 1 mcast_stats_enabled 1 mcast_query_interval 100 " +
          "mcast_startup_query_interval 50 mcast_query_response_interval 50 mcast_last_member_interval 20 " +
          `mcast_igmp_version ${igmp} mcast_mld_version ${mld}`;
        await l.linux("ip", "link", "add", "br0", "type", "bridge", ...bridge.split(" "));
        await l.linux("ip", "link", "set", "tap0", "master", "br0");
        await l.linux("ip", "addr", "add", "10.7.0.1/24", "dev", "br0");
        await l.linux("ip", "addr", "add", "fd07::1/64", "dev", "br0", "nodad");
        for (const i of ["tap0", "br0"]) await l.linux("ip", "link", "set", i, "up");
        await inetAddress(l.tap, "10.7.0.2/24");
        await inetAddress(l.tap, "fd07::2/64", { dad: false });
        const four = udpOpen(l.kernel.vnet0, { port: 5000 });
        const six = udpOpen(l.kernel.vnet0, { port: 5000, family: 6 });
        four.join("239.1.2.3", l.tap);
        six.join("ff05::1234", l.tap);
        const groups = ["239.1.2.3", "ff05::1234", "ff02::1:ff00:2"];
        const has = (text: string, g: string): boolean =>
          text.split("\n").some((line) => line.includes("port tap0") && line.includes(`grp ${g} `));
        await linuxSays(l, "bridge mdb show dev br0", (t) => groups.every((g) => has(t, g)));
        // The querier of this version was understood: what it asks is answered in its version.
        const stats = "ip -s link xstats type bridge_slave dev tap0";
        const heard = (t: string): [number, number] => [reports(t, "IGMP", igmp), reports(t, "MLD", mld)];
        const [v4, v6] = heard(await l.linux(...stats.split(" ")));
        await linuxSays(l, stats, (t) => heard(t)[0] > v4 + 1 && heard(t)[1] > v6 + 1);
        assertEquals((await l.linux(...stats.split(" "))).match(/parse errors: [1-9]/), null);
        // What Linux sends to a group arrives; to another one it does not leave the bridge.
        const sender = [
          "-c",
          "echo -n hello | socat - UDP4-DATAGRAM:239.1.2.3:5000,ip-multicast-if=10.7.0.1",
        ];
        await l.linux("sh", ...sender);
        const d = await four.receive(5000);
        assertEquals([new TextDecoder().decode(d?.data), d?.to], ["hello", "239.1.2.3"]);
        assert(four.leave("239.1.2.3", l.tap));
        assert(six.leave("ff05::1234", l.tap));
        await linuxSays(
          l,
          "bridge mdb show dev br0",
          (t) => groups.map((g) => has(t, g)).join() === "false,false,true",
        );
        four.close();
        six.close();
      }),
  });
}
