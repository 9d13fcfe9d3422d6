// Runs the installed package: two CPUs, a driver from another package, traffic from both, moves, an unplug and an
// unload under traffic, the same driver in a host, shutdown. Prints one line of JSON.
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
const module = await kernel.modules.load("softc-sink");
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

// Found on a bus, and pulled out while both CPUs send through it.
const device = await kernel.devices.plug({ bus: "shelf", address: "1", kind: "sink" });
const [plugged] = device.ifnets;
await plugged.up();
const wild = await pktgen({ vnet: kernel.vnet0, ifnet: plugged, frame });
await until("traffic through the device", () => plugged.counters.opackets > 1000);
await kernel.devices.unplug(device);
const unplugged = [device.state, kernel.resolve(plugged.handle)];
await wild.stop();

await kernel.modules.unload(module, { mode: "drain" });
const left = kernel.ifnets.length;
for (const sender of senders) await sender.stop();

// The same package in a worker of its own.
const hosted = await kernel.modules.load("softc-sink", { host: {} });
const [far] = await ifCloneCreate(a, "sink");
await far.up();
const sender = await pktgen({ vnet: a, ifnet: far, frame });
await until("traffic through the host", () => far.counters.opackets > 1000);
await kernel.modules.unload(hosted, { mode: "drain" });
await sender.stop();

const { sent, unaccounted, perCpu, leaks, wedged } = await kernel.shutdown();

const cpus = perCpu.length;
console.log(
  JSON.stringify({
    cpus,
    sent,
    unaccounted,
    perCpu,
    leaks,
    moves,
    unplugged,
    left,
    wedged,
    faults,
  }),
);
