/// <reference lib="deno.worker" />
/** The consuming thread of a queue: see queues.ts. */
import { Arena } from "../../core/memory/arena.ts";
import { ringPeek, ringReady, ringRelease } from "../../core/memory/ring.ts";
import { ARENA, GATE, ringbuf, type Start } from "./queues.ts";

self.onmessage = async ({ data }: MessageEvent<Start>) => {
  if (data.kind === "channel") return listen(data.port!);
  serve(new Int32Array(data.gate), await popper(data));
};

/** Takes messages until as many have come as the first one says, then answers. */
function listen(port: MessagePort): void {
  let left = -1;
  let sum = 0;
  port.onmessage = ({ data }: MessageEvent<number | number[]>) => {
    if (left < 0) return void (left = data as number);
    sum += typeof data === "number" ? data : data.length;
    if (--left === 0) {
      left = -1;
      port.postMessage(sum);
    }
  };
}

async function popper(
  start: Start,
): Promise<(items: Int32Array, n: number) => number> {
  if (start.kind === "softc") {
    const { a, plan, wasm } = Arena.open(start.memory!, ARENA);
    return (items, n) => {
      const ready = ringReady(a, plan.heap, n, wasm);
      if (ready <= 0) return 0;
      const m = ringPeek(a, plan.heap, items, ready < n ? ready : n);
      ringRelease(a, plan.heap, m, wasm);
      return m;
    };
  }
  const Ring = await ringbuf();
  const r = new Ring(start.buffer!, Int32Array);
  const entry = start.words!;
  return (items, n) => r.pop(items, n * entry) / entry;
}

/** One measurement after the other: sleeps in between. */
function serve(
  gate: Int32Array,
  pop: (items: Int32Array, n: number) => number,
): never {
  const items = new Int32Array(256);
  for (let turn = 1;; turn++) {
    while (Atomics.load(gate, GATE.go) < turn) {
      Atomics.wait(gate, GATE.go, turn - 1);
    }
    const batch = gate[GATE.batch]!;
    Atomics.store(gate, GATE.done, -turn);
    // Asked before the pop: what was pushed before it was set is popped.
    for (let over = 0, n = 1; over === 0 || n > 0;) {
      if (n === 0) over = Atomics.load(gate, GATE.over);
      n = pop(items, batch);
    }
    Atomics.store(gate, GATE.done, turn);
  }
}
