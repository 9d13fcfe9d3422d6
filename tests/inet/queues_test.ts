import { assert, assertEquals } from "@std/assert";
import { inetAddress, inetNeighbour, udpOpen } from "../../vnet/mod.ts";
import { poll } from "../helpers/leaks.ts";
import type { Sent } from "../plugins/two_queues.ts";
import { kernel } from "./kit.ts";

Deno.test("the stack spreads its flows over an interface's queues; each flow stays on one, in order", () =>
  kernel({ cpus: 1 }, async (k) => {
    await k.modules.load(new URL("../plugins/two_queues.ts", import.meta.url));
    const sent: Sent[] = [];
    const resource = { sent } as object;
    const device = await k.devices.plug({ bus: "twoqueues", address: "0" }, { resource });
    const nic = device.ifnets[0]!;
    await nic.up();
    await inetAddress(nic, "10.0.0.1/24", { dad: false });
    inetNeighbour(nic, "10.0.0.2", "02:00:00:00:00:77");
    const sockets = Array.from(
      { length: 8 },
      (_, i) => udpOpen(k.vnet0, { port: 100 + i, connect: { address: "10.0.0.2", port: 9 } }),
    );
    for (let n = 0; n < 20; n++) {
      for (const s of sockets) assertEquals(s.send(Uint8Array.of(n)), 0);
    }
    const udp = (): Sent[] => sent.filter(({ bytes }) => bytes[12] === 8 && bytes[23] === 17);
    assert(await poll(() => udp().length === 160, 5000), `${udp().length} of 160 datagrams`);
    const used = sockets.map((_, i) => {
      const mine = udp().filter(({ bytes }) => bytes[35] === 100 + i);
      assertEquals(mine.map(({ bytes }) => bytes[42]), Array.from({ length: 20 }, (_, n) => n));
      return new Set(mine.map((p) => p.queue));
    });
    assertEquals(used.map((q) => q.size), new Array(8).fill(1));
    assertEquals(new Set(used.flatMap((q) => [...q])), new Set([0, 1]));
    for (const s of sockets) s.close();
  }));
