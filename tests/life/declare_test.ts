import { assertEquals, assertRejects } from "@std/assert";
import { boot, ifCloneCreate } from "../../mod.ts";

/** Declares what its options say; it has four output queues. */
const DRIVER = new URL(
  `data:text/javascript,${
    encodeURIComponent(`export default {
      name: "decl", api: 1, cloner: "decl", queues: 4,
      attach(dev) { dev.ifnet(dev.options); return {}; },
      transmit: (_sc, b) => b.freeAll(),
    };`)
  }`,
);

Deno.test("what a driver declares of its interface is checked: queues, capabilities, MTU, type", async () => {
  const k = await boot({ debug: true });
  await k.modules.load(DRIVER);
  const make = async (o: object): Promise<{ queues: number; capabilities: readonly string[] }> => {
    const [i] = await ifCloneCreate(k.vnet0, "decl", { options: { type: "ether", ...o } });
    const { queues, capabilities } = i.toJSON();
    return { queues, capabilities };
  };
  assertEquals(await make({}), { queues: 4, capabilities: [] });
  assertEquals(await make({ queues: 2 }), { queues: 2, capabilities: [] });
  assertEquals(await make({ capabilities: ["txcsum"] }), { queues: 4, capabilities: ["txcsum"] });
  const wrong: [what: string, o: object][] = [
    ["the queues", { queues: 0 }],
    ["the queues", { queues: 5 }],
    ["the queues", { queues: 1.5 }],
    ["a capability", { capabilities: ["tso"] }],
    ["a capability", { capabilities: ["constructor"] }],
    ["the MTU", { mtu: 71 }],
    ["the MAC address", { mac: [1, 2, 3] }],
    ["the type", { type: "token ring" }],
  ];
  for (const [what, o] of wrong) {
    const e = await assertRejects(() => make(o), Error, "SOFTC_DEV_IFNET");
    assertEquals(e.message.includes(what), true, e.message);
  }
  const { leaks, unaccounted } = await k.shutdown();
  assertEquals([leaks, unaccounted], [[], 0]);
});
