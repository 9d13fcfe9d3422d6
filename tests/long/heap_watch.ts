/** The program that heap_test.ts runs: sends packets along one path on CPU 0 and says what the heap did. */
import { ownKernel } from "../../kernel/api.ts";
import { BORN } from "../../core/memory/counters.ts";
import { Frame } from "../../core/net/pktgen.ts";
import { consume, ifOutput } from "../../core/net/output.ts";
import { ifnetByIndexAttached } from "../../core/net/section.ts";
import { boot, discard, ifCloneCreate, type Ifnet, type Kernel } from "../../mod.ts";

const BATCH = 32;
const [path, packets] = Deno.args;
const kernel = await boot({ cpus: 1 });
const i = await prepare(kernel, path!);
const { net } = ownKernel(kernel).parts;
const frame = new Frame(udp());

function send(batches: number): void {
  for (let k = 0; k < batches; k++) {
    const s = net.open(kernel.vnet0.id);
    const b = net.borrow(0);
    const p = ifnetByIndexAttached(s, i.index)!;
    b.n = net.cpu.pool.alloc(b.ids, 0, BATCH, BORN.stack, frame.bytes.length);
    frame.fill(net.arena, net.cpu.pool, b.ids, b.n);
    ifOutput(s, p, b);
    net.giveBack();
    net.close(s);
    if (path === "homed") { for (const q of net.queues) consume(net, q, q.rings[0]!, BATCH); }
  }
}

// Until everything is compiled: the compiler allocates too, and code that is not optimised boxes its numbers.
for (let k = 0; k < 40; k++) {
  send(10_000);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const before = await kernel.ledger();
(globalThis as unknown as { gc(): void }).gc();
const heap = Deno.memoryUsage().heapUsed;
send(Math.ceil(Number(packets) / BATCH));
const allocated = Deno.memoryUsage().heapUsed - heap;
const after = await kernel.ledger();
const sum = (o: object): number => Object.values(o).reduce((x: number, y: number) => x + y, 0);
const { unaccounted } = await kernel.shutdown();
console.log(JSON.stringify({
  sent: after.born.stack - before.born.stack,
  ended: sum(after.ended) + sum(after.dropped) - sum(before.ended) - sum(before.dropped),
  allocated,
  unaccounted,
}));
Deno.exit();

async function prepare(k: Kernel, path: string): Promise<Ifnet> {
  const make = async (module: string | URL, cloner: string): Promise<Ifnet[]> => {
    await k.modules.load(module);
    const made = await ifCloneCreate(k.vnet0, cloner);
    for (const i of made) await i.up();
    return made;
  };
  discard(k.vnet0);
  if (path === "transmit") return (await make("softc:null", "null"))[0]!;
  if (path === "homed") {
    return (await make(new URL("../../bench/plugins/homed.ts", import.meta.url), "homed"))[0]!;
  }
  if (path === "loopback") return (await make("softc:loopback", "lo"))[0]!;
  const [a, b] = await make("softc:epair", "epair");
  if (path === "forward") await b!.set({ xconnect: (await make("softc:null", "null"))[0]! });
  return a!;
}

/** A frame of 64 bytes with a UDP packet; no UDP checksum. */
function udp(): Uint8Array {
  const f = new Uint8Array(64);
  f.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0], 0);
  f.set([10, 0, 0, 1, 10, 0, 0, 2, 0, 9, 0, 9, 0, 30], 26);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += f[i]! << 8 | f[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  f.set([~sum >> 8 & 255, ~sum & 255], 24);
  return f;
}
