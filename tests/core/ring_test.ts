import { assert, assertEquals } from "@std/assert";
import { ACCESS, type DoorWatch, watchDoor } from "../../core/doors/arena.ts";
import {
  RING,
  ringInit,
  ringPeek,
  ringPush,
  ringReady,
  ringRelease,
  ringRoom,
  ringStamp,
  ringWaits,
} from "../../core/memory/ring.ts";
import { ringWords } from "../../core/memory/arena.ts";

function ring(entries: number, start = 0): Int32Array {
  const a = new Int32Array(new SharedArrayBuffer(ringWords(entries) * 4));
  ringInit(a, 0, entries);
  for (const w of [RING.tail, RING.headSeen, RING.head, RING.taken, RING.tailSeen]) a[w] = start;
  return a;
}

const ids = (n: number, from = 0): Int32Array => Int32Array.from({ length: n }, (_, i) => from + i);

function pop(a: Int32Array, max: number): { ids: number[]; stamps: number[] } {
  const out: number[] = [];
  const stamps: number[] = [];
  const run = new Int32Array(max);
  for (let left = Math.min(max, ringReady(a, 0, max)); left > 0;) {
    const n = ringPeek(a, 0, run, left);
    out.push(...run.subarray(0, n));
    for (let i = 0; i < n; i++) stamps.push(ringStamp(a, 0));
    ringRelease(a, 0, n);
    left -= n;
  }
  return { ids: out, stamps };
}

/** Pushes what there is room for. */
function push(a: Int32Array, ids: Int32Array, from: number, n: number, stamp: number): number {
  const m = Math.min(n, ringRoom(a, 0, n));
  ringPush(a, 0, ids, from, m, stamp);
  return m;
}

/** Atomic accesses while `fn` runs. */
function atomics(fn: () => void): number {
  let n = 0;
  const watch: DoorWatch = { access: (_a, _w, kind) => void (kind <= ACCESS.rmw && n++) };
  const before = watchDoor(watch);
  try {
    fn();
  } finally {
    watchDoor(before);
  }
  return n;
}

Deno.test("a ring gives entries back in order, with the stamp of their push", () => {
  const a = ring(8);
  assert(!ringWaits(a, 0));
  assertEquals(push(a, ids(3), 0, 3, 5), 3);
  assertEquals(push(a, ids(2, 10), 0, 2, 7), 2);
  assert(ringWaits(a, 0));
  assertEquals(pop(a, 8), { ids: [0, 1, 2, 10, 11], stamps: [5, 5, 5, 7, 7] });
  assert(!ringWaits(a, 0));
});

Deno.test("a full ring takes what fits and says how much", () => {
  const a = ring(4);
  assertEquals(push(a, ids(6), 0, 6, 1), 4);
  assertEquals(ringRoom(a, 0, 1), 0);
  assertEquals(push(a, ids(1, 9), 0, 1, 1), 0);
  assertEquals(pop(a, 3).ids, [0, 1, 2]);
  assertEquals(push(a, ids(6), 4, 2, 1), 2);
  assertEquals(pop(a, 8).ids, [3, 4, 5]);
});

Deno.test("room is given back in eighths of the ring, and all of it when the ring is drained", () => {
  const a = ring(64);
  push(a, ids(64), 0, 64, 1);
  ringReady(a, 0, 64);
  pop(a, 7);
  assertEquals(ringRoom(a, 0, 1), 0);
  pop(a, 1);
  assertEquals(ringRoom(a, 0, 64), 8);
  pop(a, 55);
  assertEquals(ringRoom(a, 0, 64), 63);
  pop(a, 1);
  assertEquals(ringRoom(a, 0, 64), 64);
});

Deno.test("what was peeked stays until it is released", () => {
  const a = ring(4);
  push(a, ids(4), 0, 4, 1);
  const seen = new Int32Array(4);
  assertEquals(ringPeek(a, 0, seen, 4), 4);
  assertEquals(ringPeek(a, 0, seen, 4), 4);
  assertEquals(ringRoom(a, 0, 1), 0);
  assertEquals(pop(a, 4).ids, [0, 1, 2, 3]);
});

Deno.test("entries of one push that are taken apart have its stamp, and so has the next push with it", () => {
  const a = ring(4);
  push(a, ids(2), 0, 2, 5);
  push(a, ids(2, 2), 0, 2, 6);
  assertEquals(pop(a, 3).stamps, [5, 5, 6]);
  push(a, ids(2, 4), 0, 2, 6);
  assertEquals(pop(a, 2), { ids: [3, 4], stamps: [6, 6] });
  push(a, ids(1, 6), 0, 1, 5);
  assertEquals(pop(a, 4), { ids: [5, 6], stamps: [6, 5] });
});

Deno.test("indices run over 2^31 and 2^32 without harm", () => {
  for (const start of [0x7ffffffc, -4]) {
    const a = ring(8, start | 0);
    for (let round = 0; round < 6; round++) {
      assertEquals(push(a, ids(5, round * 5), 0, 5, round), 5);
      assertEquals(pop(a, 8).ids, [...ids(5, round * 5)]);
    }
  }
});

Deno.test("a ring does what a bounded list does", () => {
  const a = ring(16);
  const model: { id: number; stamp: number }[] = [];
  let next = 0;
  let stamp = 0;
  let random = 12345;
  for (let step = 0; step < 20_000; step++) {
    random = Math.imul(random, 1103515245) + 12345 & 0x7fffffff;
    const n = (random >> 8) % 9;
    if ((random >> 4 & 1) === 0) {
      stamp += random >> 20 & 1;
      const took = push(a, ids(n, next), 0, n, stamp);
      // One entry of 16 may be taken and its room not given back yet (5).
      assert(took <= Math.min(n, 16 - model.length) && took >= Math.min(n, 15 - model.length));
      for (let i = 0; i < took; i++) model.push({ id: next + i, stamp });
      next += took;
    } else {
      const wanted = model.splice(0, n);
      assertEquals(pop(a, n), { ids: wanted.map((w) => w.id), stamps: wanted.map((w) => w.stamp) });
    }
  }
});

Deno.test("cached indices: one Atomic for a push with room, two for a pop", () => {
  const a = ring(64);
  push(a, ids(8), 0, 8, 1);
  assertEquals(atomics(() => push(a, ids(8), 0, 8, 1)), 1);
  assertEquals(atomics(() => pop(a, 8)), 2);
  // A batch that is known to be there costs the release alone.
  assertEquals(atomics(() => pop(a, 8)), 1);
  push(a, ids(40), 0, 40, 1);
  // The room that the producer knows of is used up: it looks once.
  assertEquals(atomics(() => push(a, ids(30), 0, 30, 1)), 2);
});
