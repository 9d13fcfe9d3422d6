import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ifCloneDestroy, ifDetach, SoftcError, type Vnet, vnetDestroy } from "../../mod.ts";
import { inetAddress, ping, udpOpen } from "../../vnet/mod.ts";
import { kernel, link, until, vnets } from "./kit.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (b: Uint8Array | undefined): string => new TextDecoder().decode(b);

for (const cpus of [1, 2]) {
  Deno.test(`a socket is an async iterator of datagrams, in order (${cpus} CPU)`, () =>
    kernel({ cpus, debug: true }, async (k) => {
      const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
      const [x, y] = await link(a, b);
      await inetAddress(x, "10.0.0.1/24");
      await inetAddress(y, "10.0.0.2/24");
      const server = udpOpen(b, { port: 7 });
      const client = udpOpen(a, { connect: { address: "10.0.0.2", port: 7 } });
      const got: string[] = [];
      const done = (async () => {
        for await (const d of server) {
          got.push(`${d.address}:${d.port} ${text(d.data)}`);
          if (got.length === 100) break;
        }
      })();
      for (let i = 0; i < 100; i++) {
        assertEquals(client.send(bytes(`${i}`)), 0);
        if (i % 16 === 0) await new Promise((r) => setTimeout(r, 0));
      }
      await done;
      assertEquals(got, Array.from({ length: 100 }, (_, i) => `10.0.0.1:${client.port} ${i}`));
      const e = assertThrows(() => server.send(bytes("x"), { address: "10.0.0.1", port: 1 })) as {
        code?: string;
      };
      assertEquals(e.code, "SOFTC_INET_CLOSED", "leaving the loop closed it");
    }));
}

Deno.test("a reader that does not keep up loses datagrams, and each is counted", () =>
  kernel({}, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(x, "10.0.0.1/24");
    await inetAddress(y, "10.0.0.2/24");
    const server = udpOpen(b, { port: 7, buffer: 10 });
    const client = udpOpen(a, { connect: { address: "10.0.0.2", port: 7 } });
    client.send(bytes("first"));
    await server.receive(1000);
    for (let i = 0; i < 500; i++) client.send(bytes(`${i}`));
    await until("drops", () => server.dropped > 0);
    assertEquals(server.dropped, 500 - 128, "what a ring holds");
    assertEquals((await k.ledger()).dropped.full, server.dropped);
    server.close();
    await until("the rest", () => true);
  }));

Deno.test("the socket that fits best gets a datagram: connected before bound before any", () =>
  kernel({ debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(x, "10.0.0.1/24");
    await inetAddress(y, "10.0.0.2/24");
    await inetAddress(y, "10.0.0.3/24");
    const any = udpOpen(b, { port: 7, reuse: true });
    const bound = udpOpen(b, { port: 7, address: "10.0.0.2", reuse: true });
    const client = udpOpen(a, { port: 99 });
    const connected = udpOpen(b, {
      port: 7,
      address: "10.0.0.2",
      reuse: true,
      connect: { address: "10.0.0.1", port: 99 },
    });
    const other = udpOpen(a, {});
    client.send(bytes("to connected"), { address: "10.0.0.2", port: 7 });
    other.send(bytes("to bound"), { address: "10.0.0.2", port: 7 });
    other.send(bytes("to any"), { address: "10.0.0.3", port: 7 });
    for (
      const [socket, want] of [[connected, "to connected"], [bound, "to bound"], [any, "to any"]] as const
    ) {
      assertEquals(text((await socket.receive(1000))?.data), want);
      assertEquals(await socket.receive(5), undefined);
    }
  }));

for (
  const [family, group, p] of [[4, "224.1.2.3", ["10.0.0.1/24", "10.0.0.2/24"]], [6, "ff02::1234", [
    "fd00::1/64",
    "fd00::2/64",
  ]]] as const
) {
  Deno.test(`every member of a group gets a datagram over IPv${family}, others do not`, () =>
    kernel({ debug: true }, async (k) => {
      const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
      const [x, y] = await link(a, b);
      await inetAddress(x, p[0], { dad: false });
      await inetAddress(y, p[1], { dad: false });
      const members = [0, 1, 2].map(() => udpOpen(b, { port: 5353, reuse: true, family }));
      const stranger = udpOpen(b, { port: 5353, reuse: true, family });
      for (const m of members) m.join(group, y);
      const copies = (await k.ledger()).born.copy;
      udpOpen(a, { family }).send(bytes("all"), { address: group, port: 5353 });
      for (const m of members) assertEquals(text((await m.receive(1000))?.data), "all");
      assertEquals(await stranger.receive(10), undefined);
      assertEquals((await k.ledger()).born.copy - copies, 3, "a copy is a birth");
      assertEquals(members[0]!.leave(group, y), true);
      assertEquals(members[0]!.leave(group, y), false);
    }));
}

Deno.test("broadcast reaches sockets: to all, and to the subnet", () =>
  kernel({ debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(x, "10.0.0.1/24");
    await inetAddress(y, "10.0.0.2/24");
    const server = udpOpen(b, { port: 67 });
    const client = udpOpen(a, {});
    for (const to of ["255.255.255.255", "10.0.0.255"]) {
      client.send(bytes(to), { address: to, port: 67 });
      const d = await server.receive(1000);
      assertEquals([text(d?.data), d?.to], [to, to]);
    }
  }));

Deno.test("what is promised never throws: ping and receive reject with what is wrong", () =>
  kernel({}, async (k) => {
    const [a] = await vnets(k, "a") as [Vnet];
    const socket = udpOpen(a, { port: 7 });
    const first = socket.receive();
    const codes: string[] = [];
    for (
      const call of [() => ping({} as Vnet, "10.0.0.1"), () => ping(a, "nowhere"), () => socket.receive()]
    ) {
      codes.push((await assertRejects(call, SoftcError)).code);
    }
    assertEquals(codes, ["SOFTC_VNET_ARGUMENT", "SOFTC_INET_ARGUMENT", "SOFTC_INET_ARGUMENT"]);
    socket.close();
    assertEquals(await first, undefined);
  }));

for (const how of ["detach", "destroy", "vnet"] as const) {
  Deno.test(`R32: a membership outlives its interface (${how}): leaving later touches nothing`, () =>
    kernel({ debug: true }, async (k) => {
      const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
      const [x, y] = await link(a, b);
      await inetAddress(y, "10.0.0.2/24");
      const socket = udpOpen(b, { port: 5353 });
      socket.join("224.1.2.3", y);
      if (how === "detach") await ifDetach(y);
      else if (how === "destroy") await ifCloneDestroy(x);
      else await vnetDestroy(b);
      if (how === "vnet") {
        assertEquals(await socket.receive(), undefined, "it closed with its vnet");
        socket.close();
        return;
      }
      // A new interface in the same slot is not joined.
      const [, z] = await link(a, b);
      assertEquals(socket.leave("224.1.2.3", z), false);
      assertEquals(socket.leave("224.1.2.3", y), true);
      socket.close();
    }));
}

Deno.test("large datagrams are cut and put together; the largest is 65,507 bytes", () =>
  kernel({ debug: true }, async (k) => {
    const [a, b] = await vnets(k, "a", "b") as [Vnet, Vnet];
    const [x, y] = await link(a, b);
    await inetAddress(x, "10.0.0.1/24");
    await inetAddress(y, "10.0.0.2/24");
    const server = udpOpen(b, { port: 7 });
    const client = udpOpen(a, { connect: { address: "10.0.0.2", port: 7 } });
    client.send(bytes("hello"));
    await server.receive(1000);
    for (const size of [1472, 1473, 9000, 65507]) {
      const data = Uint8Array.from({ length: size }, (_, i) => i * 7);
      assertEquals(client.send(data), 0);
      assertEquals((await server.receive(1000))?.data, data);
    }
    assertEquals(client.send(new Uint8Array(65508)), 40);
    const { born, ended } = await k.ledger();
    assertEquals(born.split, ended.merged);
  }));
