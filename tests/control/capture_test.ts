/** Captures: a resource of the API, and a command. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Capture, readCapture } from "../../drivers/pcap/mod.ts";
import { until, untilAsync } from "../core/kit.ts";
import { type Api, type Json, softc, withApi, withSession } from "./helper.ts";

/** An API with a loopback that is up, and a way to send through it. */
const withLoopback = (fn: (api: Api & { send(count: number): Promise<void> }) => Promise<void>) =>
  withApi({}, async (api) => {
    await api.call("POST", "/api/module", { module: "softc:loopback" });
    await api.call("POST", "/api/if", { vnet: "vnet0", cloner: "lo", up: true });
    let streams = 0;
    const send = async (count: number): Promise<void> => {
      const name = `t${++streams}`;
      const made = await api.call("POST", "/api/traffic", {
        name,
        vnet: "vnet0",
        ifnet: "lo0",
        bytes: 80,
        count,
      });
      assertEquals(made.status, 201);
      await untilAsync("they are sent", async () => {
        const lo0 = (await api.call("GET", "/api/if/lo0")).body;
        return lo0.counters.ipackets >= count;
      });
      await api.call("DELETE", `/api/traffic/${name}`);
    };
    await fn({ ...api, send });
  });

async function fetched(api: Api, id: string, query = ""): Promise<Capture> {
  const r = await api.raw(`/api/capture/${id}/pcapng${query}`, {
    headers: { authorization: `Bearer ${api.server.token}` },
  });
  assertEquals([r.status, r.headers.get("content-type")], [200, "application/x-pcapng"]);
  return readCapture(new Uint8Array(await r.arrayBuffer()), id);
}

Deno.test("a capture is begun, listed, fetched while it runs, stopped and deleted", () =>
  withLoopback(async (api) => {
    const { call, send } = api;
    const made = await call("POST", "/api/capture", { ifnet: "lo0", snap: 60, seconds: 3600 });
    assertEquals([made.status, made.body.running, made.body.ifnet], [201, true, "lo0"]);
    await send(3);
    await untilAsync("all are in", async () => (await call("GET", "/api/capture/1")).body.packets === 9);
    const now = await fetched(api, "1");
    // Nobody listens there: each is seen once more, with the reason for which the stack drops it.
    assertEquals(now.frames.map((f) => [f.bytes.length, f.originalLength, f.direction, f.dropReason]), [
      ...Array.from({ length: 3 }, () => [60, 80, "out", undefined]),
      ...Array.from({ length: 3 }, () => [60, 80, "in", undefined]),
      ...Array.from({ length: 3 }, () => [60, 80, "in", "nosocket"]),
    ]);
    assertEquals((await call("GET", "/api/capture")).body.map((c: Json) => c.id), ["1"]);
    const stopped = await call("POST", "/api/capture/1/stop");
    assertEquals([stopped.body.running, stopped.body.ended], [false, "it was stopped"]);
    await send(5);
    assertEquals((await fetched(api, "1", "?follow=true")).frames.length, 9);
    assertEquals((await call("DELETE", "/api/capture/1")).status, 204);
    assertEquals((await call("GET", "/api/capture")).body, []);
    const gone = await call("GET", "/api/capture/1/pcapng");
    assertEquals([gone.status, gone.body.code], [404, "SOFTC_API_CAPTURE"]);
  }));

Deno.test("a capture is read as it grows, and ends by count, by bytes, or with its interface", () =>
  withLoopback(async (api) => {
    const { call, send } = api;
    await call("POST", "/api/capture", { ifnet: "lo0", count: 10, seconds: 3600 });
    const followed = fetched(api, "1", "?follow=true");
    await send(20);
    assertEquals((await followed).frames.length, 10);
    assertEquals((await call("GET", "/api/capture/1")).body.ended, "it has its packets");

    await call("POST", "/api/capture", { ifnet: "lo0", bytes: 4096, seconds: 3600 });
    await send(100);
    await untilAsync("it is full", async () => !(await call("GET", "/api/capture/2")).body.running);
    const { bytes, ended } = (await call("GET", "/api/capture/2")).body;
    assert(bytes >= 4096 && bytes < 4096 + 256, String(bytes));
    assertEquals(ended, "it is full");

    await call("POST", "/api/capture", { ifnet: "lo0", seconds: 3600 });
    await call("DELETE", "/api/if/lo0");
    await untilAsync("it went", async () => !(await call("GET", "/api/capture/3")).body.running);
    assertEquals((await call("GET", "/api/capture/3")).body.ended, "the interface went");
  }));

Deno.test("what an interface drops is in the capture with its reason", () =>
  withApi({}, async (api) => {
    const { call, server: { system } } = api;
    await call("PUT", "/api/lab", {
      vnets: { a: {}, b: {} },
      links: [{ name: "w", netem: { rate: 1 }, ends: [{ vnet: "a" }, { vnet: "b" }] }],
    });
    await call("POST", "/api/capture", { ifnet: "wa", seconds: 3600 });
    await call("POST", "/api/traffic", { name: "t", vnet: "a", ifnet: "wa", count: 600 });
    await until("the queue is full", () => system.ifnet("wa").counters.oqdrops > 0);
    await call("POST", "/api/capture/1/stop");
    const { frames } = await fetched(api, "1");
    assert(frames.some((f) => f.dropReason === "full"), "no frame was dropped as full");
  }));

Deno.test("captures are limited, and end with the server", () =>
  withLoopback(async ({ call, server, kernel }) => {
    for (let n = 0; n < 16; n++) {
      assertEquals((await call("POST", "/api/capture", { ifnet: "lo0" })).status, 201);
    }
    const more = await call("POST", "/api/capture", { ifnet: "lo0" });
    assertEquals([more.status, more.body.code], [429, "SOFTC_API_LIMIT"]);
    assertEquals((await call("DELETE", "/api/capture/7")).status, 204);
    assertEquals((await call("POST", "/api/capture", { ifnet: "lo0" })).status, 201);
    await server.close();
    assertEquals(server.system.captures.list(), []);
    assertEquals(kernel.inspect().waits.filter((w) => w.includes("tap")), []);
  }));

Deno.test("a download whose reader leaves is over", () =>
  withLoopback(async ({ call, raw, server }) => {
    await call("POST", "/api/capture", { ifnet: "lo0", seconds: 3600 });
    const leave = new AbortController();
    const response = await raw("/api/capture/1/pcapng?follow=true", {
      headers: { authorization: `Bearer ${server.token}` },
      signal: leave.signal,
    });
    const open = async (): Promise<boolean> =>
      (await call("GET", "/metrics")).body.includes("\nsoftc_api_streams 1\n");
    assert(await open());
    leave.abort();
    await response.body?.cancel().catch(() => {});
    await untilAsync("it is over", async () => !(await open()));
  }));

Deno.test("softc capture: live to a file, kept, saved and deleted", () =>
  withSession({}, async (session, { call, server: { system } }) => {
    await call("POST", "/api/module", { module: "softc:loopback" });
    await call("POST", "/api/if", { vnet: "vnet0", cloner: "lo", up: true });
    const folder = await Deno.makeTempDir();
    try {
      const live = softc(
        "capture",
        "lo0",
        "--count",
        "4",
        "--write",
        `${folder}/a.pcapng`,
        "--session",
        session,
      );
      await until("it runs", () => system.captures.list().length === 1);
      await call("POST", "/api/traffic", { name: "t", vnet: "vnet0", ifnet: "lo0", count: 50 });
      const { code, out } = await live;
      assertEquals(code, 0);
      assertStringIncludes(out, `bytes in ${folder}/a.pcapng`);
      assertEquals(readCapture(Deno.readFileSync(`${folder}/a.pcapng`), "a").frames.length, 4);
      // It was the command's own: it is gone with it.
      assertEquals(system.captures.list(), []);

      const [, row] = (await softc("capture", "start", "lo0", "--session", session)).out.split("\n");
      const id = row!.split(" ")[0]!;
      assertStringIncludes((await softc("capture", "list", "--session", session)).out, "vnet0:lo0");
      assertStringIncludes((await softc("capture", "stop", id, "--session", session)).out, "it was stopped");
      const saved = await softc(
        "capture",
        "save",
        id,
        "--write",
        `${folder}/b.pcapng`,
        "--session",
        session,
        "--json",
      );
      assertEquals(JSON.parse(saved.out).bytes, Deno.statSync(`${folder}/b.pcapng`).size);
      assertEquals((await softc("capture", "delete", id, "--session", session)).code, 0);
      const kept = `${folder}/b.pcapng`;
      const { size } = Deno.statSync(kept);
      for (const args of [["save", id], ["live", "nothing0"]]) {
        const refused = await softc("capture", ...args, "--write", kept, "--session", session);
        assertEquals([refused.code, Deno.statSync(kept).size], [1, size], "what is refused touches no file");
      }
      const nowhere = await softc(
        "capture",
        "lo0",
        "--count",
        "1",
        "--write",
        "/nonexistent/x",
        "--session",
        session,
      );
      assertEquals(nowhere.code, 3);
      assertStringIncludes(nowhere.err, "SOFTC_PCAP_FILE");
      assertEquals(system.captures.list(), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }));
