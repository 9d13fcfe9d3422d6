import { assert, assertEquals, assertThrows } from "@std/assert";
import { SoftcError } from "../../core/error.ts";
import {
  Arena,
  type ArenaConfig,
  type ArenaPlan,
  CPU,
  CPU_COUNTERS,
  IF_COUNTERS,
  LINE,
  MAILBOX,
  planArena,
} from "../../core/memory/arena.ts";
import { get, set } from "../../core/doors/arena.ts";
import { boot } from "../../mod.ts";
import { smallArena } from "./kit.ts";

const CONFIG: ArenaConfig = { bytes: 8 << 20, cpus: 3, ifnets: 64, vnets: 8, mbufs: 512, debug: true };
const PARTS = [
  "cpu",
  "async",
  "mailbox",
  "inputRings",
  "vnet",
  "ifnet",
  "ifCounters",
  "cpuCounters",
  "depot",
  "magazines",
  "mbuf",
  "shadow",
  "mbufNotes",
  "heap",
  "data",
  "words",
] as const satisfies readonly (keyof ArenaPlan)[];

Deno.test("the parts of an arena follow each other and start on lines of their own", () => {
  for (const debug of [false, true]) {
    const plan = planArena({ ...CONFIG, debug });
    const starts = PARTS.map((p) => plan[p]);
    assertEquals(starts, [...starts].sort((x, y) => x - y));
    for (const p of PARTS) assertEquals(plan[p] % LINE, 0, p);
    assertEquals((plan.words - plan.data) * 4, CONFIG.mbufs * 2048);
  }
});

Deno.test("what different CPUs write never shares a line", () => {
  const arena = smallArena({ cpus: 4 });
  const lines = new Map<number, string>();
  const claim = (word: number, owner: string): void => {
    const line = Math.floor(word / LINE);
    assertEquals(lines.get(line) ?? owner, owner, `word ${word}`);
    lines.set(line, owner);
  };
  for (let k = 0; k < 4; k++) {
    claim(arena.cpuAt(k) + CPU.record, `record of ${k}`);
    claim(arena.cpuAt(k) + CPU.bell, `bell of ${k}`);
    claim(arena.cpuAt(k) + CPU.asleep, `bell of ${k}`);
    for (const d of [0, 1]) {
      const at = arena.plan.mailbox + (2 * k + d) * MAILBOX.WORDS;
      claim(at + MAILBOX.tail, `producer of ${k}.${d}`);
      claim(at + MAILBOX.head, `consumer of ${k}.${d}`);
    }
  }
});

Deno.test("counters of CPUs and interfaces do not overlap", () => {
  const arena = smallArena();
  const { cpus, ifnets } = arena.plan.config;
  const spans: [number, number][] = [];
  for (let k = 0; k < cpus; k++) {
    spans.push([arena.cpuCountersAt(k), CPU_COUNTERS]);
    for (let i = 0; i < ifnets; i++) spans.push([arena.ifCountersAt(k, i), IF_COUNTERS]);
  }
  spans.sort((x, y) => x[0] - y[0]);
  for (let i = 1; i < spans.length; i++) assert(spans[i - 1]![0] + spans[i - 1]![1] <= spans[i]![0]);
  assert(spans[0]![0] * 2 >= arena.plan.ifCounters);
  assert((spans.at(-1)![0] + spans.at(-1)![1]) * 2 <= arena.plan.depot);
});

Deno.test("an arena is opened by every CPU on the same fixed memory", () => {
  const arena = smallArena();
  const other = Arena.open(arena.memory, arena.plan.config);
  set(arena.a, arena.plan.heap, -7);
  assertEquals(get(other.a, other.plan.heap), -7);
  assertEquals(other.plan, arena.plan);
  assert(arena.memory.buffer instanceof SharedArrayBuffer);
  assertThrows(() => arena.memory.grow(1), RangeError);
});

Deno.test("memory that is no arena is refused", () => {
  const { config } = smallArena().plan;
  const pages = config.bytes / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const e = assertThrows(() => Arena.open(memory, config), SoftcError);
  assertEquals(e.code, "SOFTC_BOOT_CPU");
});

Deno.test("an arena that is too small says how many bytes would do, and they do", async () => {
  const small = { arena: 1 << 20, ifnets: 64, mbufs: 1024 };
  const e = await boot(small).then(() => undefined, (e) => e as SoftcError);
  assertEquals(e?.code, "SOFTC_BOOT_ARGUMENT");
  const needed = Number(/^(\d+) bytes needed/.exec(e!.state!)?.[1]);
  const k = await boot({ ...small, arena: Math.ceil(needed / 65536) * 65536 });
  await k.shutdown();
});
