import { assert, assertEquals } from "@std/assert";
import { ACCESS, cas, firstOdd, load, store, watchDoor } from "../../core/doors/arena.ts";
import { wasmOn } from "../../core/doors/wasm.ts";
import { compile, text } from "../../scripts/wasm.ts";
import { arenaChecksum, checksum } from "../../vnet/inet/checksum.ts";
import { smallArena } from "./kit.ts";

Deno.test("the shipped WebAssembly is what its source compiles to", async () => {
  const shipped = await Deno.readTextFile(new URL("../../core/doors/wasm_bytes.ts", import.meta.url));
  assertEquals(shipped, text(await compile()));
});

Deno.test("atomics of the WebAssembly do what those of TypeScript do, at both ends of the arena", () => {
  const { a, plan, wasm } = smallArena();
  assert(wasm !== undefined);
  for (const word of [0, plan.heap, plan.words - 1]) {
    for (const value of [0, 1, -1, 0x7fffffff, -0x80000000]) {
      store(a, word, value, wasm);
      assertEquals([a[word], load(a, word), load(a, word, wasm)], [value, value, value]);
      assertEquals(cas(a, word, value ^ 1, 7, wasm), value, "another value than expected");
      assertEquals(a[word], value);
      assertEquals(cas(a, word, value, 7, wasm), value);
      assertEquals(a[word], 7);
    }
  }
});

Deno.test("the first odd word is found from any index on, by both", () => {
  const { a, plan, wasm } = smallArena();
  const [at, stride, n] = [plan.heap, 3, 5];
  for (const odd of [[], [0], [4], [1, 3], [0, 1, 2, 3, 4]]) {
    for (let i = 0; i < n * stride; i++) a[at + i] = i % stride === 0 ? 2 : 1;
    for (const i of odd) a[at + i * stride] = -1;
    for (let from = 0; from <= n; from++) {
      const wanted = odd.find((i) => i >= from) ?? -1;
      assertEquals(firstOdd(a, at, stride, from, n), wanted);
      assertEquals(firstOdd(a, at, stride, from, n, wasm), wanted);
    }
  }
});

Deno.test("a watch sees every access that would go through the WebAssembly", () => {
  const { a, wasm } = smallArena();
  const seen: [number, number][] = [];
  const before = watchDoor({ access: (_a, word, kind) => void seen.push([word, kind]) });
  try {
    store(a, 5, 9, wasm);
    load(a, 5, wasm);
    cas(a, 5, 9, 1, wasm);
    firstOdd(a, 6, 1, 0, 1, wasm);
  } finally {
    watchDoor(before);
  }
  assertEquals(seen, [[5, ACCESS.store], [5, ACCESS.load], [5, ACCESS.rmw], [6, ACCESS.load]]);
  assertEquals(a[5], 1);
});

Deno.test("without WebAssembly the twins in TypeScript do the same", () => {
  const { a } = smallArena();
  store(a, 5, 9);
  assertEquals([load(a, 5), cas(a, 5, 9, 1), load(a, 5)], [9, 9, 1]);
  const real = WebAssembly.Module;
  try {
    WebAssembly.Module = class {
      constructor() {
        throw new WebAssembly.CompileError("refused");
      }
    } as unknown as typeof WebAssembly.Module;
    const arena = smallArena();
    assertEquals(arena.wasm, undefined);
    assertEquals(wasmOn(arena.memory), undefined);
  } finally {
    WebAssembly.Module = real;
  }
});

Deno.test("the checksum is the same in both, at every length, offset and carry", () => {
  const arena = smallArena();
  const at = arena.plan.data * 4;
  for (const byte of [(i: number) => i * 37 & 255, () => 255, () => 0]) {
    for (let i = 0; i < 2048; i++) arena.u8[at + i] = byte(i);
    for (let len = 0; len < 70; len++) {
      for (let off = 0; off < 18; off++) {
        const wanted = checksum(arena.u8, at + off, len, 0xffff);
        assertEquals(arenaChecksum(arena, at + off, len, 0xffff), wanted, `${len} bytes at ${off}`);
      }
    }
    assertEquals(arenaChecksum(arena, at + 1, 2000), checksum(arena.u8, at + 1, 2000));
  }
});
