// The control entry of the packed package, as an application of Node uses it.
import { boot } from "@softc/softc";
import { runCli, serveControl } from "@softc/softc/control";

const kernel = await boot({ cpus: 2 });
const server = await serveControl(kernel);
const headers = { authorization: `Bearer ${server.token}` };
const get = (path, init) => fetch(server.url + path, init);
const seen = {};
seen.health = (await get("/health")).status;
seen.without = (await get("/api/if")).status;
await server.apply({
  modules: [],
  vnets: { a: { discard: false }, b: { discard: true } },
  interfaces: [],
  links: [{ name: "w", cloner: "epair", ends: [{ vnet: "a", up: true }, { vnet: "b", up: true }] }],
  traffic: [{ name: "t", vnet: "a", ifnet: "wa", bytes: 100 }],
});
seen.interfaces = (await (await get("/api/if", { headers })).json()).length;
const reader = (await get("/api/live", { headers })).body.getReader();
seen.live = new TextDecoder().decode((await reader.read()).value).split("\n")[0];
await reader.cancel();
seen.page = (await (await get("/")).text()).startsWith("<!doctype html>");
seen.client = (await (await get("/assets/client.js")).text()).startsWith("// built");
seen.unaccounted = (await (await get("/api/ledger", { headers })).json()).unaccounted;
seen.explain = await runCli(["explain", "SOFTC_IF_GONE", "--json"], { out() {}, err() {} });
await server.close();
const report = await kernel.shutdown();
seen.left = report.leaks.length + report.wedged.length + report.unaccounted;
console.log(JSON.stringify(seen));
