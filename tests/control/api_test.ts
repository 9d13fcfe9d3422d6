import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Json, withApi } from "./helper.ts";

Deno.test("health needs no token, everything else does", () =>
  withApi({}, async ({ raw, call }) => {
    const health = await raw("/health");
    assertEquals([health.status, (await health.json()).status], [200, "ok"]);
    const without = await raw("/api/if");
    assertEquals(without.status, 401);
    assertEquals(without.headers.get("content-type"), "application/problem+json");
    assertEquals((await without.json()).code, "SOFTC_API_TOKEN");
    assertEquals((await call("GET", "/api/if")).status, 200);
  }));

Deno.test("an interface is made, changed, brought up and down, moved and destroyed", () =>
  withApi({}, async ({ call }) => {
    assertEquals((await call("POST", "/api/module", { module: "softc:epair" })).status, 201);
    assertEquals((await call("POST", "/api/vnet", { name: "a" })).status, 201);
    assertEquals((await call("POST", "/api/vnet", { name: "b", discard: true })).body.parent, "vnet0");
    const made = await call("POST", "/api/if", { vnet: "a", cloner: "epair", name: "ab", up: true });
    assertEquals(made.status, 201);
    assertEquals(made.body.map((i: Json) => i.name), ["aba", "abb"]);
    assert(made.body.every((i: Json) => i.flags.includes("UP")));

    assertEquals((await call("PATCH", "/api/if/aba", { mtu: 900, name: "x0" })).body.mtu, 900);
    assert(!(await call("POST", "/api/if/x0/down")).body.flags.includes("UP"));
    assert((await call("POST", "/api/if/a:x0/up")).body.flags.includes("UP"));

    const moved = await call("POST", "/api/if/abb/vmove", { vnet: "b" });
    assertEquals([moved.status, moved.body.ifnet.vnet, moved.body.ifnet.home], [200, "b", "a"]);
    assert(moved.body.blackoutNs > 0);
    assertEquals((await call("GET", "/api/if?vnet=b")).body.length, 1);
    // The old handle names an interface that moved.
    const old = await call("GET", `/api/if/${encodeURIComponent(made.body[1].handle)}`);
    assertEquals([old.status, old.body.code, old.body.state], [410, "SOFTC_IF_GONE", "moved"]);
    const now = await call("GET", `/api/if/${encodeURIComponent(moved.body.ifnet.handle)}`);
    assertEquals([now.body.name, now.body.why, now.body.late], ["abb", [], []]);

    assertEquals((await call("DELETE", "/api/if/x0")).status, 204);
    assertEquals((await call("GET", "/api/if")).body, []);
    assertEquals((await call("DELETE", "/api/vnet/b")).status, 204);
    assertEquals((await call("DELETE", "/api/module/epair")).status, 204);
    assertEquals((await call("GET", "/api/module")).body, []);
  }));

Deno.test("an interface whose driver refuses to come up is not made", async () => {
  const folder = await Deno.makeTempDir();
  const api = new URL("../../core/device/mod.ts", import.meta.url);
  await Deno.writeTextFile(
    `${folder}/stubborn.ts`,
    `import { defineDriver } from "${api}";
export default defineDriver({
  name: "stubborn",
  api: 1,
  cloner: "stubborn",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  set() {
    throw new Error("not today");
  },
  transmit: (_sc, batch) => batch.freeAll(),
});
`,
  );
  try {
    await withApi({ allowModules: [`${folder}/`] }, async ({ call, kernel }) => {
      assertEquals((await call("POST", "/api/module", { module: `${folder}/stubborn.ts` })).status, 201);
      const r = await call("POST", "/api/if", { vnet: "vnet0", cloner: "stubborn", up: true });
      assert(r.status >= 400, JSON.stringify(r.body));
      assertEquals(kernel.ifnets.map((i) => i.name), []);
      assertEquals((await call("POST", "/api/if", { vnet: "vnet0", cloner: "stubborn" })).status, 201);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("errors are problem documents with code, state, rule and fix, and no stack", () =>
  withApi({}, async ({ call, raw, server }) => {
    await call("POST", "/api/module", { module: "softc:loopback" });
    await call("POST", "/api/if", { vnet: "vnet0", cloner: "lo" });
    const cases: [method: string, path: string, body: unknown, status: number, code: string][] = [
      ["GET", "/api/if/none", undefined, 404, "SOFTC_IF_UNKNOWN"],
      ["GET", "/api/vnet/none", undefined, 404, "SOFTC_VNET_UNKNOWN"],
      ["DELETE", "/api/vnet/vnet0", undefined, 400, "SOFTC_VNET_ORDER"],
      ["DELETE", "/api/module/loopback", undefined, 409, "SOFTC_MODULE_BUSY"],
      ["DELETE", "/api/module/none", undefined, 404, "SOFTC_MODULE_UNKNOWN"],
      ["DELETE", "/api/module/loopback?mode=now", undefined, 400, "SOFTC_API_INPUT"],
      ["POST", "/api/module", { module: "softc:loopback" }, 409, "SOFTC_MODULE_EXISTS"],
      ["POST", "/api/if", { vnet: "vnet0", cloner: "lo", name: "lo0" }, 409, "SOFTC_IF_EXISTS"],
      ["POST", "/api/if", { vnet: "vnet0", cloner: "none" }, 404, "SOFTC_DRIVER_UNKNOWN"],
      ["POST", "/api/if", { vnet: "vnet0", cloner: "lo", cpu: 9 }, 400, "SOFTC_DEV_CPU"],
      ["POST", "/api/if", { vnet: "vnet0", cloner: "lo", colour: 1 }, 400, "SOFTC_API_INPUT"],
      ["POST", "/api/if", [], 400, "SOFTC_API_INPUT"],
      ["POST", "/api/if/lo0/vmove", { vnet: "vnet0" }, 409, "SOFTC_VNET_SAME"],
      ["PATCH", "/api/if/lo0", {}, 400, "SOFTC_API_INPUT"],
      ["GET", "/api/if?colour=1", undefined, 400, "SOFTC_API_INPUT"],
      ["GET", "/api/epoch?colour=1", undefined, 400, "SOFTC_API_INPUT"],
      ["PUT", "/api/if", undefined, 405, "SOFTC_API_METHOD"],
      ["GET", "/nowhere", undefined, 404, "SOFTC_API_UNKNOWN"],
    ];
    for (const [method, path, body, status, code] of cases) {
      const r = await call(method, path, body);
      assertEquals([r.status, r.body.code], [status, code], `${method} ${path}: ${JSON.stringify(r.body)}`);
      assertEquals(r.headers.get("content-type"), "application/problem+json");
      assertEquals(r.body.status, status);
      assert(r.body.fix.length > 0 && r.body.title.length > 0 && r.body.detail.length > 0);
      assert(!JSON.stringify(r.body).includes(".ts:"), JSON.stringify(r.body));
      assertEquals((await call("GET", r.body.type)).body.code, code);
    }
    const busy = (await call("DELETE", "/api/module/loopback")).body;
    assertEquals([busy.rule, busy.errno, busy.state], ["3b", "EBUSY", "in use by lo0"]);

    const auth = { authorization: `Bearer ${server.token}` };
    const text = await raw("/api/if", { method: "POST", headers: auth, body: "{}" });
    assertEquals([text.status, (await text.json()).code], [415, "SOFTC_API_MEDIA"]);
    const half = await raw("/api/if", {
      method: "POST",
      headers: { ...auth, "content-type": "application/json" },
      body: "{",
    });
    assertEquals([half.status, (await half.json()).code], [400, "SOFTC_API_INPUT"]);
  }));

Deno.test("why a module cannot be unloaded is told by name", () =>
  withApi({}, async ({ call }) => {
    await call("POST", "/api/module", { module: "softc:null" });
    await call("POST", "/api/if", { vnet: "vnet0", cloner: "null" });
    const { body } = await call("GET", "/api/module/null/explain");
    assertEquals(body, { name: "null", blockers: ["interface null0 is attached"] });
    assertEquals((await call("DELETE", "/api/module/null?mode=drain")).status, 204);
  }));

Deno.test("a device is plugged in, explained and pulled out", () =>
  withApi({}, async ({ call }) => {
    const plugged = await call("POST", "/api/dev", { bus: "test", address: "0", vendor: 1 });
    assertEquals([plugged.status, plugged.body.name, plugged.body.ifnets], [201, "test:0", []]);
    assertEquals(
      (await call("POST", "/api/dev", { bus: "test", address: "0" })).body.code,
      "SOFTC_DEV_EXISTS",
    );
    assertEquals((await call("GET", "/api/dev")).body.length, 1);
    assertEquals((await call("GET", "/api/dev/test:0/explain")).body.name, "test:0");
    assertEquals((await call("DELETE", "/api/dev/test:0")).status, 204);
    assertEquals((await call("DELETE", "/api/dev/test:0")).body.code, "SOFTC_DEV_GONE");
    assertEquals((await call("GET", "/api/dev")).body, []);
  }));

Deno.test("traffic runs, shows in ledger and metrics, and stops", () =>
  withApi({}, async ({ call }) => {
    await call("POST", "/api/module", { module: "softc:epair" });
    await call("POST", "/api/vnet", { name: "a" });
    await call("POST", "/api/vnet", { name: "b", discard: true });
    await call("POST", "/api/if", { vnet: "a", cloner: "epair", name: "ab", up: true });
    await call("POST", "/api/if/abb/vmove", { vnet: "b" });
    const started = await call("POST", "/api/traffic", {
      name: "t",
      vnet: "a",
      ifnet: "aba",
      count: 1000,
      bytes: 61,
    });
    assertEquals(started.status, 201, JSON.stringify(started.body));
    const delivered = async (): Promise<number> => (await call("GET", "/api/ledger")).body.delivered;
    for (const end = performance.now() + 5000; await delivered() < 1000;) {
      assert(performance.now() < end, "1000 packets did not arrive within 5 s");
    }
    const ledger = (await call("GET", "/api/ledger")).body;
    // All of them: an odd length too, so checksums are right.
    assertEquals([ledger.delivered, ledger.dropped, ledger.unaccounted], [1000, {}, 0]);
    const metrics: string = (await call("GET", "/metrics")).body;
    assertMatch(metrics, /^softc_packets_ended_total\{how="delivered"\} 1000$/m);
    assertMatch(
      metrics,
      /^softc_if_receive_packets_total\{interface="abb",vnet="b",driver="epair",handle="[^"]+"\} 1000$/m,
    );
    assertMatch(metrics, /^softc_packets_unaccounted 0$/m);
    for (const line of metrics.trim().split("\n")) {
      assertMatch(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+]+)$/, line);
    }
    const done = await call("DELETE", "/api/traffic/t");
    assertEquals([done.status, done.body[0].accepted], [200, 1000]);
    assertEquals((await call("DELETE", "/api/traffic/t")).status, 404);
  }));

Deno.test("the OpenAPI document describes every route, and resolves", () =>
  withApi({}, async ({ call }) => {
    const { body: doc } = await call("GET", "/openapi.json");
    assertEquals(doc.openapi, "3.1.0");
    for (
      const path of ["/health", "/api/if/{id}/vmove", "/api/module/{name}/explain", "/api/lab", "/metrics"]
    ) {
      assert(path in doc.paths, path);
    }
    assertEquals(doc.paths["/health"].get.security, []);
    const create = doc.paths["/api/if"].post;
    assertEquals(create.requestBody.content["application/json"].schema, {
      $ref: "#/components/schemas/IfCreate",
    });
    const schema = doc.components.schemas.IfCreate;
    assertEquals([schema.required, schema.additionalProperties], [["vnet", "cloner"], false]);
    const ids = Object.values<Json>(doc.paths).flatMap((p) =>
      Object.values<Json>(p).map((o) => o.operationId)
    );
    assertEquals(new Set(ids).size, ids.length);
    const refs = JSON.stringify(doc).matchAll(/"\$ref":"([^"]+)"/g);
    for (const [, ref] of refs) {
      assert(ref!.slice(2).split("/").reduce((o: Json, k) => o?.[k], doc) !== undefined, ref);
    }
    for (const [path, ops] of Object.entries<Json>(doc.paths)) {
      for (const op of Object.values<Json>(ops)) {
        const named = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
        const told = op.parameters.filter((p: Json) => p.in === "path").map((p: Json) => p.name);
        assertEquals(told, named, path);
      }
    }
    assertStringIncludes(JSON.stringify(doc.components.schemas.Problem), '"fix"');
  }));
