import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { get, load, watchDoor } from "../../core/doors/arena.ts";
import { SoftcError } from "../../core/error.ts";
import { IFNET } from "../../core/memory/arena.ts";
import { IfnetObject } from "../../core/net/ifnet_object.ts";
import {
  boot,
  ifCloneCreate,
  ifCloneDestroy,
  ifnetByIndex,
  ifRele,
  ifTryRef,
  ifVmove,
  vnetCreate,
} from "../../mod.ts";
import type { Batch } from "../../core/memory/batch.ts";
import type { PacketBatch } from "../../core/memory/batch.ts";
import { ownKernel } from "../../kernel/api.ts";
import { frames, plugin, send, until, withCleanKernel, withKernel } from "./kit.ts";
import { resetScript, script } from "../plugins/script.ts";

function freed(fn: () => unknown): string {
  const e = assertThrows(fn, SoftcError);
  assertEquals(e.code, "SOFTC_ARENA_FREED");
  return e.message;
}

Deno.test("debug: a freed interface slot, its ring and its shared softc throw and name who freed them", async () => {
  resetScript();
  await withCleanKernel({ debug: true }, async ({ k, own }) => {
    const { a } = own.arena;
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    const at = own.arena.ifnetAt(i.index);
    const ring = IfnetObject.entry(i)!.rings;
    const { shared } = script.dev!;
    shared.store("word", 7);
    shared.set("words", 9, 39);
    assertEquals([shared.load("word"), shared.get("words", 39), load(a, ring)], [7, 9, 0]);
    await ifCloneDestroy(i);
    for (
      const [what, touch] of [
        ["interface slot", () => get(a, at + IFNET.mtu)],
        ["interface slot", () => load(a, at + IFNET.afdata)],
        ["arena word", () => load(a, ring)],
        ["arena word", () => shared.load("word")],
        ["arena word", () => shared.set("words", 1, 39)],
        ["arena word", () => shared.add("word", 1)],
      ] as const
    ) {
      const message = freed(touch);
      assertStringIncludes(message, what);
      assertStringIncludes(message, "freed by ifDetach on CPU 0 at +");
    }
    // Whether it is still that interface may be asked of a freed slot: that is what handles do.
    assertEquals([load(a, at + IFNET.gencnt) & 1, load(a, at + IFNET.state)], [0, 0]);
    const [again] = await ifCloneCreate(k.vnet0, "script");
    assertEquals([again.index, get(a, at + IFNET.mtu)], [i.index, 1500]);
  });
});

Deno.test("debug: a slot that is still referenced is not freed yet, and is after the last release", async () => {
  await withCleanKernel({ debug: true }, async ({ k, own }) => {
    await k.modules.load("softc:null");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const ref = k.section((s) => ifTryRef(s, ifnetByIndex(s, i.index)!, "monitor"))!;
    await ifCloneDestroy(i);
    const word = own.arena.ifnetAt(i.index) + IFNET.mtu;
    assertEquals(get(own.arena.a, word), 1500);
    ifRele(ref);
    await until("the slot is freed", () => i.state === "freed");
    freed(() => get(own.arena.a, word));
  });
});

Deno.test("debug: the old vnet's address-family data throws after a move", async () => {
  await withCleanKernel({ debug: true }, async ({ k, own }) => {
    const { a } = own.arena;
    await k.modules.load("softc:null");
    const b = await vnetCreate(k.vnet0, "b");
    const [i] = await ifCloneCreate(k.vnet0, "null");
    const old = load(a, own.arena.ifnetAt(i.index) + IFNET.afdata);
    get(a, old);
    await ifVmove(i, b);
    assertStringIncludes(freed(() => get(a, old)), "ifVmove (address-family data of the old vnet)");
  });
});

Deno.test("debug: a packet that is used after it was passed on, freed or taken throws by name", async () => {
  resetScript();
  await withCleanKernel({ debug: true }, async ({ k, own, faults }) => {
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    const codes: string[] = [];
    const note = (fn: () => void): void => void codes.push(assertThrows(fn, SoftcError).code);
    let kept: Batch | undefined;
    script.transmit = (b, dev) => {
      const m = b.take(0);
      note(() => b.bytes(0));
      dev.txDone(m);
      note(() => dev.txDone(m));
      note(() => dev.bytes(m));
      note(() => dev.free(m));
      b.freeAll();
      note(() => b.bytes(1));
      kept = b;
      return b.length;
    };
    send(k.vnet0, i, frames(3));
    // A batch that a driver kept past its hook holds packets that are not its own any more.
    const { pool } = own.parts.cpu;
    const stale = kept as PacketBatch;
    stale.n = 1;
    stale.gone = 0;
    stale.ids[0] = stale.ids[0]! < 0 ? 0 : stale.ids[0]!;
    note(() => stale.bytes(0));
    stale.release();
    assertEquals(codes, [
      "SOFTC_MBUF_NOT_OWNER",
      "SOFTC_MBUF_DOUBLE_FREE",
      "SOFTC_MBUF_DOUBLE_FREE",
      "SOFTC_MBUF_DOUBLE_FREE",
      "SOFTC_MBUF_NOT_OWNER",
      "SOFTC_MBUF_DOUBLE_FREE",
    ]);
    assertEquals([faults, pool.owner(0)], [[], 0]);
  });
});

Deno.test("debug: a driver's write after free is found when the mbuf is given out again", async () => {
  resetScript();
  await withKernel({ debug: true }, async ({ k }) => {
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    let late = new Uint8Array();
    script.transmit = (b) => {
      late = b.bytes(0) as Uint8Array<ArrayBuffer>;
      return b.freeAll();
    };
    send(k.vnet0, i, frames(1));
    late[3] = 1;
    const message = freed(() => send(k.vnet0, i, frames(1)));
    assertStringIncludes(message, "was written after it was freed by freeAll on CPU 0");
  });
});

Deno.test("debug: the softc is revoked after destroy, so that a late touch throws", async () => {
  resetScript();
  await withCleanKernel({ debug: true }, async ({ k }) => {
    await k.modules.load(plugin("script"));
    const [i] = await ifCloneCreate(k.vnet0, "script");
    await i.up();
    send(k.vnet0, i, frames(1));
    const softc = script.softc as { dev?: unknown };
    assert(softc.dev !== undefined);
    await ifCloneDestroy(i);
    assertThrows(() => softc.dev, TypeError, "revoked");
  });
});

Deno.test("debug: sanitizers of several kernels watch their own arenas, and leave in any order", async () => {
  const outside = watchDoor(null);
  watchDoor(outside);
  const [k1, k2, k3] = [
    await boot({ debug: true }),
    await boot({ debug: true }),
    await boot({ debug: true }),
  ];
  const word = (k: typeof k1): [Int32Array, number] => {
    const { arena, control } = ownKernel(k);
    const at = control.heap.alloc(16, "planted");
    control.heap.free(at, "purge");
    return [arena.a, at];
  };
  const [w1, w2, w3] = [word(k1), word(k2), word(k3)];
  for (const [a, at] of [w1, w2, w3]) freed(() => get(a, at));
  await k2.shutdown();
  get(...w2);
  for (const [a, at] of [w1, w3]) freed(() => get(a, at));
  await k3.shutdown();
  freed(() => get(...w1));
  await k1.shutdown();
  get(...w1);
  const left = watchDoor(null);
  watchDoor(left);
  assertEquals(left, outside);
});
