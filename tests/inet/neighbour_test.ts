/**
 * The neighbour table by its rules (vnet/inet/neighbour.ts; the numbers are its arguments').
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { LLE, NEIGH } from "../../vnet/inet/layout.ts";
import {
  HELD,
  HOLD_MAX,
  HOLD_REFUSED,
  holdPush,
  holdTake,
  LEARN,
  ND,
  neighbourAge,
  neighbourClaim,
  neighbourLearn,
  neighbourRead,
  neighbours,
  NeighbourView,
} from "../../vnet/inet/neighbour.ts";

const LINKS = NEIGH.WORDS;
const linkOf = (id: number): number => LINKS + id;

function table(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * (NEIGH.WORDS + 1024)));
}

Deno.test("an unknown neighbour is claimed once; learning resolves it", () => {
  const a = table();
  const e = neighbourClaim(a, 0, 1, 0, 0, 0);
  assert(e < 0, "made now");
  assertEquals(neighbourClaim(a, 0, 1, 0, 0, 0), -e);
  const view = new NeighbourView();
  assertEquals(neighbourRead(a, 0, 1, 0, 0, 0, view), -e);
  assertEquals(view.state, ND.incomplete);
  assertEquals(neighbourLearn(a, 0, 1, 0, 0, 0, 7, 8, LEARN.known | LEARN.confirmed), -e);
  neighbourRead(a, 0, 1, 0, 0, 0, view);
  assertEquals([view.state, view.macHigh, view.macLow], [ND.reachable, 7, 8]);
});

Deno.test("what is only known is not created; what contradicts without the right is only doubted (RFC 4861 7.2.5)", () => {
  const a = table();
  const view = new NeighbourView();
  assertEquals(neighbourLearn(a, 0, 1, 0, 0, 0, 7, 8, LEARN.known | LEARN.override), 0);
  assertEquals([...neighbours(a, 0)], []);
  neighbourLearn(a, 0, 1, 0, 0, 0, 7, 8, LEARN.create | LEARN.confirmed);
  neighbourLearn(a, 0, 1, 0, 0, 0, 9, 9, LEARN.known | LEARN.confirmed);
  neighbourRead(a, 0, 1, 0, 0, 0, view);
  assertEquals([view.state, view.macHigh], [ND.stale, 7]);
  neighbourLearn(a, 0, 1, 0, 0, 0, 9, 9, LEARN.known | LEARN.override);
  neighbourRead(a, 0, 1, 0, 0, 0, view);
  assertEquals([view.state, view.macHigh], [ND.stale, 9]);
  neighbourLearn(a, 0, 1, 0, 0, 0, 5, 5, LEARN.permanent);
  neighbourLearn(a, 0, 1, 0, 0, 0, 9, 9, LEARN.known | LEARN.override);
  neighbourRead(a, 0, 1, 0, 0, 0, view);
  assertEquals([view.state, view.macHigh], [ND.permanent, 5]);
});

Deno.test("aging loses against news", () => {
  const a = table();
  neighbourLearn(a, 0, 1, 0, 0, 0, 7, 8, LEARN.create | LEARN.confirmed);
  const [e] = [...neighbours(a, 0)] as [number];
  assertEquals(neighbourAge(a, 0, e, ND.reachable, ND.stale), false, "it was heard of since CPU 0 looked");
  Atomics.store(a, e + LLE.heard, 0);
  assertEquals(neighbourAge(a, 0, e, ND.stale, ND.none), false, "it is in another state");
  assertEquals(neighbourAge(a, 0, e, ND.reachable, ND.stale), true);
});

Deno.test("a hold queue is bounded, taken whole, oldest first, and closed at teardown (arguments 4 and 7)", () => {
  const a = table();
  const e = -neighbourClaim(a, 0, 1, 0, 0, 0);
  const ids = new Int32Array(HOLD_MAX + 1);
  for (let i = 0; i < HOLD_MAX; i++) assertEquals(holdPush(a, e, i, linkOf(i)), HELD);
  assertEquals(holdPush(a, e, 99, linkOf(99)), HOLD_REFUSED);
  assertEquals(holdTake(a, e, ids, linkOf), HOLD_MAX);
  assertEquals([...ids.subarray(0, HOLD_MAX)], Array.from({ length: HOLD_MAX }, (_, i) => i));
  assertEquals(holdTake(a, e, ids, linkOf), 0);
  assertEquals(holdPush(a, e, 3, linkOf(3)), HELD);
  assertEquals(holdTake(a, e, ids, linkOf, true), 1);
  assertEquals(holdPush(a, e, 4, linkOf(4)), HOLD_REFUSED);
  assertEquals(holdTake(a, e, ids, linkOf, true), 0);
});

Deno.test("a table that is full gives up what is stale and holds nothing, and refuses otherwise", () => {
  const a = table();
  let refused = 0;
  for (let i = 1; i <= 1000; i++) if (neighbourClaim(a, 0, i, 0, 0, 0) === 0) refused++;
  assertEquals([...neighbours(a, 0)].length + refused, 1000);
  assert(refused >= 1000 - NEIGH.COUNT);
  const all = [...neighbours(a, 0)];
  for (const e of all) {
    Atomics.store(a, e + LLE.state, ND.stale);
    Atomics.store(a, e + LLE.hold, 1 << 24 | 1);
  }
  assertEquals(neighbourClaim(a, 0, 5000, 0, 0, 0), 0, "all hold something");
  for (const e of all) Atomics.store(a, e + LLE.hold, 0);
  assert(neighbourClaim(a, 0, 5000, 0, 0, 0) < 0);
});

Deno.test("a writer that does not get the lock gives up; a reader of an entry that is being written believes nothing", () => {
  const a = table();
  neighbourLearn(a, 0, 1, 0, 0, 0, 7, 8, LEARN.create | LEARN.confirmed);
  const [e] = [...neighbours(a, 0)] as [number];
  Atomics.store(a, NEIGH.lock, 1);
  Atomics.add(a, e + LLE.version, 1);
  assertEquals(neighbourLearn(a, 0, 1, 0, 0, 0, 9, 9, LEARN.known | LEARN.override), 0);
  assertEquals(neighbourClaim(a, 0, 2, 0, 0, 0), 0);
  const view = new NeighbourView();
  assertEquals(neighbourRead(a, 0, 1, 0, 0, 0, view), e);
  assertEquals(view.state, ND.incomplete);
});

Deno.test("a reader never pairs halves of two MAC addresses while another thread writes (argument 3)", async () => {
  const a = table();
  const stop = a.length - 1;
  const worker = new Worker(new URL("./neighbour_worker.ts", import.meta.url), { type: "module" });
  try {
    const done = new Promise<number>((resolve) => worker.onmessage = (e) => resolve(e.data as number));
    worker.postMessage({ memory: a.buffer, stop });
    const view = new NeighbourView();
    let believed = 0;
    for (const end = performance.now() + 10_000; believed < 200_000 && performance.now() < end;) {
      for (let i = 0; i < 1000; i++) {
        if (neighbourRead(a, 0, 1, 2, 3, 4, view) === 0 || view.state !== ND.reachable) continue;
        believed++;
        if (view.macLow !== Math.imul(view.macHigh, 0x10001)) {
          throw new Error(`${view.macHigh} ${view.macLow}`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    Atomics.store(a, stop, 1);
    assert(await done > 1000 && believed > 1000);
  } finally {
    worker.terminate();
  }
});
