/**
 * ICMP and ICMPv6 errors: which are sent, about what, and how often (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3, RFC 4443).
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Ifnet, Kernel, Vnet } from "../../mod.ts";
import { checksum, pseudoSum, put16 } from "../../vnet/inet/checksum.ts";
import { inetAddress, inetForwarding, inetNeighbour, inetRoute } from "../../vnet/mod.ts";
import { hex, kernel, link, macOf, send, vnets, watch } from "./kit.ts";

interface Rig {
  readonly k: Kernel;
  readonly x: Ifnet;
  readonly y: Ifnet;
  readonly b: Vnet;
  /** Type, code and the second word of each error that came back since the last call. */
  errors(): Promise<[number, number, number][]>;
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 3));

/** The answers to frames that 10.0.0.1 and fd00::1 send by hand to 10.0.0.2 and fd00::2. */
function rig(body: (r: Rig) => Promise<void>): Promise<void> {
  return kernel({ clock: "virtual", debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(y, "10.0.0.2/24");
    await inetAddress(y, "fd00::2/64", { dad: false });
    for (const n of ["10.0.0.1", "fd00::1"]) inetNeighbour(y, n, x.toJSON().mac);
    await turn();
    const seen = watch(x);
    await body({
      k,
      x,
      y,
      b,
      async errors() {
        await turn();
        return seen.frames.splice(0).filter(({ bytes: f, direction }) =>
          direction === "in" && (f[12] === 8 ? f[13] === 0 && f[23] === 1 : f[20] === 58 && f[54]! < 128)
        ).map(({ bytes: f }) => {
          const at = f[12] === 8 ? 34 : 54;
          return [f[at]!, f[at + 1]!, f[at + 4]! << 24 | f[at + 5]! << 16 | f[at + 6]! << 8 | f[at + 7]!];
        });
      },
    });
    await seen.close();
  });
}

/** An IPv4 packet from 10.0.0.1. */
function v4(
  { x, y }: Rig,
  proto: number,
  payload: string,
  o: { to?: string; field?: number; mac?: number[] } = {},
): void {
  const p = hex(payload);
  const f = new Uint8Array(34 + p.length);
  f.set([...(o.mac ?? macOf(y)), ...macOf(x), 8, 0, 0x45, 0, 0, 20 + p.length, 0, 1, 0, 0, 64, proto, 0, 0]);
  put16(f, 20, o.field ?? 0);
  f.set([10, 0, 0, 1, ...(o.to ?? "10.0.0.2").split(".").map(Number)], 26);
  put16(f, 24, checksum(f, 14, 20));
  f.set(p, 34);
  if (proto === 1) put16(f, 36, checksum(f, 34, p.length));
  send(x, f);
}

/** An IPv6 packet from fd00::1 to fd00::2 or a group. */
function v6({ x, y }: Rig, next: number, payload: string, to = `fd${"00".repeat(14)}02`): void {
  const p = hex(payload);
  const f = new Uint8Array(54 + p.length);
  f.set([...macOf(y), ...macOf(x), 0x86, 0xdd, 0x60, 0, 0, 0, 0, p.length, next, 64]);
  f.set(hex(`fd${"00".repeat(14)}01${to}`), 22);
  f.set(p, 54);
  if (next === 17) put16(f, 60, checksum(f, 54, p.length, pseudoSum(f, 22, 32, 17, p.length)));
  send(x, f);
}

const UDP = "0009000900080000";

Deno.test("errors are limited: a hundred at once, a thousand a second", () =>
  rig(async (r) => {
    const told: number[] = [];
    for (let n = 0; n < 3; n++) {
      for (let i = 0; i < 40; i++) v4(r, 17, UDP);
      told.push((await r.errors()).length);
    }
    assertEquals(told, [40, 40, 20]);
    r.k.advance(20);
    await turn();
    for (let i = 0; i < 40; i++) v4(r, 17, UDP);
    assertEquals((await r.errors()).length, 20);
    assertEquals((await r.k.ledger()).dropped.nosocket! >= 160, true, "the packets are counted, told or not");
  }));

Deno.test("IPv4: unreachable port and protocol; silence about errors, groups, broadcasts, later fragments", () =>
  rig(async (r) => {
    v4(r, 17, UDP);
    assertEquals(await r.errors(), [[3, 3, 0]]);
    v4(r, 132, "0000000000000000");
    assertEquals(await r.errors(), [[3, 2, 0]]);
    v4(r, 17, UDP, { to: "10.0.0.255", mac: [255, 255, 255, 255, 255, 255] });
    v4(r, 17, UDP, { to: "255.255.255.255", mac: [255, 255, 255, 255, 255, 255] });
    v4(r, 17, UDP, { to: "224.0.0.1", mac: [1, 0, 0x5e, 0, 0, 1] });
    v4(r, 17, UDP, { mac: [255, 255, 255, 255, 255, 255] });
    v4(r, 1, `0301000000000000${"00".repeat(28)}`);
    inetForwarding(r.b, true);
    inetRoute(r.b, "10.9.0.0/16", "reject");
    v4(r, 17, UDP, { to: "10.9.0.1", field: 5 });
    assertEquals(await r.errors(), []);
    v4(r, 17, UDP, { to: "10.9.0.1" });
    v4(r, 17, UDP, { to: "10.99.0.1" });
    assertEquals(await r.errors(), [[3, 1, 0], [3, 0, 0]]);
  }));

Deno.test("IPv6: no route, no port, and which field is the problem", () =>
  rig(async (r) => {
    const cases: [string, () => void, [number, number, number][]][] = [
      ["no port", () => v6(r, 17, UDP), [[1, 4, 0]]],
      ["unknown next header", () => v6(r, 132, "00".repeat(8)), [[4, 1, 6]]],
      ["the same behind an option that may be skipped", () => v6(r, 60, `84001e04${"00".repeat(12)}`), [[
        4,
        1,
        40,
      ]]],
      ["an option that wants an answer", () => v6(r, 60, `1100800400000000${UDP}`), [[4, 2, 42]]],
      [
        "an option that may be skipped",
        () => v6(r, 60, `1100000400000000${UDP}`.replace("0000", "0001")),
        [],
      ],
      ["an option that forbids, silently", () => v6(r, 60, `1100400400000000${UDP}`), []],
      ["a routing header with a hop left", () => v6(r, 43, `1100000100000000${UDP}`), [[4, 0, 42]]],
      ["to a group", () => v6(r, 17, UDP, "ff020000000000000000000000000001"), []],
    ];
    for (const [name, fn, want] of cases) {
      fn();
      assertEquals(await r.errors(), want, name);
    }
    inetForwarding(r.b, true);
    v6(r, 17, UDP, `fd99${"00".repeat(13)}02`);
    assertEquals(await r.errors(), [[1, 0, 0]]);
  }));
