// Runs the installed package: two CPUs, a plugin from a file, traffic from both, moves and an unload under traffic,
// shutdown. Prints one line of JSON.
import { boot, ifCloneCreate, ifVmove, pktgen, vnetCreate } from "@softc/softc";

const DEADLINE = 20_000;

/** Resolves when `ready()` does; throws at the deadline. */
async function until(what, ready) {
  for (const end = Date.now() + DEADLINE; !(await ready());) {
    if (Date.now() > end) throw new Error(`${what}: not within ${DEADLINE} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const faults = [];
const kernel = await boot({ cpus: 2, onFault: (e) => faults.push(e.message) });
const module = await kernel.modules.load(new URL("./plugin.mjs", import.meta.url));
const [a, b] = [await vnetCreate(kernel.vnet0, "a"), await vnetCreate(kernel.vnet0, "b")];
let [sink] = await ifCloneCreate(a, "sink");
await sink.up();

// Senders in both vnets, on both CPUs: whoever has the interface sends through it.
const frame = Uint8Array.from({ length: 64 }, (_, i) => (i < 6 ? 2 : i));
const senders = [];
for (const vnet of [a, b]) senders.push(await pktgen({ vnet, ifnet: sink, frame }));
const busy = async (since) => (await kernel.ledger()).perCpu.every((n, cpu) => n > since[cpu] + 1000);
await until("traffic from both CPUs", () => busy([0, 0]));
let moves = 0;
for (const to of [b, a, b]) {
  const { perCpu } = await kernel.ledger();
  ({ ifnet: sink } = await ifVmove(sink, to));
  moves++;
  await until(`traffic in vnet ${to.name}`, () => busy(perCpu));
}
await kernel.modules.unload(module, { mode: "drain" });
const left = kernel.ifnets.length;
for (const sender of senders) await sender.stop();

// The same plugin in a worker of its own.
const hosted = await kernel.modules.load(new URL("./plugin.mjs", import.meta.url), { host: {} });
const [far] = await ifCloneCreate(a, "sink");
await far.up();
const sender = await pktgen({ vnet: a, ifnet: far, frame });
await until("traffic through the host", () => far.counters.opackets > 1000);
await kernel.modules.unload(hosted, { mode: "drain" });
await sender.stop();

const { sent, unaccounted, perCpu, leaks, wedged } = await kernel.shutdown();
const cpus = perCpu.length;
console.log(JSON.stringify({ cpus, sent, unaccounted, perCpu, leaks, moves, left, wedged, faults }));
