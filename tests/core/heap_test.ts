import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { realClock } from "../../core/doors/clock.ts";
import { get, set, watchDoor } from "../../core/doors/arena.ts";
import { SoftcError } from "../../core/error.ts";
import { Heap } from "../../core/memory/heap.ts";
import { Sanitizer } from "../../core/memory/sanitizer.ts";
import { smallArena } from "./kit.ts";

Deno.test("blocks come zeroed, are big enough, and never overlap", () => {
  const arena = smallArena();
  const heap = new Heap(arena, undefined);
  const live: { at: number; words: number }[] = [];
  let random = 7;
  for (let i = 0; i < 2000; i++) {
    random = Math.imul(random, 1103515245) + 12345 & 0x7fffffff;
    if ((random & 0x300) === 0 || live.length > 200) {
      const [b] = live.splice((random >> 10) % live.length || 0, 1);
      if (b !== undefined) heap.free(b.at, "nobody");
      continue;
    }
    const words = 1 + (random >> 12) % 300;
    const at = heap.alloc(words, "test");
    assertEquals(arena.a.subarray(at, at + words).some((w) => w !== 0), false);
    arena.a.fill(-1, at, at + words);
    for (const b of live) assert(at + words <= b.at || b.at + b.words <= at);
    assert(at >= arena.plan.heap && at + words <= arena.plan.data);
    live.push({ at, words });
  }
  for (const b of live) heap.free(b.at, "nobody");
  assertEquals([heap.used, heap.owners().length], [0, 0]);
});

Deno.test("a freed block is given out again: rings of one size never fill the arena", () => {
  const heap = new Heap(smallArena(), undefined);
  const words = 64 + 2 * 512;
  for (let i = 0; i < 10_000; i++) heap.free(heap.alloc(words, "ring"), "ifDetach");
});

Deno.test("blocks have owners, and freeing what is not allocated is refused", () => {
  const heap = new Heap(smallArena(), undefined);
  const at = heap.alloc(20, "tap of x0");
  assertEquals(heap.owners(), [{ owner: "tap of x0", words: 32 }]);
  heap.free(at, "ifDetach");
  for (const wrong of [at, at + 1, 0]) {
    assertEquals(assertThrows(() => heap.free(wrong, "ifDetach"), SoftcError).code, "SOFTC_ARENA_FREED");
  }
});

Deno.test("a full arena is an error that names who asked, and what is left stays usable", () => {
  const heap = new Heap(smallArena(), undefined);
  const e = assertThrows(() => heap.alloc(1 << 24, "output queues of big0"), SoftcError);
  assertEquals([e.code, e.errno], ["SOFTC_ARENA_FULL", "ENOMEM"]);
  assertStringIncludes(e.message, "output queues of big0");
  heap.alloc(16, "small");
});

Deno.test("debug: a freed block throws on touch, and is given out again last", () => {
  const arena = smallArena({ debug: true });
  const sanitizer = new Sanitizer(arena, 0, realClock);
  const heap = new Heap(arena, sanitizer);
  const blocks = Array.from({ length: 3 }, () => heap.alloc(20, "test"));
  const before = watchDoor(sanitizer);
  try {
    for (const at of blocks) {
      set(arena.a, at, 1);
      heap.free(at, "epoch callback");
    }
    for (const at of blocks) {
      const e = assertThrows(() => get(arena.a, at + 17), SoftcError);
      assertStringIncludes(e.message, `touched arena word ${at + 17} after it was freed by epoch callback`);
    }
    // The first that was freed comes back first, the freshest last.
    assertEquals(Array.from({ length: 3 }, () => heap.alloc(20, "again")), blocks);
    assertEquals(get(arena.a, blocks[0]!), 0);
  } finally {
    watchDoor(before);
  }
});
