import { assert, assertEquals } from "@std/assert";
import { ModuleAllowList } from "../../control/allow.ts";
import { SoftcError } from "../../mod.ts";
import { plainHttp, withApi } from "./helper.ts";

Deno.test("a foreign Host is refused, with and without a token", () =>
  withApi({}, async ({ server }) => {
    const { host, port } = new URL(server.url);
    const token = `Authorization: Bearer ${server.token}`;
    for (
      const foreign of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1:1",
      ]
    ) {
      for (const path of ["/health", "/api/if"]) {
        const { status, text } = await plainHttp(
          server.url,
          `GET ${path} HTTP/1.1\nHost: ${foreign}\n${token}`,
        );
        assertEquals([status, text.includes("SOFTC_API_HOST")], [403, true], `${foreign} ${path}`);
      }
    }
    const broken = await plainHttp(server.url, `GET /health HTTP/1.1\nHost: 127.0.0.1:${port}.evil.example`);
    assertEquals([broken.status, broken.text.includes("SOFTC_API_INPUT")], [400, true]);
    for (const own of [host, `localhost:${port}`, `LOCALHOST:${port}`]) {
      assertEquals(
        (await plainHttp(server.url, `GET /api/if HTTP/1.1\nHost: ${own}\n${token}`)).status,
        200,
        own,
      );
    }
  }));

Deno.test("another origin is refused, even with the token", () =>
  withApi({}, async ({ raw, server }) => {
    const headers = { authorization: `Bearer ${server.token}` };
    for (
      const origin of [
        "http://evil.example",
        "null",
        server.url.replace("http:", "https:"),
        "http://127.0.0.1:1",
      ]
    ) {
      const r = await raw("/api/if", { headers: { ...headers, origin } });
      assertEquals([r.status, (await r.json()).code], [403, "SOFTC_API_ORIGIN"], origin);
    }
    const own = await raw("/api/if", { headers: { ...headers, origin: server.url } });
    await own.body?.cancel();
    assertEquals(own.status, 200);
  }));

Deno.test("the token is swapped for a cookie that reads, and writes only with the Origin", () =>
  withApi({}, async ({ raw, server }) => {
    const swap = await raw("/api/session", {
      method: "POST",
      headers: { authorization: `Bearer ${server.token}`, origin: server.url },
    });
    assertEquals(swap.status, 204);
    const set = swap.headers.get("set-cookie")!;
    for (const part of ["HttpOnly", "SameSite=Strict", "Path=/"]) assert(set.includes(part), set);
    assert(!set.includes(server.token));
    const cookie = set.split(";")[0]!;
    const as = async (method: string, path: string, more: Record<string, string> = {}): Promise<number> => {
      const r = await raw(path, {
        method,
        headers: { cookie, "content-type": "application/json", ...more },
        ...(method === "POST" ? { body: JSON.stringify({ name: "v" }) } : {}),
      });
      await r.body?.cancel();
      return r.status;
    };
    assertEquals(await as("GET", "/api/if"), 200);
    assertEquals(await as("POST", "/api/vnet"), 403);
    assertEquals(await as("POST", "/api/vnet", { origin: "http://evil.example" }), 403);
    assertEquals(await as("POST", "/api/vnet", { origin: server.url }), 201);
    assertEquals(await as("DELETE", "/api/session", { origin: server.url }), 204);
    assertEquals(await as("GET", "/api/if"), 401);
  }));

Deno.test("a wrong token, an empty one and one in the wrong place are refused", () =>
  withApi({}, async ({ raw, server }) => {
    const { token } = server;
    const bad = [
      "Bearer",
      "Bearer x",
      `Bearer ${token.slice(1)}`,
      `Bearer ${token}x`,
      `Basic ${token}`,
      token,
    ];
    for (const authorization of bad) {
      const r = await raw("/api/if", { headers: { authorization } });
      await r.body?.cancel();
      assertEquals(r.status, 401, authorization);
    }
    const query = await raw(`/api/if?token=${token}`);
    await query.body?.cancel();
    assertEquals(query.status, 401);
  }));

Deno.test("a body over the limit is refused, whether or not it says its length", () =>
  withApi({ limits: { bodyBytes: 1000 } }, async ({ raw, server, kernel }) => {
    const headers = { authorization: `Bearer ${server.token}`, "content-type": "application/json" };
    const big = JSON.stringify({ name: "v", parent: "x".repeat(2000) });
    const told = await raw("/api/vnet", { method: "POST", headers, body: big });
    assertEquals([told.status, (await told.json()).code], [413, "SOFTC_API_SIZE"]);
    const chunks = new ReadableStream<Uint8Array>({
      start(c) {
        for (let i = 0; i < 20; i++) c.enqueue(new TextEncoder().encode(" ".repeat(100)));
        c.enqueue(new TextEncoder().encode('{"name":"v"}'));
        c.close();
      },
    });
    const untold = await raw("/api/vnet", { method: "POST", headers, body: chunks });
    assertEquals([untold.status, (await untold.json()).code], [413, "SOFTC_API_SIZE"]);
    assertEquals(kernel.vnets.length, 1);
  }));

Deno.test("too many requests are told to wait; strangers do not use up the owner's share", () =>
  withApi({ limits: { requestsPerSecond: 20, strangersPerSecond: 5 } }, async ({ raw, call }) => {
    const strangers: number[] = [];
    for (let i = 0; i < 12; i++) {
      const r = await raw("/api/if");
      await r.body?.cancel();
      strangers.push(r.status);
    }
    assertEquals(strangers.slice(0, 5), [401, 401, 401, 401, 401]);
    assert(strangers.includes(429), String(strangers));
    assertEquals((await call("GET", "/api/if")).status, 200);
    let limited: Awaited<ReturnType<typeof call>> | undefined;
    for (let i = 0; i < 60 && limited === undefined; i++) {
      const r = await call("GET", "/api/if");
      if (r.status === 429) limited = r;
    }
    assertEquals(limited?.body.code, "SOFTC_API_LIMIT");
    assert(Number(limited?.headers.get("retry-after")) >= 1);
    const health = await raw("/health");
    await health.body?.cancel();
    assertEquals(health.status, 200);
  }));

Deno.test("answers forbid framing, sniffing and foreign scripts", () =>
  withApi({}, async ({ raw }) => {
    const r = await raw("/health");
    await r.body?.cancel();
    assert(r.headers.get("content-security-policy")!.includes("default-src 'none'"));
    assertEquals(r.headers.get("x-content-type-options"), "nosniff");
    assertEquals(r.headers.get("access-control-allow-origin"), null);
  }));

Deno.test("modules load from allowed places only", () =>
  withApi({}, async ({ call, kernel }) => {
    for (
      const module of [
        "data:text/javascript,export default 1",
        "https://evil.example/x.js",
        "./examples/x.ts",
        "/etc/x.ts",
        "hono",
      ]
    ) {
      const r = await call("POST", "/api/module", { module });
      assertEquals([r.status, r.body.code], [403, "SOFTC_API_MODULE"], module);
    }
    assertEquals(kernel.modules.list(), []);
  }));

Deno.test("the allow-list cannot be stepped out of", () => {
  const list = new ModuleAllowList(["file:///opt/drivers/", "https://ok.example/one.js", "@scope/driver"]);
  const admits = (spec: string): boolean => {
    try {
      list.admit(spec);
      return true;
    } catch (e) {
      assert(e instanceof SoftcError && e.code === "SOFTC_API_MODULE");
      return false;
    }
  };
  for (
    const good of [
      "file:///opt/drivers/a.ts",
      "file:///opt/drivers/x/../a.ts",
      "https://ok.example/one.js",
      "@scope/driver",
      "softc:lo",
    ]
  ) {
    assert(admits(good), good);
  }
  for (
    const bad of [
      "file:///opt/drivers/../x.ts",
      "file:///opt/drivers/%2e%2e/x.ts",
      "file:///opt/drivers/..%2fx.ts",
      "file:///opt/drivers/..%5Cx.ts",
      "file:///opt/driversx/a.ts",
      "https://ok.example/one.js/../two.js",
      "https://ok.example.evil/one.js",
      "@scope/driver/other",
      "softc:../x",
      "SOFTC:lo",
    ]
  ) assert(!admits(bad), bad);
});
