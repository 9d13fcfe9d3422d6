/** Drivers whose transmit hook throws when a packet leaves under another vnet than the one that sent it. */
import { type Batch, defineDriver, type Driver } from "../../../core/device/mod.ts";
import { get } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import type { CpuWorld } from "../../../testing/world.ts";

/** The CPU that this thread is. */
let world: CpuWorld | undefined;

/** Tells the drivers of this thread which CPU they run on. */
export function checkOn<W extends CpuWorld>(w: W): W {
  world = w;
  return w;
}

/** The sender's vnet is the packet's first byte. */
function transmit(batch: Batch): number {
  const { a, net } = world!;
  for (let i = 0; i < batch.length; i++) {
    const vnet = get(a, net.arena.ifnetAt(1) + IFNET.vnet);
    const sender = batch.bytes(i)[0];
    if (vnet !== sender) throw new Error(`a packet of vnet ${sender} leaves under vnet ${vnet}`);
  }
  return batch.freeAll();
}

/** Runs on every CPU. */
export const everywhere: Driver<never> = defineDriver({
  name: "everywhere",
  api: 1,
  queues: "per-cpu",
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  open: () => ({}),
  transmit: (_local, batch: Batch) => transmit(batch),
}) as Driver<never>;

/** Runs on its home CPU, behind a ring. */
export const homed: Driver<never> = defineDriver({
  name: "homed",
  api: 1,
  attach(dev) {
    dev.ifnet({ type: "ether" });
    return {};
  },
  transmit: (_softc, batch: Batch) => transmit(batch),
}) as Driver<never>;
