/**
 * Behaviours of FreeBSD's stack above the interface, by their numbers, and the races that broke them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { load } from "../../core/doors/arena.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { AF, afdata, afdataWord } from "../../core/net/domain.ts";
import type { NetSection } from "../../core/net/section.ts";
import {
  epochOpen,
  ifCloneCreate,
  ifDetach,
  type Ifnet,
  ifnetByHandle,
  ifunit,
  type Vnet,
} from "../../mod.ts";
import { ownKernel } from "../../kernel/api.ts";
import { AFDATA } from "../../vnet/inet/domain.ts";
import { inetAddress, inetForwarding, inetRoute, ping, udpOpen } from "../../vnet/mod.ts";
import { kernel, link, until, vnets } from "./kit.ts";

Deno.test("[B14 B15] afdata that a section found stays valid to its end, while the interface is detached (R01, R02)", () =>
  kernel({ debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x] = await link(a, b);
    await inetAddress(x, "fd00::1/64", { dad: false });
    const section = epochOpen(k, "a reader that takes its time");
    const data = a.section((s) => afdata(s as NetSection, ifunit(s, x.name)!, AF.inet6));
    let gone = false;
    const detached = ifDetach(x).then(() => gone = true);
    await until("unlink", () => k.resolve(x.handle) !== "live");
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      // In debug mode a freed word would throw here.
      a.section((s) => {
        assertEquals(afdataWord(s as NetSection, data, AFDATA.hopLimit), 64);
        assertEquals(afdataWord(s as NetSection, data, AFDATA.mtu), 1500);
        assertEquals(ifnetByHandle(s, x.handle), undefined);
      });
    }
    assertEquals(gone, false);
    section.close();
    await detached;
  }));

Deno.test("[B16] an interface that is found by name, index or event has its afdata", () =>
  kernel({ debug: true }, async (k) => {
    const { arena, events } = ownKernel(k);
    const seen: number[] = [];
    const off = events.listen((e) => {
      if (e.type !== "arrival") return;
      const i = k.ifnets.find((i) => i.name === e.name)!;
      for (const f of [AF.inet, AF.inet6]) {
        seen.push(load(arena.a, arena.ifnetAt(i.index) + IFNET.afdata + f));
      }
    });
    await ifCloneCreate(k.vnet0, "epair");
    off();
    assertEquals(seen.length, 4);
    assert(seen.every((block) => block > 0));
  }));

Deno.test("[B50 B51] output through an interface that is down or gone consumes the packet and counts it (R03)", () =>
  kernel({ debug: true }, async (k) => {
    const [a, r, b] = await vnets(k, "a", "r", "b") as [Vnet, Vnet, Vnet];
    const [a0, r0] = await link(a, r);
    const [b0, r1] = await link(b, r);
    for (
      const [i, cidr] of [[a0, "10.1.0.2/24"], [r0, "10.1.0.1/24"], [r1, "10.2.0.1/24"], [
        b0,
        "10.2.0.2/24",
      ]] as [
        Ifnet,
        string,
      ][]
    ) await inetAddress(i, cidr);
    inetForwarding(r, true);
    inetRoute(a, "0.0.0.0/0", "10.1.0.1");
    inetRoute(b, "0.0.0.0/0", "10.2.0.1");
    assertEquals((await ping(a, "10.2.0.2")).received, 1);
    await r1.down();
    const socket = udpOpen(a, { connect: { address: "10.2.0.2", port: 9 } });
    for (let i = 0; i < 10; i++) assertEquals(socket.send(new Uint8Array(8)), 0);
    assertEquals((await k.ledger()).dropped.down, 10, "the egress is down");
    await a0.down();
    for (let i = 0; i < 10; i++) socket.send(new Uint8Array(8));
    assertEquals((await k.ledger()).dropped.down, 20, "its own interface is down");
    await a0.up();
    await ifDetach(r1);
    socket.send(new Uint8Array(8));
    await until("an answer", () => socket.error !== undefined);
    const l = await k.ledger();
    assertEquals([socket.error!.type, l.dropped.noroute, l.unaccounted], [3, 1, 0], "the egress is gone");
    await ifDetach(a0);
    assertEquals(socket.send(new Uint8Array(8)), 51);
    socket.close();
  }));

Deno.test("[B55] what names a received packet's interface is weak: it resolves to what became of it (R04, R05)", () =>
  kernel({ debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(x, "10.0.0.1/24");
    await inetAddress(y, "10.0.0.2/24");
    const server = udpOpen(b, { port: 7 });
    const client = udpOpen(a, { connect: { address: "10.0.0.2", port: 7 } });
    client.send(new Uint8Array(3));
    const d = (await server.receive(1000))!;
    assertEquals([d.ifnet, k.resolve(d.ifnet)], [y.handle, "live"]);
    await ifDetach(y);
    const [z] = await ifCloneCreate(b, "epair");
    assertEquals(z.index, y.index, "the same slot");
    assertEquals(k.resolve(d.ifnet), "reused");
    b.section((s) => assertEquals(ifnetByHandle(s, d.ifnet), undefined));
    server.close();
    client.close();
  }));
