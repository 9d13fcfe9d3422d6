import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SoftcError } from "../../core/error.ts";
import { CLUSTER, MBUF } from "../../core/memory/arena.ts";
import { BORN, DROP, ENDED, sumCpus, WORK } from "../../core/memory/counters.ts";
import { OWNER, ownerText, ownerWord, type Pool, scanLives } from "../../core/memory/mbuf.ts";
import { poolOf, smallArena } from "./kit.ts";

const SITE = "freeAll" as const;

function take(pool: Pool, n: number): Int32Array {
  const ids = new Int32Array(n);
  return ids.subarray(0, pool.alloc(ids, 0, n, BORN.stack, 60));
}

function refused(fn: () => void): SoftcError {
  return assertThrows(fn, SoftcError);
}

Deno.test("every mbuf is given out once, then fewer are given and counted, never an exception", () => {
  const arena = smallArena();
  const pool = poolOf(arena);
  const seen = new Set<number>();
  for (let i = 0; i < 4; i++) for (const id of take(pool, 250)) seen.add(id);
  for (const id of take(pool, 250)) seen.add(id);
  assertEquals(seen.size, 1024);
  assertEquals(take(pool, 10).length, 0);
  assertEquals(sumCpus(arena, BORN.stack), 1024);
  assertEquals(sumCpus(arena, WORK.nobufs), 5 * 250 + 10 - 1024);
});

Deno.test("what one CPU frees another gets, through the depot", () => {
  const arena = smallArena();
  const [p0, p1] = [poolOf(arena, 0), poolOf(arena, 1)];
  for (let round = 0; round < 50; round++) {
    const ids = take(p0, 200);
    assertEquals(ids.length, 200);
    p0.handOver(ids, 0, 200, p0.mine, ownerWord(OWNER.ring, 3));
    p1.handOver(ids, 0, 200, ownerWord(OWNER.ring, 3), p1.mine);
    p1.end(ids, 0, 200, ENDED.wire, SITE);
  }
  assertEquals(sumCpus(arena, ENDED.wire), 10_000);
  p1.flush();
  p0.flush();
  assertEquals([p0.cached, p1.cached], [0, 0]);
  // Nothing was lost on the way: one CPU can have them all.
  const all = new Set<number>();
  for (let ids = take(p1, 256); ids.length > 0; ids = take(p1, 256)) for (const id of ids) all.add(id);
  assertEquals(all.size, 1024);
});

Deno.test("a cache never grows over its bounds, whatever is freed at once", () => {
  const pool = poolOf(smallArena());
  const [a, b, c] = [take(pool, 256), take(pool, 256), take(pool, 256)];
  for (const ids of [a!, b!, c!]) {
    pool.end(ids, 0, 256, ENDED.wire, SITE);
    assert(pool.cached <= 512, `${pool.cached}`);
  }
  const many = new Int32Array(600);
  assertEquals(refused(() => pool.end(many, 0, 600, ENDED.wire, SITE)).code, "SOFTC_MBUF_RANGE");
});

Deno.test("a second free is refused and names who freed it", () => {
  for (const debug of [false, true]) {
    const arena = smallArena({ debug });
    const pool = poolOf(arena);
    const ids = take(pool, 3);
    pool.end(ids, 0, 3, DROP.driver, "dev.free");
    const e = refused(() => pool.end(ids, 1, 1, DROP.driver, SITE));
    assertEquals(e.code, "SOFTC_MBUF_DOUBLE_FREE");
    assertStringIncludes(e.message, `Cannot free mbuf ${ids[1]} on CPU 0`);
    assertStringIncludes(e.message, debug ? "freed by dev.free on CPU 0 at +" : "boot with debug");
    assertEquals(sumCpus(arena, DROP.driver), 3);
  }
});

Deno.test("a free by who does not own it is refused, and names the owner", () => {
  const arena = smallArena();
  const [p0, p1] = [poolOf(arena, 0), poolOf(arena, 1)];
  const ids = take(p0, 2);
  const e = refused(() => p1.end(ids, 0, 1, ENDED.wire, SITE));
  assertEquals([e.code, e.state, e.wanted], ["SOFTC_MBUF_NOT_OWNER", "owned by CPU 0", "owned by CPU 1"]);
  p0.handOver(ids, 0, 1, p0.mine, ownerWord(OWNER.device, 7));
  assertEquals(refused(() => p0.end(ids, 0, 1, ENDED.wire, SITE)).state, "owned by the device of if#7");
  assertEquals(refused(() => p0.check(ids[0]!, p0.mine, "read")).code, "SOFTC_MBUF_NOT_OWNER");
  p0.endOne(ids[0]!, ownerWord(OWNER.device, 7), ENDED.wire, "dev.txDone");
  p0.end(ids, 1, 1, ENDED.wire, SITE);
  assertEquals(scanLives(arena), []);
});

Deno.test("an mbuf that does not exist is refused by name", () => {
  const pool = poolOf(smallArena());
  for (const id of [-1, 1024, 1 << 30]) {
    assertStringIncludes(
      refused(() => pool.end(Int32Array.of(id), 0, 1, ENDED.wire, SITE)).message,
      `mbuf ${id} on CPU 0: there is no such mbuf`,
    );
  }
});

Deno.test("a chain is one life, and is freed with its head", () => {
  const arena = smallArena();
  const pool = poolOf(arena);
  const ids = take(pool, 3);
  const [head, second, third] = [ids[0]!, ids[1]!, ids[2]!];
  const link = (id: number, next: number): void => void (arena.a[pool.headerAt(id) + MBUF.next] = next);
  for (const id of [second, third]) arena.a[pool.headerAt(id)] = ownerWord(OWNER.chain, head);
  link(head, second);
  link(second, third);
  assertEquals(scanLives(arena), [{ owner: "CPU 0", lives: 1 }]);
  const before = pool.cached;
  pool.end(ids, 0, 1, ENDED.wire, SITE);
  assertEquals(pool.cached, before + 3);
  assertEquals(scanLives(arena), []);
  assertEquals(sumCpus(arena, ENDED.wire), 1);
});

Deno.test("a chain whose part belongs to somebody else is refused", () => {
  const arena = smallArena();
  const pool = poolOf(arena);
  const ids = take(pool, 2);
  arena.a[pool.headerAt(ids[0]!) + MBUF.next] = ids[1]!;
  const e = refused(() => pool.end(ids, 0, 1, ENDED.wire, SITE));
  assertEquals([e.code, e.wanted], ["SOFTC_MBUF_NOT_OWNER", `owned by the chain of mbuf ${ids[0]}`]);
});

Deno.test("debug: a write after free is found when the mbuf is given out again, and names who freed it", () => {
  const arena = smallArena({ debug: true });
  const pool = poolOf(arena);
  const ids = take(pool, 1);
  const at = pool.clusterAt(ids[0]!);
  arena.u8[at + 5] = 1;
  pool.end(ids, 0, 1, ENDED.wire, "transmit (accepted)");
  arena.u8[at + CLUSTER - 1] = 1;
  const e = refused(() => take(pool, 1));
  assertEquals(e.code, "SOFTC_ARENA_FREED");
  assertStringIncludes(e.message, `Byte ${CLUSTER - 1} of mbuf ${ids[0]} was written after it was freed`);
  assertStringIncludes(e.message, "transmit (accepted) on CPU 0");
});

Deno.test("the scan of lives finds every owner by name", () => {
  const arena = smallArena();
  const pool = poolOf(arena);
  const ids = take(pool, 6);
  const owners = [
    ownerWord(OWNER.ring, 1),
    ownerWord(OWNER.device, 2),
    ownerWord(OWNER.hold, 3),
    ownerWord(OWNER.input, 1),
  ];
  owners.forEach((owner, i) => pool.handOver(ids, i, 1, pool.mine, owner));
  assertEquals(
    new Map(scanLives(arena).map(({ owner, lives }) => [owner, lives])),
    new Map([...owners.map((o): [string, number] => [ownerText(o), 1]), ["CPU 0", 2]]),
  );
});
