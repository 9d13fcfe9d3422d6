import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { applyLab } from "../../control/lab/apply.ts";
import { planLab } from "../../control/lab/plan.ts";
import { labOf } from "../../control/lab/units.ts";
import { ping } from "../../vnet/mod.ts";
import { type Lab, parseLab } from "../../control/mod.ts";
import type { System } from "../../control/system.ts";
import { ifCloneCreate, ifVmove, SoftcError } from "../../mod.ts";
import { type Api, type Json, withApi } from "./helper.ts";

const lab = (o: object): Lab => parseLab(JSON.stringify(o));
const lines = (s: System, l: Lab): string[] => planLab(s, l).map((x) => x.text);
/** All that a lab declares, and the counts behind it. */
const state = ({ kernel, server }: Api): object => ({
  lab: labOf(server.system),
  ifnets: kernel.ifnets.map((i) => i.toJSON()).map(({ counters: _, ...i }) => i),
  modules: kernel.modules.list().map((m) => m.toJSON()),
});
const EMPTY = lab({});
const TWO = lab({
  vnets: { a: {}, b: { discard: true } },
  interfaces: [{ name: "lo0", vnet: "a", cloner: "lo", mtu: 1000 }],
  links: [{ name: "w", ends: [{ vnet: "a" }, { vnet: "b", up: false }] }],
  traffic: [{ name: "t", vnet: "a", ifnet: "wa" }],
});

Deno.test("a lab is applied, applying it again does nothing, and taking it down leaves nothing", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    const before = state(api);
    const steps = await applyLab(system, TWO);
    assertEquals(steps.map((s) => s.text), [
      "+ module softc:loopback",
      "+ module softc:epair",
      "+ vnet a",
      "+ vnet b",
      "+ lo a:lo0",
      "+ epair a:wa = b:wb",
      "+ traffic t from a:wa",
    ]);
    const ifnets = api.kernel.ifnets.map((i) => i.toJSON());
    assertEquals(ifnets.map((i) => [i.name, i.vnet, i.home, i.flags.includes("UP"), i.mtu]), [
      ["lo0", "a", "a", true, 1000],
      ["wa", "a", "a", true, 1500],
      ["wb", "b", "a", false, 1500],
    ]);
    const applied = state(api);
    assertEquals(await applyLab(system, TWO), []);
    // Handles too: nothing was made anew.
    assertEquals(state(api), applied);
    await applyLab(system, EMPTY);
    assertEquals(state(api), before);
  }));

Deno.test("only what differs is changed", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    await applyLab(system, TWO);
    const handle = system.ifnet("wa").handle;
    const changed = lab({
      vnets: { a: {}, b: {}, c: { parent: "b" } },
      interfaces: [{ name: "lo0", vnet: "a", cloner: "lo", mtu: 900, up: false }],
      links: [{ name: "w", ends: [{ vnet: "a" }, { vnet: "c" }] }],
    });
    assertEquals(lines(system, changed), [
      "- traffic t",
      "+ vnet c",
      "~ a:lo0 mtu 1000 -> 900",
      "~ a:lo0 up -> down",
      "~ b:wb -> c:wb",
      "~ c:wb down -> up",
      "~ vnet b discard on -> off",
    ]);
    await applyLab(system, changed);
    assertEquals(lines(system, changed), []);
    assertEquals(system.ifnet("wa").handle, handle);
    assertEquals(lines(system, TWO).length, 7);
    await applyLab(system, TWO);
    assertEquals(lines(system, TWO), []);
  }));

Deno.test("an interface whose making differs is made anew", () =>
  withApi({}, async ({ server: { system }, kernel }) => {
    const one = (o: object): Lab =>
      lab({ vnets: { a: {} }, links: [{ name: "w", ends: [{ vnet: "a" }, { vnet: "a" }], ...o }] });
    await applyLab(system, one({}));
    assertEquals(lines(system, one({ options: { dispatch: "flow" } })), [
      "- epair a:wa = a:wb on CPU 0",
      "+ epair a:wa = a:wb",
    ]);
    await applyLab(system, one({ options: { dispatch: "flow" } }));
    assertEquals(lines(system, one({ options: { dispatch: "flow" } })), []);
    assertEquals(kernel.ifnets.length, 2);
  }));

Deno.test("what people changed by hand is seen, and put back", () =>
  withApi({}, async ({ server: { system }, kernel }) => {
    await applyLab(system, TWO);
    await ifVmove(system.ifnet("lo0"), system.vnet("b"));
    await ifCloneCreate(kernel.vnet0, "lo", { name: "extra" });
    assertEquals(lines(system, TWO), ["~ b:lo0 -> a:lo0", "- loopback vnet0:extra on CPU 0"]);
    await applyLab(system, TWO);
    assertEquals(lines(system, TWO), []);
    assertEquals(system.ifnet("lo0").vnet.name, "a");
  }));

Deno.test("an apply that fails at any step leaves the system as it was", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    await applyLab(system, TWO);
    const want = lab({
      vnets: { a: {}, c: {} },
      interfaces: [{ name: "n0", vnet: "c", cloner: "null" }, {
        name: "lo0",
        vnet: "c",
        home: "a",
        cloner: "lo",
        mtu: 800,
      }],
      links: [{ name: "w", ends: [{ vnet: "c" }, { vnet: "a" }] }],
      traffic: [{ name: "u", vnet: "c", ifnet: "wa", bytes: 100 }],
    });
    const declared = labOf(system);
    const total = planLab(system, want).length;
    assert(total >= 10, String(total));
    for (let k = 0; k < total; k++) {
      const stop = new AbortController();
      let seen = 0;
      const error = await assertRejects(
        () =>
          applyLab(system, want, {
            signal: stop.signal,
            onStep: () => seen++ === k && stop.abort(new Error("told to")),
          }),
        SoftcError,
      ).catch((e) => {
        // The last step was under way when it was told to stop: it is done then.
        if (k === total - 1) return undefined;
        throw e;
      });
      if (error === undefined) continue;
      assertEquals(error.code, "SOFTC_LAB_APPLY");
      assertEquals(error.state, "as before", error.message);
      assertEquals(labOf(system), declared, `after step ${k}: ${error.message}`);
    }
  }));

/** What steps do to a system. */
const VERBS = new Set([
  "load",
  "unload",
  "create",
  "destroy",
  "vmove",
  "set",
  "createVnet",
  "destroyVnet",
  "setForwarding",
  "setDiscard",
  "startTraffic",
  "stopTraffic",
]);

/** A system of which call `k` fails. */
function failing(system: System, k: number): { system: System; calls(): number } {
  let calls = 0;
  const proxy = new Proxy(system, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (!VERBS.has(String(key))) return value.bind(target);
      return (...args: unknown[]): unknown => {
        if (calls++ === k) throw new Error(`injected into ${String(key)}`);
        return value.apply(target, args);
      };
    },
  });
  return { system: proxy, calls: () => calls };
}

Deno.test("a fault in any call of any step leaves the system as it was", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    await applyLab(system, TWO);
    const want = lab({
      vnets: { a: { forwarding: true }, b: {}, c: { discard: true } },
      interfaces: [{ name: "n0", vnet: "c", home: "a", cloner: "null", mtu: 700 }],
      links: [
        { name: "w", ends: [{ vnet: "a" }, { vnet: "c" }] },
        { name: "e", netem: { loss: 0.1 }, ends: [{ vnet: "a" }, { vnet: "b", up: false }] },
      ],
      traffic: [{ name: "u", vnet: "a", ifnet: "wa", bytes: 100 }],
    });
    const declared = sorted(labOf(system));
    let k = 0;
    for (;; k++) {
      const faulty = failing(system, k);
      const error = await applyLab(faulty.system, want).then(() => undefined, (e: SoftcError) => e);
      if (error === undefined) {
        assertEquals(faulty.calls(), k);
        break;
      }
      assertEquals([error.code, error.state], ["SOFTC_LAB_APPLY", "as before"], error.message);
      assertStringIncludes(error.message, "injected into");
      assertEquals(sorted(labOf(system)), declared, `after call ${k}: ${error.message}`);
    }
    assert(k >= 15, String(k));
    assertEquals(lines(system, want), []);
  }));

Deno.test("a step that the kernel refuses undoes the others", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    const before = state(api);
    const bad = lab({ vnets: { a: {} }, interfaces: [{ name: "x", vnet: "a", cloner: "lo", cpu: 7 }] });
    const e = await assertRejects(() => applyLab(system, bad), SoftcError);
    assertStringIncludes(e.message, "Cannot place loopback on CPU 7");
    assertEquals(state(api), before);
    const refused = await api.call("PUT", "/api/lab", { modules: ["./x.ts"], vnets: { a: {} } });
    assertEquals([refused.status, refused.body.code], [409, "SOFTC_LAB_APPLY"]);
    assertEquals(state(api), before);
  }));

Deno.test("a module that is to run elsewhere takes its interfaces along", () =>
  withApi({}, async (api) => {
    const { server: { system }, kernel } = api;
    const one = (host: boolean): Lab =>
      lab({
        modules: [{ module: "softc:null", host }],
        vnets: { a: {} },
        interfaces: [{ name: "n0", vnet: "a", cloner: "null" }, { name: "lo0", vnet: "a", cloner: "lo" }],
      });
    await applyLab(system, one(true));
    assertEquals(kernel.inspect().workers.length, 1);
    const lo = system.ifnet("lo0").handle;
    assertEquals(lines(system, one(false)), [
      "- null a:n0 on CPU 0",
      "- module null",
      "+ module softc:null",
      "+ null a:n0",
    ]);
    await applyLab(system, one(false));
    assertEquals([lines(system, one(false)), system.ifnet("lo0").handle, kernel.inspect().workers], [
      [],
      lo,
      [],
    ]);
    // Asked for nowhere, only needed: on the CPUs.
    assertEquals(lines(system, { ...one(true), modules: [] }), []);
    await applyLab(system, one(true));
    assertEquals([lines(system, one(true)), kernel.inspect().workers.length], [[], 1]);
    assertEquals((await api.call("GET", "/api/lab")).body.modules[1], { module: "softc:null", host: true });
  }));

Deno.test("how far an apply is can be asked", () =>
  withApi({}, async ({ call, server: { system } }) => {
    assertEquals((await call("GET", "/api/lab/progress")).body, { done: 0, total: 0 });
    const seen: unknown[] = [];
    await applyLab(system, TWO, { onStep: () => void queueMicrotask(() => seen.push(system.applying)) });
    assertEquals(seen[1], { step: "+ module softc:epair", done: 1, total: 7 });
    assertEquals(system.applying, undefined);
  }));

Deno.test("one lab at a time", () =>
  withApi({}, async ({ server: { system } }) => {
    const first = applyLab(system, TWO);
    const e = await assertRejects(() => applyLab(system, EMPTY), SoftcError);
    assertEquals(e.code, "SOFTC_LAB_BUSY");
    await first;
    assertEquals(lines(system, TWO), []);
  }));

Deno.test("a file that does not fit is refused, naming the place", () => {
  const cases: [object, string][] = [
    [{ vnet: {} }, "vnet"],
    [{ vnets: { a: { colour: 1 } } }, "colour"],
    [{ vnets: { vnet0: {} } }, "vnet0 is always there"],
    [{ vnets: { a: { parent: "b" } } }, 'vnets.a.parent: there is no vnet "b"'],
    [{ vnets: { a: { parent: "b" }, b: { parent: "a" } } }, "it is inside itself"],
    [{ interfaces: [{ name: "x", vnet: "a", cloner: "lo" }] }, 'interfaces.0.vnet: there is no vnet "a"'],
    [{ interfaces: [{ name: "0x", vnet: "vnet0", cloner: "lo" }] }, "interfaces.0.name"],
    [
      { interfaces: [1, 2].map(() => ({ name: "x", vnet: "vnet0", cloner: "lo" })) },
      'interfaces.1.name: two things are called "vnet0:x"',
    ],
    [{ links: [{ name: "w", ends: [{ vnet: "vnet0" }] }] }, "links.0.ends"],
    [
      { traffic: [{ name: "t", vnet: "vnet0", ifnet: "x" }] },
      'traffic.0.ifnet: there is no "x" in vnet "vnet0"',
    ],
    [{ cpus: 0 }, "cpus"],
  ];
  for (const [value, place] of cases) {
    const e = assertThrows(() => parseLab(JSON.stringify(value)), SoftcError);
    assertEquals(e.code, "SOFTC_LAB_BAD");
    assertStringIncludes(e.message, place);
  }
  assertEquals(assertThrows(() => parseLab("{"), SoftcError).code, "SOFTC_LAB_BAD");
});

Deno.test("the number of CPUs is not changed while it runs", () =>
  withApi({}, async ({ call }) => {
    const r = await call("POST", "/api/lab/diff", { cpus: 4 });
    assertEquals([r.status, r.body.code, r.body.state, r.body.wanted], [400, "SOFTC_LAB_BAD", "1", "4"]);
  }));

Deno.test("the system as a lab: applying it does nothing", () =>
  withApi({}, async ({ call, server: { system } }) => {
    await applyLab(system, TWO);
    const now = (await call("GET", "/api/lab")).body;
    assertEquals((await call("POST", "/api/lab/diff", now)).body.steps, []);
    assertEquals((await call("PUT", "/api/lab", now)).body.steps, []);
    assert((await call("DELETE", "/api/lab")).body.steps.length > 5);
    assertEquals((await call("GET", "/api/if")).body, []);
  }));

Deno.test("addresses and routes: packets find their way through a router", () =>
  withApi({}, async (api) => {
    const { system } = api.server;
    const before = state(api);
    const three = lab({
      vnets: {
        left: { routes: [{ to: "0.0.0.0/0", via: "10.1.0.254" }] },
        router: { forwarding: true },
        right: { routes: [{ to: "10.1.0.0/24", via: "10.2.0.254" }] },
      },
      links: [
        {
          name: "l",
          ends: [{ vnet: "left", addresses: ["10.1.0.1/24", "2001:db8:0:0::1/64"] }, {
            vnet: "router",
            addresses: ["10.1.0.254/24"],
          }],
        },
        {
          name: "r",
          ends: [{ vnet: "right", addresses: ["10.2.0.1/24"] }, {
            vnet: "router",
            addresses: ["10.2.0.254/24"],
          }],
        },
      ],
    });
    await applyLab(system, three);
    const reply = await ping(system.vnet("left"), "10.2.0.1", { count: 1 });
    assertEquals(reply.received, 1);
    assertEquals(lines(system, three), []);
    assertEquals(
      (await api.call("POST", "/api/lab/diff", (await api.call("GET", "/api/lab")).body)).body.steps,
      [],
    );

    // One address and one route differ; a move takes its addresses along.
    const moved = structuredClone(three) as Record<string, Json>;
    moved.links[0].ends[0].addresses = ["10.1.0.2/24"];
    assertEquals(lines(system, moved as Lab), [
      "- route 0.0.0.0/0 via 10.1.0.254 in left",
      "- 10.1.0.1/24 on left:la",
      "- 2001:db8::1/64 on left:la",
      "+ 10.1.0.2/24 on left:la",
      "+ route 0.0.0.0/0 via 10.1.0.254 in left",
    ]);
    const total = lines(system, EMPTY).length;
    const declared = labOf(system);
    for (let k = 0; k < total - 1; k++) {
      const stop = new AbortController();
      let seen = 0;
      const e = await assertRejects(
        () => applyLab(system, EMPTY, { signal: stop.signal, onStep: () => seen++ === k && stop.abort() }),
        SoftcError,
      );
      assertEquals(e.state, "as before", e.message);
      assertEquals(sorted(labOf(system)), sorted(declared), `after step ${k}`);
    }
    await applyLab(system, moved as Lab);
    assertEquals((await ping(system.vnet("right"), "10.1.0.2", { count: 1 })).received, 1);
    await applyLab(system, EMPTY);
    assertEquals(state(api), before);
  }));

/** A lab whose lists are in one order. */
function sorted(l: Lab): unknown {
  return JSON.parse(
    JSON.stringify(l),
    (_, v) => Array.isArray(v) ? v.map((x) => JSON.stringify(x)).sort() : v,
  );
}

Deno.test("every example lab fits the schema", () => {
  const folder = new URL("../../examples/", import.meta.url);
  const files = [...Deno.readDirSync(folder)].filter((f) => f.name.endsWith(".json"));
  assert(files.length > 0);
  for (const { name } of files) parseLab(Deno.readTextFileSync(new URL(name, folder)), name);
});
