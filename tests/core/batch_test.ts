import { assertEquals, assertThrows } from "@std/assert";
import { SoftcError } from "../../core/error.ts";
import type { Arena } from "../../core/memory/arena.ts";
import { PacketBatch } from "../../core/memory/batch.ts";
import { BORN, DROP, ENDED, sumCpus } from "../../core/memory/counters.ts";
import { type Mbuf, scanLives } from "../../core/memory/mbuf.ts";
import { poolOf, smallArena } from "./kit.ts";

function batch(n: number, debug = false): { b: PacketBatch; arena: Arena } {
  const arena = smallArena({ debug });
  const b = new PacketBatch(poolOf(arena)).reset(4, ENDED.wire, "freeAll");
  b.n = b.pool.alloc(b.ids, 0, n, BORN.rx, 10);
  for (let i = 0; i < n; i++) b.copyFrom(i, Uint8Array.of(i, i, i));
  return { b, arena };
}

const code = (fn: () => void): string => assertThrows(fn, SoftcError).code;
const first = (b: PacketBatch): number[] => Array.from({ length: b.length }, (_, i) => b.bytes(i)[0]!);

Deno.test("bytes go in and out by view and by copy", () => {
  const { b } = batch(2);
  b.copyFrom(1, Uint8Array.of(1, 2, 3, 4, 5));
  assertEquals([b.len(0), b.len(1)], [3, 5]);
  b.bytes(1)[0] = 9;
  const out = new Uint8Array(8);
  assertEquals(b.copyTo(1, out, 2), 5);
  assertEquals([...out], [0, 0, 9, 2, 3, 4, 5, 0]);
  b.setLen(1, 2);
  assertEquals([...b.bytes(1)], [9, 2]);
});

Deno.test("an index or a length that is out of range is refused", () => {
  const { b } = batch(2);
  for (const i of [-1, 2, NaN, 1e9]) assertEquals(code(() => b.bytes(i)), "SOFTC_MBUF_RANGE");
  for (const len of [-1, 1985, 1.5, NaN]) assertEquals(code(() => b.setLen(0, len)), "SOFTC_MBUF_RANGE");
  b.setLen(0, 1984);
  assertEquals(code(() => b.copyFrom(0, new Uint8Array(1985))), "SOFTC_MBUF_RANGE");
});

Deno.test("a packet that was taken belongs to the device: the batch frees the rest", () => {
  const { b, arena } = batch(4);
  const m = b.take(1);
  assertEquals(b.len(1), 0);
  assertEquals(code(() => b.bytes(1)), "SOFTC_MBUF_NOT_OWNER");
  assertEquals(code(() => b.take(1)), "SOFTC_MBUF_NOT_OWNER");
  assertEquals(b.freeAll(), 4);
  assertEquals(sumCpus(arena, ENDED.wire), 3);
  assertEquals(scanLives(arena), [{ owner: "the device of if#4", lives: 1 }]);
  assertEquals(b.pool.owner(m), 3 << 24 | 4);
});

Deno.test("untake takes back what take gave, and nothing else: a refusal leaves the batch as it was", () => {
  const { b } = batch(3);
  const m = b.take(1), other = b.take(2);
  b.untake(2, other);
  for (const wrong of [other, -1, 1e9]) {
    assertEquals(code(() => b.untake(1, wrong as Mbuf)), "SOFTC_MBUF_NOT_OWNER");
    assertEquals([b.len(0), b.len(1), b.len(2)], [3, 0, 3]);
  }
  assertEquals(code(() => b.untake(0, m)), "SOFTC_MBUF_RANGE");
  b.untake(1, m);
  assertEquals(first(b), [0, 1, 2]);
  assertEquals(b.freeAll(), 3);
});

Deno.test("freeing twice ends each packet once", () => {
  const { b, arena } = batch(3);
  assertEquals([b.freeAll(), b.freeAll()], [3, 3]);
  assertEquals(b.endFrom(0, DROP.fault, "freeAll"), 0);
  assertEquals([sumCpus(arena, ENDED.wire), sumCpus(arena, DROP.fault)], [3, 0]);
  assertEquals(code(() => b.bytes(0)), "SOFTC_MBUF_NOT_OWNER");
});

Deno.test("ends count what they end, in front and behind", () => {
  const { b, arena } = batch(6);
  b.take(0);
  assertEquals(b.endTo(3, ENDED.wire, "freeAll"), 2);
  assertEquals(b.endFrom(3, DROP.full, "output (dropped)"), 3);
  assertEquals([sumCpus(arena, ENDED.wire), sumCpus(arena, DROP.full)], [2, 3]);
});

Deno.test("compacting keeps what is owned, in order", () => {
  const { b } = batch(5);
  b.take(0);
  b.take(3);
  b.compact();
  assertEquals(first(b), [1, 2, 4]);
  b.release();
  b.compact();
  assertEquals(b.length, 0);
});

Deno.test("an empty batch frees nothing and compacts to nothing", () => {
  const { b, arena } = batch(0);
  assertEquals(b.freeAll(), 0);
  b.compact();
  assertEquals([b.length, sumCpus(arena, ENDED.wire)], [0, 0]);
});
