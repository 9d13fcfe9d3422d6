import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { load, store } from "../../core/doors/arena.ts";
import { Epoch, GracePeriods } from "../../core/epoch/epoch.ts";
import { SoftcError } from "../../core/error.ts";
import { type Arena, ASYNC, CPU } from "../../core/memory/arena.ts";
import { boot, epochCall, epochDrain, epochOpen, type Kernel, type Section } from "../../mod.ts";
import { smallArena, until, withCleanKernel } from "./kit.ts";

/** Grace periods whose waits the test decides: `go()` tests what waits. */
function graceOf(arena: Arena) {
  const waits: { ready: () => boolean; resolve: () => void }[] = [];
  const synced: number[] = [];
  const grace = new GracePeriods(arena, {
    until: (_label, _words, ready) => new Promise((resolve) => waits.push({ ready, resolve })),
    sync: (k) => void synced.push(k),
    operations: () => 1,
    now: () => 0,
  });
  const go = async (): Promise<void> => {
    await settle();
    for (const w of waits.splice(0)) w.ready() ? w.resolve() : waits.push(w);
    await settle();
  };
  return { grace, go, synced };
}

/** Lets microtasks run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

/** Whether a promise has resolved. */
function watch(p: Promise<void>): { done: boolean } {
  const state = { done: false };
  void p.then(() => state.done = true);
  return state;
}

const record = (arena: Arena, k: number): number => load(arena.a, arena.cpuAt(k) + CPU.record);

Deno.test("argument 1: a record is odd inside the outermost section, and each change adds one", () => {
  const arena = smallArena();
  const e = new Epoch(arena, 1);
  const seen = [record(arena, 1)];
  e.enter();
  e.enter();
  seen.push(record(arena, 1));
  e.exit();
  assert(e.inside);
  seen.push(record(arena, 1));
  e.exit();
  seen.push(record(arena, 1));
  assertEquals(seen, [0, 1, 1, 2]);
  assertEquals(record(arena, 0), 0);
});

Deno.test("argument 1: a record runs over 2^31 without harm", async () => {
  const arena = smallArena();
  store(arena.a, arena.cpuAt(1) + CPU.record, 0x7ffffffe);
  const e = new Epoch(arena, 1);
  const { grace, go } = graceOf(arena);
  for (let i = 0; i < 3; i++) {
    e.enter();
    const w = watch(grace.wait());
    await go();
    assertEquals(w.done, false);
    e.exit();
    await go();
    assertEquals(w.done, true);
  }
});

Deno.test("[B34] argument 3: a grace period waits for the sections that are open, not for later ones", async () => {
  const arena = smallArena();
  const [e0, e1] = [new Epoch(arena, 0), new Epoch(arena, 1)];
  const { grace, go } = graceOf(arena);
  e1.enter();
  const w = watch(grace.wait());
  await go();
  assertEquals(w.done, false);
  e0.enter();
  e1.exit();
  // The CPU is inside again, in a section that opened after the snapshot.
  e1.enter();
  await go();
  assertEquals(w.done, true);
});

Deno.test("argument 6: callers before the start share a grace period, a later one gets the next", async () => {
  const arena = smallArena();
  const e1 = new Epoch(arena, 1);
  const { grace, go } = graceOf(arena);
  e1.enter();
  const early = Promise.all(Array.from({ length: 100 }, () => grace.wait()));
  await go();
  assertEquals(grace.count, 1);
  // The first has taken its snapshot: what is unlinked now needs another one.
  const late = Array.from({ length: 100 }, () => grace.wait());
  const w = watch(late[0]!);
  e1.exit();
  e1.enter();
  await go();
  await early;
  await go();
  assertEquals([w.done, grace.count], [false, 2]);
  e1.exit();
  await go();
  await Promise.all(late);
  assertEquals([w.done, grace.count, grace.busy], [true, 2, false]);
});

Deno.test("a CPU that stays inside is asked by mail; one that left is not", async () => {
  const arena = smallArena({ cpus: 3 });
  const [e1, e2] = [new Epoch(arena, 1), new Epoch(arena, 2)];
  const { grace, go, synced } = graceOf(arena);
  e2.enter();
  e2.exit();
  e1.enter();
  const w = watch(grace.wait());
  await settle();
  assertEquals(synced, [1]);
  assertEquals(grace.blame().open.map((s) => s.opener), ["CPU 1"]);
  e1.exit();
  await go();
  assertEquals([w.done, grace.blame().open], [true, []]);
});

Deno.test("argument 8: an async section holds a grace period until it is closed, and is named", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k, own }) => {
    const section = epochOpen(k, "fetch of a lease");
    const w = watch(own.control.grace.wait());
    await until("the wait", () => k.blame().some((b) => b.what === "grace period"));
    assertEquals(w.done, false);
    assertEquals(k.blame().filter((b) => b.holder.includes("fetch of a lease")).map((b) => b.what), [
      "grace period",
      "async section",
    ]);
    section.close();
    await until("the grace period", () => w.done);
    assertEquals(k.blame(), []);
  });
});

Deno.test("the table of async sections is bounded, and each closes once", async () => {
  await withCleanKernel({}, ({ k }) => {
    const open = Array.from({ length: ASYNC.RECORDS }, (_, i) => epochOpen(k, `s${i}`));
    assertEquals(assertThrows(() => epochOpen(k, "one more"), SoftcError).code, "SOFTC_EPOCH_FULL");
    open[3]!.close();
    epochOpen(k, "one more")[Symbol.dispose]();
    assertEquals(assertThrows(() => open[3]!.close(), SoftcError).code, "SOFTC_EPOCH_CLOSED");
    open[3]![Symbol.dispose]();
    for (const s of open) s[Symbol.dispose]();
  });
});

Deno.test("an opener's name that is longer than its record is cut, not written past it", async () => {
  await withCleanKernel({}, ({ k }) => {
    const [first, second] = [epochOpen(k, "x".repeat(500)), epochOpen(k, "second")];
    assertEquals(k.blame().map((b) => b.holder), [`${"x".repeat(48)} on CPU 0`, "second on CPU 0"]);
    first.close();
    second.close();
  });
});

Deno.test("[B36 B38] argument 9: callbacks run outside sections, oldest first, after a grace period of their own", async () => {
  await withCleanKernel({ cpus: 2 }, async ({ k, own }) => {
    const log: string[] = [];
    let [queuedAt, ranAt] = [0, 0];
    const section = epochOpen(k, "holder");
    epochCall(k, () => {
      log.push(`first, inside ${own.parts.cpu.epoch.inside}`);
      queuedAt = k.gracePeriods;
      epochCall(k, () => {
        log.push("nested");
        ranAt = k.gracePeriods;
      });
    });
    epochCall(k, () => void log.push("second"));
    await settle();
    assertEquals(log, []);
    section.close();
    await epochDrain(k);
    assertEquals(log.slice(0, 2), ["first, inside false", "second"]);
    await epochDrain(k);
    assertEquals(log.slice(2), ["nested"]);
    assert(ranAt > queuedAt, `queued in grace period ${queuedAt}, ran in ${ranAt}`);
  });
});

Deno.test("a callback that throws is reported, and the next ones run", async () => {
  await withCleanKernel({}, async ({ k, faults }) => {
    let ran = false;
    epochCall(k, () => {
      throw new Error("planted");
    });
    epochCall(k, () => void (ran = true));
    await epochDrain(k);
    assertEquals([ran, faults.map((e) => e.code)], [true, ["SOFTC_DRIVER_THREW"]]);
  });
});

Deno.test("[B31] a section is synchronous: a promise is refused, and its section is closed", async () => {
  await withCleanKernel({}, ({ k, own }) => {
    const asynchronous = (() => Promise.resolve(1)) as unknown as (s: Section) => number;
    assertEquals(assertThrows(() => k.section(asynchronous), SoftcError).code, "SOFTC_EPOCH_ASYNC");
    assertThrows(() =>
      k.section(() => {
        throw new RangeError("planted");
      }), RangeError);
    assertEquals(own.parts.cpu.epoch.inside, false);
  });
});

Deno.test("[B32] waiting inside a section is refused, never a hang", async () => {
  await withCleanKernel({}, async ({ k }) => {
    const inside: Promise<unknown>[] = [];
    k.section(() => {
      inside.push(epochDrain(k), k.ledger());
    });
    for (const p of inside) {
      assertEquals((await assertRejects(() => p, SoftcError)).code, "SOFTC_DEV_REENTRANT");
    }
  });
});

Deno.test("nested sections of several vnets close in their order", async () => {
  const k: Kernel = await boot();
  const depth = k.section(() => k.vnet0.section(() => k.section((s) => s.cpu)));
  assertEquals(depth, 0);
  await k.shutdown();
});
