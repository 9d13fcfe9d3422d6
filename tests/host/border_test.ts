import { assert, assertEquals, assertThrows } from "@std/assert";
import { BORDER, Border } from "../../core/device/host_border.ts";
import { isSoftcError } from "../../mod.ts";

const CONFIG = { sections: 2, slots: 16 };

/** Both sides of a border, as two threads would have it. */
function both(): [kernel: Border, host: Border] {
  const kernel = Border.create(CONFIG);
  return [kernel, new Border(kernel.buffer, CONFIG)];
}

/** Every lane's index words, found by what moves when a lane is used. */
function scribbleAfter(border: Border, use: () => void): number {
  const before = border.w.slice();
  use();
  return before.findIndex((x, i) => border.w[i] !== x);
}

Deno.test("what one side writes into a lane the other reads, in order, across the wrap of the ring", () => {
  const [kernel, host] = both();
  const out = kernel.section(1).writer("tx");
  const into = host.section(1).reader("tx");
  for (let round = 0; round < 100; round++) {
    const n = round % 16 + 1;
    assertEquals(out.used(), 0);
    for (let i = 0; i < n; i++) {
      kernel.u8.fill((round + i) & 255, out.byteAt(i), out.byteAt(i) + 2048);
      out.note(i, round * 16 + i);
    }
    out.publish(n);
    assertEquals(into.ready(), n);
    for (let i = 0; i < n; i++) {
      assertEquals(into.note(i), round * 16 + i);
      assertEquals(host.u8[into.byteAt(i)], (round + i) & 255);
      assertEquals(host.u8[into.byteAt(i) + 2047], (round + i) & 255);
    }
    into.release(n);
  }
});

Deno.test("lanes of a border do not overlap", () => {
  const border = Border.create(CONFIG);
  const taken = new Set<number>();
  for (const section of [0, 1]) {
    for (const lane of ["tx", "rx", "down", "up"] as const) {
      const w = border.section(section).writer(lane);
      const bytes = lane === "tx" || lane === "rx" ? 2048 : 16384;
      for (let i = 0; i < w.slots; i++) {
        const at = w.byteAt(i);
        assert(at >= 0 && at + bytes <= border.u8.length);
        for (let b = at; b < at + bytes; b += 2048) {
          assert(!taken.has(b), `${section} ${lane} ${i}`);
          taken.add(b);
        }
      }
    }
  }
});

Deno.test("an index that the other side made up is refused, whichever it is", () => {
  for (const nonsense of [17, -1, 1 << 20, 0x7fffffff, -0x80000000]) {
    const [kernel, host] = both();
    const into = kernel.section(0).reader("rx");
    const theirs = host.section(0).writer("rx");
    const tail = scribbleAfter(host, () => theirs.publish(1));
    host.w[tail] = nonsense;
    const e = assertThrows(() => into.ready());
    assert(isSoftcError(e, "SOFTC_HOST_PROTOCOL"));

    const out = kernel.section(0).writer("tx");
    const reader = host.section(0).reader("tx");
    const head = scribbleAfter(host, () => reader.release(1));
    host.w[head] = nonsense;
    // One behind the writer is possible; the rest is not.
    if (nonsense !== -1) assertThrows(() => out.used(), Error, "SOFTC_HOST_PROTOCOL");
  }
});

Deno.test("a letter is JSON of a checked length, copied before it is read", () => {
  const [kernel, host] = both();
  const up = host.section(0).writer("up");
  const read = kernel.section(0).reader("up");
  assertEquals(read.letter(), undefined);
  assert(up.post({ id: 1, value: "grüße" }));
  assertEquals(read.letter(), { id: 1, value: "grüße" });
  for (let i = 0; i < 8; i++) assert(up.post({ i }));
  assert(!up.post({ i: 8 }), "a full lane takes no more");
  for (let i = 0; i < 8; i++) assertEquals(read.letter(), { i });
  assertThrows(() => up.post({ long: "x".repeat(20_000) }), Error, "SOFTC_HOST_ARGUMENT");
  for (const len of [0, -5, 16385]) {
    const [k, h] = both();
    const w = h.section(0).writer("up");
    w.note(0, len);
    w.publish(1);
    assertThrows(() => k.section(0).reader("up").letter(), Error, "SOFTC_HOST_PROTOCOL");
  }
  const [k, h] = both();
  const w = h.section(0).writer("up");
  h.u8.set(new TextEncoder().encode("{nonsense"), w.byteAt(0));
  w.note(0, 9);
  w.publish(1);
  assertThrows(() => k.section(0).reader("up").letter(), Error, "not JSON");
});

Deno.test("a section has one claim at a time", () => {
  const border = Border.create(CONFIG);
  const [a, b] = [border.claim()!, border.claim()!];
  assertEquals([a.number, b.number, border.claim()], [0, 1, undefined]);
  border.release(a);
  assertEquals(border.claim()!.number, 0);
});

Deno.test("the end of a border wakes both sides, and its first reason stays", async () => {
  const [kernel, host] = both();
  const ended = kernel.ended();
  const rung = host.rung(host.bell);
  const slept = kernel.section(1).sleep(() => false);
  host.end(BORDER.broken);
  kernel.end(BORDER.ended);
  await Promise.all([ended, rung, slept]);
  assertEquals(kernel.state, BORDER.broken);
});
