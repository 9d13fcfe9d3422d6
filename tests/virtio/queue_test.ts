import { assert, assertEquals } from "@std/assert";
import { ACCESS, watchDoor } from "../../core/doors/arena.ts";
import { Dma } from "../../core/device/mod.ts";
import { DeviceQueue, queueLayout, Virtqueue } from "../../drivers/virtio/mod.ts";

const BASE = 4096;

/** Both sides of a queue of `n` entries in memory of 64 KiB. */
function pair(n: number, o: { eventIdx?: boolean; indirect?: boolean } = {}) {
  const dma = new Dma(new SharedArrayBuffer(65536));
  const { avail, used } = queueLayout(n);
  const eventIdx = o.eventIdx ?? false;
  const mistakes: string[] = [];
  const args = [dma, n, BASE, BASE + avail, BASE + used] as const;
  const device = (): DeviceQueue =>
    new DeviceQueue(...args, {
      eventIdx,
      indirect: o.indirect ?? true,
      valid: (at, len) => at > 0 && at + len <= dma.size,
      mistake: (what) => mistakes.push(what),
    });
  return {
    dma,
    avail: BASE + avail,
    used: BASE + used,
    driver: new Virtqueue(...args, { eventIdx }),
    device,
    mistakes,
  };
}

const bytes = (dma: Dma, at: number, n: number): number[] => [...dma.u8.subarray(at, at + n)];

Deno.test("queueLayout() is that of virtio 1.x, 2.7: desc 16n, avail 6 + 2n, used 6 + 8n", () => {
  assertEquals(queueLayout(256), { desc: 0, avail: 4096, used: 4616, bytes: 6720 });
  for (const n of [2, 8, 64, 1024, 32768]) {
    const { avail, used, bytes } = queueLayout(n);
    assert(avail === 16 * n && used >= avail + 6 + 2 * n && used % 4 === 0 && bytes >= used + 6 + 8 * n);
  }
});

Deno.test("add() and publish() write what the specification says, byte for byte", () => {
  const { dma, driver, avail } = pair(4);
  driver.add(0x01020304, 0x40, false, 7);
  driver.add(0x0a0b0c0d, 0x800, true, 8);
  assertEquals(bytes(dma, avail, 4), [0, 0, 0, 0]);
  assert(driver.publish());
  // struct virtq_desc { le64 addr; le32 len; le16 flags; le16 next; }
  assertEquals(bytes(dma, BASE, 32), [
    ...[0x04, 0x03, 0x02, 0x01, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0],
    ...[0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 0, 0x00, 0x08, 0, 0, 2, 0, 0, 0],
  ]);
  // struct virtq_avail { le16 flags; le16 idx; le16 ring[]; le16 used_event; }
  assertEquals(bytes(dma, avail, 8), [0, 0, 2, 0, 0, 0, 1, 0]);
});

Deno.test("a chain of three is linked by next, or lies in an indirect table", () => {
  const segments = [
    { at: 0x100, len: 2, write: false },
    { at: 0x200, len: 3, write: false },
    { at: 0x300, len: 1, write: true },
  ];
  const { dma, driver } = pair(4);
  driver.addChain(segments, 1);
  assertEquals(driver.free, 1);
  assertEquals([0, 1, 2].map((i) => bytes(dma, BASE + 16 * i + 12, 4)), [[1, 0, 1, 0], [1, 0, 2, 0], [
    2,
    0,
    0,
    0,
  ]]);
  const indirect = pair(4);
  indirect.driver.addChain(segments, 1, 0x400);
  assertEquals(indirect.driver.free, 3);
  assertEquals(bytes(indirect.dma, BASE, 16), [0, 4, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 4, 0, 0, 0]);
  assertEquals(bytes(indirect.dma, 0x400, 48), [
    ...[0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
    ...[0, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 2, 0],
    ...[0, 3, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
  ]);
});

Deno.test("take() reads the used ring: le32 id, le32 len, after le16 flags and idx", () => {
  const { dma, driver, used } = pair(4);
  for (const cookie of [10, 11, 12]) driver.add(0x1000, 100, true, cookie);
  driver.publish();
  dma.u8.set([0, 0, 2, 0, /**/ 2, 0, 0, 0, 60, 0, 0, 0, /**/ 0, 0, 0, 0, 100, 0, 0, 0], used);
  assertEquals([driver.take(), driver.len], [12, 60]);
  assertEquals([driver.take(), driver.len], [10, 100]);
  assertEquals(driver.take(), -1);
  assertEquals([driver.free, driver.outstanding], [3, 1]);
  const left: number[] = [];
  assertEquals(driver.drain((c) => left.push(c)), 1);
  assertEquals(left, [11]);
  assertEquals(driver.drain((c) => left.push(c)), 0);
});

Deno.test("[B67] the index is stored after what it shows, and loaded before what it shows is read", () => {
  const { driver, avail, used, device } = pair(4);
  const other = device();
  /** Accesses by `fn`: atomic ones by name, plain ones as "write" or "read" of the part they are in. */
  const order = (fn: () => void): string[] => {
    const seen: string[] = [];
    const part = (at: number): string =>
      at === avail
        ? "avail index"
        : at === used
        ? "used index"
        : at < avail
        ? "descriptor"
        : at < used
        ? "avail ring"
        : "used ring";
    const before = watchDoor({
      access(_a, word, kind) {
        const what = {
          [ACCESS.store]: "store",
          [ACCESS.load]: "load",
          [ACCESS.set]: "write",
          [ACCESS.get]: "read",
        }[kind as 0 | 1 | 3 | 4];
        seen.push(`${what} ${part(word * 4)}`);
      },
    });
    try {
      fn();
    } finally {
      watchDoor(before);
    }
    return seen.filter((s, i) => s !== seen[i - 1]);
  };
  const given = order(() => {
    driver.add(0x1000, 100, true, 5);
    driver.publish();
  });
  assertEquals(given.filter((s) => /^write|^store/.test(s)), [
    "write descriptor",
    "write avail ring",
    "store avail index",
  ]);
  assertEquals(order(() => assertEquals(other.next(), 0)), [
    "load avail index",
    "read avail ring",
    "read descriptor",
  ]);
  const back = order(() => {
    other.complete(0, 60);
    other.publish();
  });
  assertEquals(back.slice(0, 2), ["write used ring", "store used index"]);
  assertEquals(order(() => assertEquals(driver.take(), 5)), ["load used index", "read used ring"]);
});

for (const eventIdx of [false, true]) {
  Deno.test(`[B68] what came between the last look and asking for a wake-up is seen: who asks looks again (EVENT_IDX ${eventIdx})`, () => {
    const { driver, device } = pair(4, { eventIdx });
    const other = device();
    other.disable();
    driver.disable();
    for (let round = 0; round < 10; round++) {
      // A new queue's event indices are 0: the first of each is wanted.
      const first = eventIdx && round === 0;
      // The device finds nothing; the driver publishes and hears that no kick is wanted; then the device asks for one.
      assertEquals(other.next(), -1);
      driver.add(0x1000, 100, true, round);
      assertEquals(driver.publish(), first, "no kick is wanted");
      assertEquals(other.enable(), true, "it waits already");
      const head = other.next();
      assert(head >= 0);
      assertEquals(other.enable(), false, "nothing more");
      // The same the other way round.
      assertEquals(driver.take(), -1);
      other.complete(head, 10);
      assertEquals(other.publish(), first, "no interrupt is wanted");
      assertEquals(driver.enable(), true, "it waits already");
      assertEquals(driver.take(), round);
      assertEquals(driver.enable(), false, "nothing more");
      // Both have asked, and nothing waits: now each is woken.
      driver.add(0x1000, 100, true, 99);
      assertEquals(driver.publish(), true);
      other.complete(other.next(), 10);
      assertEquals(other.publish(), true);
      assertEquals(driver.take(), 99);
      other.disable();
      driver.disable();
    }
  });
}

Deno.test("[B68] EVENT_IDX: a side is woken when its event index is passed, and only then (2.7.7.1)", () => {
  const { dma, driver, used } = pair(4, { eventIdx: true });
  const avail_event = used + 4 + 8 * 4;
  const kick = (event: number): boolean => {
    dma.u8.set([event & 255, event >> 8], avail_event);
    driver.add(0x1000, 1, false, 0);
    return driver.publish();
  };
  assert(kick(0)); // 0 -> 1 passes 0
  assert(!kick(0)); // 1 -> 2 does not
  assert(kick(2)); // 2 -> 3 passes 2
  assert(!kick(0xffff));
});

Deno.test("a device that returns what it was not given breaks the queue", () => {
  for (
    const [id, len, idx, why] of [
      [3, 0, 1, "not given"],
      [9, 0, 1, "not given"],
      [0, 101, 1, "into 100"],
      [0, 0, 9, "jumped"],
    ] as const
  ) {
    const { dma, driver, used } = pair(4);
    driver.add(0x1000, 100, true, 5);
    driver.publish();
    dma.u8.set([0, 0, idx, 0, id, 0, 0, 0, len, 0, 0, 0], used);
    assertEquals(driver.take(), -1);
    assert(driver.broken?.includes(why), `${driver.broken} for ${why}`);
    const left: number[] = [];
    driver.drain((c) => left.push(c));
    assertEquals(left, [5]);
  }
});

/** A small generator: the seed is in the name of what fails. */
function random(seed: number): (n: number) => number {
  let s = seed;
  return (n) => {
    s = (s * 1103515245 + 12345) & 0x7fffffff;
    return (s >> 8) % n;
  };
}

for (const eventIdx of [false, true]) {
  Deno.test(`[B67 B68] 50,000 random steps of both sides: every cookie comes back once, no wake-up is lost (EVENT_IDX ${eventIdx})`, () => {
    const next = random(42);
    const q = pair(8, { eventIdx });
    const device = q.device();
    const held: { head: number; len: number }[] = [];
    const out = new Set<number>();
    let cookie = 0;
    let sleeping = !device.enable();
    for (let step = 0; step < 50_000; step++) {
      if (next(2) === 0) {
        const parts = 1 + next(3);
        const segments = Array.from({ length: parts }, (_, i) => ({
          at: 0x8000 + i * 64,
          len: 1 + next(63),
          write: i > 0,
        }));
        const ok = parts === 1
          ? q.driver.add(0x8000, 10, next(2) === 0, cookie)
          : q.driver.addChain(segments, cookie, next(2) === 0 ? 0x4000 + (cookie % 8) * 64 : undefined);
        if (ok) out.add(cookie++);
        if (next(2) === 0 && q.driver.publish()) sleeping = false;
      } else {
        const head = sleeping ? -1 : device.next();
        if (head >= 0) {
          const writable = device.len.slice(device.readable, device.parts).reduce((x, y) => x + y, 0);
          held.push({ head, len: writable });
        } else if (!sleeping && !device.enable()) sleeping = true;
        if (held.length > 0 && next(2) === 0) {
          const [done] = held.splice(next(held.length), 1);
          device.complete(done!.head, next(done!.len + 1));
          device.publish();
        }
      }
      for (let c = q.driver.take(); c >= 0; c = q.driver.take()) assert(out.delete(c), `cookie ${c} twice`);
      assertEquals([q.mistakes, q.driver.broken], [[], undefined], `step ${step}`);
    }
    q.driver.publish();
    sleeping = false;
    for (let head = device.next(); head >= 0; head = device.next()) held.push({ head, len: 0 });
    for (const h of held) device.complete(h.head, 0);
    device.publish();
    for (let c = q.driver.take(); c >= 0; c = q.driver.take()) assert(out.delete(c));
    assertEquals([out.size, q.driver.free], [0, 8]);
    assert(cookie > 5000, `${cookie} cookies`);
  });
}

Deno.test("the strict device names every mistake of a driver", () => {
  const set = (dma: Dma, d: number, at: number, len: number, flags: number, next = 0): void => {
    new DataView(dma.u8.buffer).setBigUint64(d, BigInt(at), true);
    new DataView(dma.u8.buffer).setUint32(d + 8, len, true);
    new DataView(dma.u8.buffer).setUint16(d + 12, flags, true);
    new DataView(dma.u8.buffer).setUint16(d + 14, next, true);
  };
  const planted: [why: string, plant: (dma: Dma, avail: number) => void][] = [
    ["head 9 of a queue of 4", (m, avail) => m.u8.set([0, 0, 1, 0, 9, 0], avail)],
    ["index jumped from 0 to 1000", (m, avail) => m.u8.set([0, 0, 0xe8, 3], avail)],
    ["flags are 6", (m, avail) => m.u8.set([6, 0, 1, 0], avail)],
    ["looped", (m) => (set(m, BASE, 64, 8, 1, 1), set(m, BASE + 16, 64, 8, 1, 0))],
    ["next descriptor 4 of a table of 4", (m) => set(m, BASE, 64, 8, 1, 4)],
    ["outside the driver's memory", (m) => set(m, BASE, 65530, 8, 0)],
    ["outside the driver's memory", (m) => set(m, BASE, 2 ** 33, 8, 0)],
    ["outside the driver's memory", (m) => set(m, BASE, 64, 0xffffffff, 0)],
    ["descriptor 0 is empty", (m) => set(m, BASE, 64, 0, 0)],
    ["unknown flags 8", (m) => set(m, BASE, 64, 8, 8)],
    ["a readable part after a writable", (m) => (set(m, BASE, 64, 8, 3, 1), set(m, BASE + 16, 64, 8, 0))],
    ["an indirect table of 24 bytes", (m) => set(m, BASE, 64, 24, 4)],
    ["an indirect descriptor with a next", (m) => set(m, BASE, 64, 16, 5, 1)],
    ["an indirect table inside", (m) => (set(m, BASE, 64, 16, 4), set(m, 64, 128, 16, 4))],
    ["looped", (m) => (set(m, BASE, 64, 16, 4), set(m, 64, 128, 16, 1, 0))],
  ];
  for (const [why, plant] of planted) {
    const { dma, avail, device, mistakes } = pair(4);
    set(dma, BASE, 64, 8, 0);
    dma.u8.set([0, 0, 1, 0, 0, 0], avail);
    plant(dma, avail);
    const d = device();
    assertEquals(d.next(), -1, why);
    assertEquals(mistakes.length, 1, why);
    assert(mistakes[0]!.includes(why), `${mistakes[0]} for ${why}`);
    assertEquals(d.next(), -1);
    assertEquals(mistakes.length, 1, "told once");
  }
  const { dma, avail, device, mistakes } = pair(4, { indirect: false });
  set(dma, BASE, 64, 16, 4);
  dma.u8.set([0, 0, 1, 0, 0, 0], avail);
  device().next();
  assert(mistakes[0]!.includes("not negotiated"));
  const twice = pair(4);
  set(twice.dma, BASE, 64, 8, 0);
  twice.dma.u8.set([0, 0, 2, 0, 0, 0, 0, 0], twice.avail);
  const d = twice.device();
  assertEquals(d.next(), 0);
  assertEquals(d.next(), -1);
  assert(twice.mistakes[0]!.includes("while the device has it"));
});
