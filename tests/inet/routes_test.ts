import { assertEquals } from "@std/assert";
import { AF } from "../../core/net/domain.ts";
import { type Address, maskAddress, parsePrefix, sameAddress } from "../../vnet/inet/address.ts";
import { ROUTE } from "../../vnet/inet/layout.ts";
import { routeLookup, type RouteRow, routeWords, writeRoutes } from "../../vnet/inet/routes.ts";

function row(cidr: string, index: number): RouteRow {
  const { address, plen } = parsePrefix(cidr);
  return { prefix: address, plen, flags: 0, index, gencnt: 1, gateway: [0, 0, 0, 0], source: [0, 0, 0, 0] };
}

function table(rows: readonly RouteRow[]): (x: Address) => number {
  const a = new Int32Array(routeWords(rows) + 16);
  writeRoutes(a, 16, rows);
  return (x) => {
    const e = routeLookup(a, 16, ...x);
    return e === 0 ? 0 : a[e + ROUTE.index]!;
  };
}

Deno.test("the longest prefix wins, whatever the order", () => {
  const cidrs = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.168.0.0/15"];
  const look = table([...cidrs].reverse().map((c, i) => row(c, cidrs.length - i)));
  const to = (text: string): string | undefined => cidrs[look(parsePrefix(text).address) - 1];
  assertEquals(to("10.1.2.3"), "10.1.2.3/32");
  assertEquals(to("10.1.2.4"), "10.1.2.0/24");
  assertEquals(to("10.1.3.4"), "10.1.0.0/16");
  assertEquals(to("10.255.255.255"), "10.0.0.0/8");
  assertEquals(to("192.169.255.255"), "192.168.0.0/15");
  assertEquals(to("255.255.255.255"), "0.0.0.0/0");
});

Deno.test("look-ups in random tables agree with a search of every row", () => {
  let seed = 12345;
  const random = (): number => (seed = Math.imul(seed, 1103515245) + 12345 | 0) >>> 8;
  const word = (): number => random() << 12 ^ random();
  for (const family of [AF.inet, AF.inet6]) {
    for (let round = 0; round < 20; round++) {
      const max = family === AF.inet ? 32 : 128;
      const pick = (): Address =>
        family === AF.inet
          ? [word() & 0x0f0f00ff, 0, 0, 0]
          : [word() & 7, word() & 1, word() & 3, word() & 15];
      const rows = Array.from({ length: 60 }, (_, i): RouteRow => ({
        ...row("0.0.0.0/0", i + 1),
        prefix: pick(),
        plen: random() % (max + 1),
      }));
      const look = table(rows);
      for (let n = 0; n < 200; n++) {
        const x = n % 2 === 0 ? pick() : rows[random() % rows.length]!.prefix;
        const fits = rows.filter((r) => sameAddress(maskAddress(r.prefix, r.plen), maskAddress(x, r.plen)));
        const longest = Math.max(-1, ...fits.map((r) => r.plen));
        const first = fits.find((r) => r.plen === longest);
        assertEquals(look(x), first?.index ?? 0, `seed 12345, round ${round}, look-up ${n}`);
      }
    }
  }
});
