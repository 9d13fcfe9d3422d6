/** Drivers whose transmit hook throws when a packet leaves under another vnet than the one that sent it. */
import { type Batch, defineDriver, type Driver } from "../../../core/device/mod.ts";
import { get, load, store } from "../../../core/doors/arena.ts";
import { IFNET } from "../../../core/memory/arena.ts";
import { type CpuWorld, scratch } from "../../../testing/world.ts";

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

/** A part of the softc: says when it is gone. */
interface Part {
  gone: boolean;
}

/** What runs after `stop`, `close` or `destroy` is a finding: hooks of this thread, in one place. */
function use(part: Part): void {
  if (part.gone) throw new Error("a hook runs with a softc that is gone");
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
  open: (): Part => ({ gone: false }),
  transmit(part, batch: Batch) {
    use(part);
    // A device that was stopped takes nothing any more.
    if (world !== undefined && load(world.a, scratch(world.net.arena, STOPPED)) === 1) {
      throw new Error("transmit after stop");
    }
    return transmit(batch);
  },
  stop() {
    if (world !== undefined) store(world.a, scratch(world.net.arena, STOPPED), 1);
  },
  close: (part) => void (part.gone = true),
}) as Driver<never>;

/** Scratch word that says that the device was stopped. */
export const STOPPED = 8;

/** Runs on its home CPU, behind a ring. */
export const homed: Driver<never> = defineDriver({
  name: "homed",
  api: 1,
  attach(dev): Part {
    dev.ifnet({ type: "ether" });
    return { gone: false };
  },
  transmit(part, batch: Batch) {
    use(part);
    return transmit(batch);
  },
  set: (part) => use(part),
  destroy: (part) => void (part.gone = true),
}) as Driver<never>;
