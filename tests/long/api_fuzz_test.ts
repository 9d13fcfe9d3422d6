import { assert, assertEquals } from "@std/assert";
import { labOf } from "../../control/lab/units.ts";
import { type Api, type Json, withApi } from "../control/helper.ts";
import { random, Schemas } from "../control/json_schema.ts";

const REQUESTS = 10_000;
const SEED = Number(Deno.env.get("SOFTC_SEED") ?? 1);

/** Names that are there, or may be. */
const LIKELY: Record<string, Json[]> = {
  vnet: ["vnet0", "a", "b", "c"],
  parent: ["vnet0", "a"],
  home: ["vnet0", "a"],
  name: ["a", "b", "c", "x0", "w", "t", "epair", "null", "a:w", "a:lo0"],
  cloner: ["lo", "null", "epair"],
  module: ["softc:loopback", "softc:null", "softc:epair", "softc:none", "./x.ts"],
  id: ["lo0", "x0", "wa", "wb", "a:wa", "if#1.g1", "if#2.g3", "1", "2", "3"],
  ifnet: ["lo0", "wa", "x0"],
  cpu: [0, 1],
  cpus: [[0], 1],
  count: [1, 5],
  seconds: [1],
  bus: ["test"],
  address: ["0", "1"],
  device: ["test:0", "test:1"],
  mtu: [72, 1500],
};

const BASE = {
  vnets: { a: {}, b: { discard: true } },
  interfaces: [{ name: "lo0", vnet: "a", cloner: "lo" }, { name: "x0", vnet: "vnet0", cloner: "null" }],
  links: [{ name: "w", ends: [{ vnet: "a" }, { vnet: "b" }] }],
  traffic: [{ name: "t", vnet: "a", ifnet: "wa", count: 1 }],
};

/** Everything that a request may change; counters aside. */
const state = ({ kernel, server: { system } }: Api): string =>
  JSON.stringify([
    labOf(system),
    kernel.vnets,
    kernel.modules.list(),
    kernel.ifnets.map((i) => i.toJSON()).map(({ counters: _, queued: __, ...i }) => i),
    system.captures.list().map((c) => c.id),
    system.plugs.list(),
  ]);

Deno.test(`${REQUESTS} requests from the OpenAPI document: the bad change nothing, the good do as documented`, () =>
  withApi({ limits: { requestsPerSecond: 1e6 } }, async (api) => {
    const document = (await api.call("GET", "/openapi.json")).body;
    const schemas = new Schemas(document, random(SEED), LIKELY);
    const { pick, rand } = { pick: <T>(l: readonly T[]): T => schemas.pick(l), rand: schemas.rand };
    const operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods).map(([method, op]) => ({ path, method: method.toUpperCase(), op }))
    ).filter(({ path }) => path !== "/api/live" && path !== "/api/session");
    const headers = { authorization: `Bearer ${api.server.token}` };
    const seen = { invalid: 0, valid: 0, done: 0, refused: 0 };
    const covered = new Set<string>();

    for (let i = 0; i < REQUESTS; i++) {
      // Something to work on: what was torn down comes back now and then.
      if (i % 25 === 0) {
        const base = await api.call("PUT", "/api/lab", BASE);
        assertEquals(base.status, 200, `seed ${SEED}, ${i}: ${JSON.stringify(base.body)}`);
      }
      const { path, method, op } = pick(operations);
      const body = op.requestBody?.content["application/json"].schema;
      const query = op.parameters.filter((p: Json) => p.in === "query");
      const spoilable = [body === undefined ? "" : "body", query.length > 0 ? "query" : "", "extra", "media"]
        .filter((x) => x !== "" && (x !== "media" || body !== undefined));
      const spoilt = rand() < 0.5 ? pick(spoilable) : undefined;

      const params = new URLSearchParams();
      for (const p of query) {
        // To follow a capture of an idle interface takes all its time.
        if (p.name !== "follow" && (p.required || rand() < 0.5)) {
          params.set(p.name, String(schemas.make(p.schema, p.name)));
        }
      }
      if (spoilt === "query") {
        params.set(pick<Json>(query).name, pick(["", "-1", "x y", "1e9", "\u0000", "99999999"]));
      }
      if (spoilt === "extra") params.set("colour", "1");
      const bad = spoilt === "query" &&
        query.every((p: Json) => {
          const text = params.get(p.name);
          const value = text !== null && /^-?\d+$/.test(text) && schemas.deref(p.schema).type === "integer"
            ? Number(text)
            : text;
          return text === null || schemas.objection(p.schema, value) === undefined;
        });
      let value = body === undefined ? undefined : schemas.make(body);
      if (spoilt === "body") value = schemas.spoil(body);
      if (value === undefined && body !== undefined) continue;
      const fits = body === undefined || schemas.objection(body, value) === undefined;
      const invalid = spoilt !== undefined && !bad || !fits;
      const schemaOf = (name: string): Json => op.parameters.find((p: Json) => p.name === name).schema;
      const target = path.replace(
        /\{(\w+)\}/g,
        (_: string, name: string) => encodeURIComponent(schemas.make(schemaOf(name), name)),
      );
      const before = invalid ? state(api) : "";
      const media = spoilt === "media"
        ? pick(["text/plain", "", "application/x-www-form-urlencoded"])
        : "application/json";
      const r = await api.raw(`${target}${params.size > 0 ? `?${params}` : ""}`, {
        method,
        headers: { ...headers, ...(media === "" ? {} : { "content-type": media }) },
        ...(body === undefined ? {} : { body: JSON.stringify(value) }),
      });
      const text = await r.text();
      const what = `seed ${SEED}, request ${i}: ${method} ${target}?${params} ${JSON.stringify(value)} ${
        spoilt ?? "as made"
      } -> ${r.status} ${text.slice(0, 300)}`;
      assert(r.status < 500, what);
      if (r.status >= 400) {
        assertEquals(r.headers.get("content-type"), "application/problem+json", what);
        const problem = JSON.parse(text);
        assertEquals(schemas.objection({ $ref: "#/components/schemas/Problem" }, problem), undefined, what);
        assertEquals(problem.status, r.status, what);
        assert(!/\.ts:\d|\bat \S+ \(/.test(text), what);
      } else {
        const documented = op.responses[r.status];
        assert(documented !== undefined, what);
        const reply = documented.content?.["application/json"]?.schema;
        if (reply !== undefined) assertEquals(schemas.objection(reply, JSON.parse(text)), undefined, what);
        covered.add(`${method} ${path}`);
      }
      if (invalid) {
        assert(r.status >= 400, `taken although invalid: ${what}`);
        assertEquals(state(api), before, what);
        seen.invalid++;
      } else {
        seen.valid++;
        if (r.status < 400) seen.done++;
        else seen.refused++;
      }
    }
    console.log(
      JSON.stringify({ seed: SEED, ...seen, operations: operations.length, succeeded: covered.size }),
    );
    assert(seen.invalid > REQUESTS / 4 && seen.done > REQUESTS / 20, JSON.stringify(seen));
    const never = operations.map((o) => `${o.method} ${o.path}`).filter((o) => !covered.has(o));
    assert(never.length <= 1, `never succeeded: ${never.join(", ")}`);
    for (const name of [...api.server.system.traffic.keys()]) {
      await api.call("DELETE", `/api/traffic/${name}`);
    }
    await api.call("DELETE", "/api/lab");
    const report = await api.kernel.shutdown();
    assertEquals([report.unaccounted, report.leaks, report.wedged], [0, [], []]);
  }));
