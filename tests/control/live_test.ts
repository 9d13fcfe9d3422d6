import { assert, assertEquals } from "@std/assert";
import { type Api, type Json, withApi } from "./helper.ts";

interface Message {
  readonly event: string;
  readonly id?: string;
  readonly data: Json;
}

/** Reads server-sent events until told to stop. */
async function* messages(
  api: Api,
  signal: AbortSignal,
  last?: string,
): AsyncGenerator<Message> {
  const r = await api.raw("/api/live", {
    headers: {
      authorization: `Bearer ${api.server.token}`,
      ...(last === undefined ? {} : { "last-event-id": last }),
    },
    signal,
  });
  assertEquals(r.headers.get("content-type"), "text/event-stream");
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of r.body!) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = Object.fromEntries(
        text.slice(0, end).split("\n").map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]),
      );
      text = text.slice(end + 2);
      yield {
        event: fields.event!,
        data: JSON.parse(fields.data!),
        ...(fields.id === undefined ? {} : { id: fields.id }),
      };
    }
  }
}

/** The first messages that are wanted; samples are left out unless asked for. */
async function take(
  api: Api,
  n: number,
  o: { last?: string; then?: () => Promise<unknown>; samples?: boolean } = {},
) {
  const leave = new AbortController();
  const deadline = setTimeout(() => leave.abort(new Error(`no ${n} messages within 10 s`)), 10_000);
  const got: Message[] = [];
  try {
    for await (const m of messages(api, leave.signal, o.last)) {
      if ((m.event === "sample") !== (o.samples ?? false)) continue;
      got.push(m);
      if (got.length === 1) await o.then?.();
      if (got.length === n) break;
    }
  } finally {
    clearTimeout(deadline);
    leave.abort();
  }
  return got;
}

Deno.test("the live stream is a snapshot and every change after it", () =>
  withApi({}, async (api) => {
    const got = await take(api, 3, {
      then: async () => {
        await api.call("POST", "/api/module", { module: "softc:loopback" });
        await api.call("POST", "/api/vnet", { name: "a" });
      },
    });
    assertEquals(got.map((m) => [m.event, m.data.type]), [["snapshot", "snapshot"], ["event", "module"], [
      "event",
      "vnet",
    ]]);
    assertEquals(got[0]!.data.state.vnets.map((v: Json) => v.name), ["vnet0"]);
    assertEquals(got[2]!.data.seq, got[1]!.data.seq + 1);
  }));

Deno.test("a stream goes on where it broke, and starts anew when that is another kernel's or unknown", () =>
  withApi({}, async (api) => {
    await api.call("POST", "/api/vnet", { name: "a" });
    const [snapshot] = await take(api, 1);
    await api.call("POST", "/api/vnet", { name: "b" });
    await api.call("POST", "/api/vnet", { name: "c" });
    const missed = await take(api, 2, { last: snapshot!.id! });
    assertEquals(missed.map((m) => [m.event, m.data.name]), [["event", "b"], ["event", "c"]]);
    const [other] = await take(api, 1, { last: "elsewhere-1" });
    assertEquals(other!.event, "snapshot");
    const [ahead] = await take(api, 1, { last: snapshot!.id!.replace(/-\d+$/, "-999999") });
    assertEquals(ahead!.event, "snapshot");
  }));

Deno.test("samples come while somebody listens", () =>
  withApi({}, async (api) => {
    await api.call("POST", "/api/module", { module: "softc:loopback" });
    await api.call("POST", "/api/if", { vnet: "vnet0", cloner: "lo", up: true });
    const [sample] = await take(api, 1, { samples: true });
    assertEquals(sample!.data.ifnets.map((i: Json) => i.opackets), [0]);
    assert(sample!.id === undefined);
  }));

Deno.test("streams are limited, and a closed one makes room", () =>
  withApi({ limits: { streams: 2 } }, async (api) => {
    const open = async (): Promise<[number, AbortController, Response]> => {
      const leave = new AbortController();
      const r = await api.raw("/api/live", {
        headers: { authorization: `Bearer ${api.server.token}` },
        signal: leave.signal,
      });
      return [r.status, leave, r];
    };
    const close = async ([, leave, r]: [number, AbortController, Response]): Promise<void> => {
      leave.abort();
      await r.body?.cancel().catch(() => {});
    };
    const a = await open(), b = await open(), c = await open();
    assertEquals([a[0], b[0], c[0]], [200, 200, 429]);
    await close(c);
    await close(a);
    let d = await open();
    for (const end = performance.now() + 5000; d[0] !== 200 && performance.now() < end; d = await open()) {
      await close(d);
    }
    assertEquals(d[0], 200);
    await close(b);
    await close(d);
  }));
