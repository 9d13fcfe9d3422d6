import { assertEquals } from "@std/assert";
import type { Ifnet, Vnet } from "../../mod.ts";
import { inetAddress, inetForwarding, inetRoute, ping, udpOpen } from "../../vnet/mod.ts";
import { PathMtus } from "../../vnet/inet/path_mtu.ts";
import { kernel, link, vnets } from "./kit.ts";

for (const family of [4, 6] as const) {
  Deno.test(`IPv${family}: what a router says of the way is remembered for ten minutes (RFC 1191, RFC 8201)`, () =>
    kernel({ clock: "virtual", debug: true }, async (k) => {
      const [a, r, b] = await vnets(k, "a", "r", "b") as [Vnet, Vnet, Vnet];
      const [a0, r0] = await link(a, r);
      const [b0, r1] = await link(b, r);
      const net = (n: number, h: number): string => family === 4 ? `10.${n}.0.${h}` : `fd0${n}::${h}`;
      const give = (i: Ifnet, n: number, h: number): Promise<unknown> =>
        inetAddress(i, `${net(n, h)}/${family === 4 ? 24 : 64}`, { dad: false });
      await give(a0, 1, 2);
      await give(r0, 1, 1);
      await give(r1, 2, 1);
      await give(b0, 2, 2);
      const all = family === 4 ? "0.0.0.0/0" : "::/0";
      inetRoute(a, all, net(1, 1));
      inetRoute(b, all, net(2, 1));
      inetForwarding(r, true);
      await r1.set({ mtu: 1280 });
      const to = net(2, 2);
      const big = async (): Promise<[string, number]> => {
        const [x] = (await ping(a, to, { size: 1400, dontFragment: true })).replies;
        return [x!.answer, x!.mtu];
      };
      assertEquals(await big(), ["too big", 1280]);
      assertEquals(await big(), ["not sent", 0], "EMSGSIZE, as Linux says");
      assertEquals((await ping(a, to, { size: 1400 })).received, 1);
      const server = udpOpen(b, { port: 7, family });
      const client = udpOpen(a, { connect: { address: to, port: 7 } });
      assertEquals(client.send(new Uint8Array(1400)), 0);
      assertEquals((await server.receive())?.data.length, 1400);
      assertEquals((await k.ledger()).dropped.toobig, 1, "the router has not seen another one");
      k.advance(600_000);
      assertEquals(await big(), ["too big", 1280]);
    }));
}

Deno.test("what is said of ways is bounded: 64 destinations, never less than a link takes, never more than before", () => {
  const known = new PathMtus();
  for (let i = 0; i < 100; i++) known.learn(0, [i + 1, 0, 0, 0], 1000, 0);
  const left = Array.from({ length: 100 }, (_, i) => known.of(0, [i + 1, 0, 0, 0], 1)).filter((x) =>
    x === 1000
  );
  assertEquals(left.length, 64);
  known.learn(0, [100, 0, 0, 0], 1400, 1);
  assertEquals(known.of(0, [100, 0, 0, 0], 1), 1000);
  known.learn(0, [100, 0, 0, 0], 68, 1);
  assertEquals(known.of(0, [100, 0, 0, 0], 1), 552);
  known.learn(1, [1, 2, 3, 4], 100, 1);
  assertEquals(known.of(1, [1, 2, 3, 4], 1), 1280);
  known.learn(0, [7, 7, 0, 0], 0, 1);
  assertEquals(known.of(0, [7, 7, 0, 0], 1), Infinity);
});
