/** Pulling out and plugging back in. */
import { assert, assertEquals } from "@std/assert";
import { planLab } from "../../control/lab/plan.ts";
import { parseLab } from "../../control/mod.ts";
import { until, untilAsync } from "../core/kit.ts";
import { type Json, softc, withApi, withSession } from "./helper.ts";

const LAB = {
  vnets: { a: { routes: [{ to: "10.9.0.0/16", via: "10.0.0.2" }] }, b: { discard: true } },
  interfaces: [{ name: "lo0", vnet: "a", cloner: "lo", mtu: 900, up: false }],
  links: [{
    name: "w",
    ends: [{ vnet: "a", addresses: ["10.0.0.1/24"], mtu: 1000 }, { vnet: "b", addresses: ["10.0.0.2/24"] }],
  }],
  traffic: [{ name: "t", vnet: "a", ifnet: "wa", rate: 10_000 }],
};

Deno.test("a pair is pulled out under traffic and comes back as it was, its traffic too", () =>
  withApi({ cpus: 2 }, async ({ call, server: { system }, kernel }) => {
    assertEquals((await call("PUT", "/api/lab", LAB)).status, 200);
    const lab = parseLab(JSON.stringify(LAB));
    const arrives = (): boolean => system.ifnet("wb").counters.ipackets > 0;
    await until("packets arrive", arrives);
    const pulled = await call("POST", "/api/if/wb/unplug");
    assertEquals(pulled.body, { name: "a:w", what: "epair a:wa = b:wb", replug: true });
    assertEquals(kernel.ifnets.filter((i) => i.state === "attached").map((i) => i.name), ["lo0"]);
    assertEquals((await call("GET", "/api/unplugged")).body, [pulled.body]);
    const back = await call("POST", "/api/unplugged/a:w/replug");
    assertEquals([back.status, back.body.map((i: Json) => `${i.vnet}:${i.name} ${i.mtu}`)], [200, [
      "a:wa 1000",
      "b:wb 1500",
    ]]);
    assertEquals(planLab(system, lab).map((s) => s.text), []);
    await until("packets arrive again", arrives);
    assertEquals((await call("GET", "/api/unplugged")).body, []);
    const twice = await call("POST", "/api/unplugged/a:w/replug");
    assertEquals([twice.status, twice.body.code], [404, "SOFTC_API_REPLUG"]);
    assertEquals((await call("GET", "/api/ledger")).body.unaccounted, 0);
  }));

Deno.test("what is made anew meanwhile is not away any more; one whose vnet went cannot come back", () =>
  withApi({}, async ({ call }) => {
    await call("PUT", "/api/lab", LAB);
    await call("POST", "/api/if/lo0/unplug");
    assertEquals((await call("PUT", "/api/lab", LAB)).status, 200);
    assertEquals((await call("GET", "/api/unplugged")).body, []);
    await call("POST", "/api/if/lo0/unplug");
    await call("DELETE", "/api/lab");
    const late = await call("POST", "/api/unplugged/a:lo0/replug");
    assertEquals([late.status, late.body.code], [404, "SOFTC_VNET_UNKNOWN"]);
    assertEquals((await call("GET", "/api/if")).body, []);
  }));

Deno.test("a device goes by its interface, and comes back under its name in its vnet", () =>
  withApi({ cpus: 2 }, async ({ call, kernel }) => {
    await call("PUT", "/api/lab", {
      vnets: { a: {}, b: {} },
      interfaces: [{ name: "vhost0", vnet: "b", cloner: "vhost" }],
    });
    const plugged = await call("POST", "/api/dev", {
      bus: "virtio",
      address: "0",
      device: 1,
      serial: "n1",
      parent: "b:vhost0",
      vnet: "a",
    });
    assertEquals([plugged.status, plugged.body.driver], [201, "virtio-net"], JSON.stringify(plugged.body));
    const [name] = plugged.body.ifnets;
    await call("PATCH", `/api/if/${name}`, { name: "nic0" });
    await call("POST", "/api/if/nic0/up");
    const pulled = await call("POST", "/api/if/nic0/unplug");
    assertEquals([pulled.status, pulled.body.name, pulled.body.replug], [200, "virtio:0", true]);
    assertEquals(kernel.devices.list(), []);
    const [back] = (await call("POST", "/api/unplugged/virtio:0/replug")).body;
    assertEquals([back.name, back.vnet, back.flags.includes("UP")], ["nic0", "a", true]);
  }));

Deno.test("a device that a program plugged in is its own to bring back", () =>
  withApi({}, async ({ call, kernel }) => {
    await kernel.devices.plug({ bus: "test", address: "7" });
    assertEquals((await call("DELETE", "/api/dev/test:7")).status, 204);
    assertEquals((await call("GET", "/api/unplugged")).body, [
      { name: "test:7", what: "device test:7", replug: false },
    ]);
    assertEquals((await call("POST", "/api/unplugged/test:7/replug")).status, 404);
  }));

Deno.test("softc if unplug, unplugged, replug; dev plug", () =>
  withSession({}, async (session, { call, server: { system } }) => {
    await call("PUT", "/api/lab", LAB);
    const run = (...args: string[]) => softc(...args, "--session", session);
    assertEquals((await run("if", "unplug", "wa")).out, "unplugged a:w: epair a:wa = b:wb\n");
    assertEquals((await run("if", "unplugged")).out, "NAME  REPLUG  WHAT\na:w   yes     epair a:wa = b:wb\n");
    assertEquals((await run("if", "replug", "a:w")).code, 0);
    await untilAsync("it is there", async () => (await run("if", "show", "wb")).code === 0);
    assertEquals((await run("if", "replug", "a:w")).code, 1);
    const { code, out } = await run("dev", "plug", "test", "0", "--vendor", "1", "--json");
    assertEquals([code, JSON.parse(out).name], [0, "test:0"]);
    assert(system.kernel.devices.list().length === 1);
  }));
