import { assert, assertEquals } from "@std/assert";
import {
  ifCloneCreate,
  ifCloneDestroy,
  ifVmove,
  type KernelEvent,
  type Snapshot,
  type Subscription,
  vnetCreate,
  vnetDestroy,
} from "../../mod.ts";
import { Events } from "../../core/net/event.ts";
import { until, withKernel } from "./rig.ts";

async function take(s: Subscription, n: number): Promise<(Snapshot | KernelEvent)[]> {
  const got: (Snapshot | KernelEvent)[] = [];
  while (got.length < n) {
    const { value, done } = await s.next();
    if (done === true) break;
    got.push(value);
  }
  return got;
}

/** Whatever is queued now. */
async function drain(s: Subscription): Promise<KernelEvent[]> {
  s.close();
  const rest: KernelEvent[] = [];
  for await (const e of s) if (e.type !== "snapshot") rest.push(e);
  return rest;
}

const text = (e: Snapshot | KernelEvent): string =>
  e.type === "snapshot" ? "snapshot" : `${e.type} ${e.name}${e.vnet === undefined ? "" : ` in ${e.vnet}`}`;

Deno.test("[B17] events of one interface come in the stated order, across a move", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const s = k.subscribe();
    const when: unknown[] = [];
    k.events.listen((e) => {
      if (e.type !== "arrival" && e.type !== "departure") return;
      const linked = k.vnets.some((v) => v.ifnets.some((x) => x.handle === e.handle));
      when.push([e.type, linked, k.resolve(e.handle!) === "live"]);
    });
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    await i.up();
    await i.set({ name: "wan", mtu: 1400 });
    const { ifnet } = await ifVmove(i, b);
    await ifCloneDestroy(ifnet);
    await vnetDestroy(b);
    const events = await drain(s);
    assertEquals(events.map(text), [
      "arrival probe0 in vnet0",
      "up probe0 in vnet0",
      "rename wan in vnet0",
      "change wan in vnet0",
      "down wan in vnet0",
      "departure wan in vnet0",
      "arrival wan in b",
      "up wan in b",
      "down wan in b",
      "departure wan in b",
      "freed wan",
      "vnet gone b",
    ]);
    const once = [["arrival", true, true], ["departure", false, false]];
    assertEquals(when, [...once, ...once], "arrival after link, departure after unlink");
    const [first] = events;
    assertEquals(events.map((e) => e.seq - first!.seq), events.map((_, n) => n), "one sequence, no gap");
    assertEquals(new Set(events.slice(0, 6).map((e) => e.handle)), new Set([i.handle]));
    assertEquals(new Set(events.slice(6, 11).map((e) => e.handle)), new Set([ifnet.handle]));
  });
});

Deno.test("[B17] nothing of an interface comes after its departure but that it is freed, under churn", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const s = k.subscribe();
    for (let n = 0; n < 20; n++) {
      const [i] = await ifCloneCreate(k.vnet0, "probes");
      const quiet = (p: Promise<unknown>): Promise<unknown> => p.catch(() => {});
      await Promise.all([
        quiet(i.up()),
        quiet(ifVmove(i, b)),
        quiet(i.set({ mtu: 1400 + n, promisc: true })),
        quiet(i.down()),
        n % 2 === 0 ? quiet(ifCloneDestroy(i)) : undefined,
      ]);
      await quiet(ifCloneDestroy(i));
    }
    const state = new Map<number, "here" | "away">();
    for (const e of await drain(s)) {
      if (e.handle === undefined) continue;
      if (e.type === "arrival") {
        assertEquals(state.get(e.handle), undefined, text(e));
        state.set(e.handle, "here");
      } else if (e.type === "freed" || e.type === "departure") {
        assertEquals(state.get(e.handle), e.type === "freed" ? "away" : "here", text(e));
        state.set(e.handle, "away");
      } else assertEquals(state.get(e.handle), "here", text(e));
    }
    assert(state.size >= 20);
    assert([...state.values()].every((x) => x === "away"));
  });
});

Deno.test("[B26] link changes are told while attached, and ignored before and after", async () => {
  await withKernel({}, async ({ k }) => {
    await k.modules.load("softc:epair");
    const s = k.subscribe();
    const [a] = await ifCloneCreate(k.vnet0, "epair");
    assertEquals(a.toJSON().link, "up");
    k.parts.net.cpu.handle({ kind: 20, ticket: 0, a: a.index, b: 1, c: 1, d: 0, text: "" });
    await ifCloneDestroy(a);
    k.parts.net.cpu.handle({ kind: 20, ticket: 0, a: a.index, b: 1, c: 2, d: 0, text: "" });
    const types = (await drain(s)).filter((e) => e.name === a.name).map((e) => e.type);
    assertEquals(types, ["arrival", "link", "departure", "freed"]);
  });
});

Deno.test("a listener that throws is told of, and what it was told of goes on", async () => {
  await withKernel({ cpus: 2 }, async ({ k, probe, faults }) => {
    await probe();
    const b = await vnetCreate(k.vnet0, "b");
    const off = k.events.listen(() => {
      throw new Error("planted");
    });
    const heard: string[] = [];
    k.events.listen((e) => void heard.push(e.type));
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    await i.up();
    const { ifnet } = await ifVmove(i, b);
    assertEquals([ifnet.state, ifnet.toJSON().flags.includes("UP")], ["attached", true]);
    await ifCloneDestroy(ifnet);
    off();
    assertEquals(heard, [
      "arrival",
      "up",
      "down",
      "departure",
      "arrival",
      "up",
      "down",
      "departure",
      "freed",
    ]);
    assertEquals(
      faults.map((e) => e.message.includes("An event listener threw: planted")),
      heard.map(() => true),
    );
  });
});

Deno.test("a subscription is a snapshot and everything after it, without a gap", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const s = k.subscribe();
    await i.up();
    const [snapshot, up] = await take(s, 2);
    assert(snapshot?.type === "snapshot" && up !== undefined);
    const state = snapshot.state as { ifnets: { name: string; flags: string[] }[] };
    assertEquals(state.ifnets.map((x) => [x.name, x.flags.includes("UP")]), [["probe0", false]]);
    assertEquals([up.seq, text(up)], [snapshot.seq + 1, "up probe0 in vnet0"]);
    s.close();
  });
});

Deno.test("a subscription goes on after the event that it names, while that is kept", async () => {
  await withKernel({}, async ({ k, probe }) => {
    await probe();
    const [i] = await ifCloneCreate(k.vnet0, "probe");
    const after = k.events.seq;
    await i.up();
    await i.down();
    assertEquals((await take(k.subscribe({ after }), 2)).map((e) => [e.seq, e.type]), [
      [after + 1, "up"],
      [after + 2, "down"],
    ]);
    const late = k.subscribe({ after: k.events.seq });
    await i.up();
    assertEquals((await take(late, 1)).map((e) => e.type), ["up"]);
    for (const unknown of [k.events.seq + 1, -1, NaN]) {
      assertEquals((await take(k.subscribe({ after: unknown }), 1))[0]!.type, "snapshot", String(unknown));
    }
    const v = await vnetCreate(k.vnet0, "v");
    const only = k.subscribe({ vnet: v });
    await i.down();
    await ifCloneCreate(v, "probe");
    assertEquals((await take(only, 2)).map(text), ["snapshot", "arrival probe0 in v"]);
  });
});

Deno.test("who falls too far behind gets a new snapshot, taken when it is read, and what comes after it", async () => {
  let value = 0;
  const events = new Events(() => 0, () => ({ value }), () => {});
  const s = events.subscribe(undefined, () => true);
  // `down` is told before it is so: a snapshot taken while it is told would miss it.
  const change = (n: number): void => {
    events.emit("down", String(n));
    value = n;
  };
  for (let n = 1; n <= 1500; n++) change(n);
  const first = await s.next();
  assertEquals(first.value, { type: "snapshot", seq: 1500, state: { value: 1500 } });
  change(1501);
  assertEquals((await s.next()).value?.seq, 1501);
  // Too old to go on after: a snapshot.
  const [again] = await take(events.subscribe(3, () => true), 1);
  assertEquals(again, { type: "snapshot", seq: 1501, state: { value: 1501 } });
  events.close();
});

Deno.test("a subscription ends when it is left, closed, or the kernel goes", async () => {
  await withKernel({}, async ({ k }) => {
    for await (const e of k.subscribe()) if (e.type === "snapshot") break;
    assertEquals(k.events.subscribers, 0);
    const s = k.subscribe();
    await s.next();
    const waiting = s.next();
    s.close();
    assertEquals(await waiting, { done: true, value: undefined });
    const open = k.subscribe();
    await open.next();
    const last = (async () => {
      for await (const e of open) if (e.type === "snapshot") throw new Error("no second snapshot");
    })();
    await k.shutdown();
    await last;
    await until("closed", () => k.events.subscribers === 0);
  });
});
