/**
 * The stack under full traffic on every CPU, in debug mode: what is changed, moved and taken away meanwhile is
 * never touched after it was freed, and every packet is accounted for.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ifCloneCreate, ifCloneDestroy, type Ifnet, ifVmove, pktgen, type Vnet } from "../../mod.ts";
import { checksum, pseudoSum, put16 } from "../../vnet/inet/checksum.ts";
import {
  inetAddress,
  inetForwarding,
  inetNeighbour,
  inetNeighbours,
  inetRoute,
  udpOpen,
} from "../../vnet/mod.ts";
import { hex, kernel, link, macOf, until, vnets } from "./kit.ts";

/** A UDP datagram from 10.1.0.2 in a frame to an interface. */
function datagram(from: Ifnet, to: Ifnet, destination: string): Uint8Array {
  const f = new Uint8Array(64);
  f.set([...macOf(to), ...macOf(from), 8, 0]);
  f.set(hex("4500003200000000401100000a010002"), 14);
  f.set(destination.split(".").map(Number), 30);
  put16(f, 24, checksum(f, 14, 20));
  f.set(hex("00070007001e0000"), 34);
  put16(f, 40, checksum(f, 34, 30, pseudoSum(f, 26, 8, 17, 30)));
  return f;
}

/** At least `least` times, however slow the machine is, and on until `ms` have passed. */
async function rounds(least: number, ms: number, fn: (n: number) => Promise<void>): Promise<void> {
  const end = performance.now() + ms;
  for (let n = 0; n < least || performance.now() < end; n++) await fn(n);
}

/** a - r - b, r a router, a's senders at full rate on every CPU to 10.2.0.2 behind it. */
async function flooded(
  cpus: number,
  body: (net: { r: Vnet; b: Vnet; a0: Ifnet; r0: Ifnet; r1: Ifnet; b0: Ifnet }) => Promise<void>,
): Promise<void> {
  await kernel({ cpus, debug: true }, async (k) => {
    const [a, r, b] = await vnets(k, "a", "r", "b") as [Vnet, Vnet, Vnet];
    const [a0, r0] = await link(a, r);
    const [b0, r1] = await link(b, r);
    for (const [i, cidr] of [[r0, "10.1.0.1/24"], [r1, "10.2.0.1/24"], [b0, "10.2.0.2/24"]] as const) {
      await inetAddress(i, cidr);
    }
    inetForwarding(r, true);
    const g = await pktgen({ vnet: a, ifnet: a0, frame: datagram(a0, r0, "10.2.0.2") });
    try {
      await body({ r, b, a0, r0, r1, b0 });
    } finally {
      await g.stop();
    }
    const l = await k.ledger();
    assertEquals(l.unaccounted, 0);
    for (const n of l.perCpu) assert(n > 0, "every CPU runs the stack");
  });
}

for (const cpus of [1, 2]) {
  Deno.test(`routes and addresses change under forwarding (${cpus} CPU)`, () =>
    flooded(cpus, async ({ r, r0, r1, b0 }) => {
      await rounds(20, 800, async (i) => {
        const route = inetRoute(r, `10.${10 + i % 200}.0.0/16`, i % 2 === 0 ? "reject" : "10.2.0.2");
        const second = await inetAddress(r1, "10.3.0.1/24");
        if (i % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 0));
        assert(second.remove());
        assert(route.remove());
      });
      assert(b0.counters.ipackets > 0 && r0.counters.ipackets > 0);
    }));

  Deno.test(`a neighbour's address changes under forwarding (${cpus} CPU)`, () =>
    flooded(cpus, async ({ r1, b0 }) => {
      await until("the neighbour", () => inetNeighbours(r1).some((n) => n.state === "reachable"));
      const b = b0.counters.ipackets;
      await rounds(20, 500, async (i) => {
        // Odd rounds: a MAC address that nobody has. A torn one would reach somebody else.
        inetNeighbour(r1, "10.2.0.2", i % 2 === 0 ? b0.toJSON().mac : "02:ff:ff:ff:ff:fe");
        await new Promise((resolve) => setTimeout(resolve, 0));
      });
      assert(b0.counters.ipackets > b);
    }));

  Deno.test(`[B49] the way out moves between vnets under forwarding: nothing leaves under the other vnet (${cpus} CPU)`, () =>
    flooded(cpus, async ({ r, b, r1, b0 }) => {
      let now = r1;
      await rounds(4, 800, async () => {
        now = (await ifVmove(now, b, { name: "away" })).ifnet;
        const before = b0.counters.ipackets;
        await new Promise((resolve) => setTimeout(resolve, 1));
        assertEquals(b0.counters.ipackets, before, "it is in the other vnet now");
        now = (await ifVmove(now, r)).ifnet;
        await inetAddress(now, "10.2.0.1/24");
        await until("traffic", () => b0.counters.ipackets > before);
      });
    }));

  Deno.test(`[B14 B15] the way out is destroyed and made again under forwarding (${cpus} CPU)`, () =>
    flooded(cpus, async ({ r, b, b0 }) => {
      await ifCloneDestroy(b0);
      await rounds(4, 800, async () => {
        const [x, y] = await link(b, r);
        await inetAddress(x, "10.2.0.2/24");
        await inetAddress(y, "10.2.0.1/24");
        await until("traffic", () => x.counters.ipackets > 0);
        await ifCloneDestroy(y);
      });
    }));

  Deno.test(`sockets open and close under traffic (${cpus} CPU)`, () =>
    flooded(cpus, async ({ b }) => {
      let got = 0;
      await rounds(1, 500, async () => {
        const s = udpOpen(b, { port: 7, buffer: 64 });
        if (await s.receive(20) !== undefined) got++;
        s.close();
      });
      assert(got > 0, "datagrams came");
    }));

  Deno.test(`holding, resolving and giving up on every CPU at once (${cpus} CPU)`, () =>
    flooded(cpus, async ({ r, r1, b0 }) => {
      await rounds(1, 600, async (i) => {
        // The neighbour is forgotten with its interface's data, and asked for again by whoever is first.
        const [x, y] = await ifCloneCreate(r, "epair", { name: "spare" }) as [Ifnet, Ifnet];
        await x.up();
        await y.up();
        await inetAddress(x, "10.4.0.1/24");
        const route = inetRoute(r, "10.2.0.2/32", i % 2 === 0 ? "10.4.0.9" : x);
        await new Promise((resolve) => setTimeout(resolve, 1));
        await ifCloneDestroy(x);
        assertEquals(route.remove(), false, "it went with its interface");
      });
      assert(r1.counters.opackets > 0 && b0.counters.ipackets > 0);
    }));
}
