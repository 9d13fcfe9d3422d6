// A strict consumer: what its types must say. Checked by tsc against the packed declarations, never run.
import { boot, type Handle, ifCloneCreate, type Ifnet, ifVmove, type Kernel, vnetCreate } from "@softc/softc";
import { type Batch, defineDriver, type Driver } from "@softc/softc/driver";

const counted: Driver<undefined> = defineDriver({
  name: "counted",
  api: 1,
  cloner: "counted",
  attach(dev) {
    dev.ifnet({ type: "ether", mtu: 1500 });
    return { seen: 0 };
  },
  transmit(sc, batch: Batch) {
    sc.seen += batch.length;
    return batch.freeAll();
  },
  destroy(sc) {
    const seen: number = sc.seen;
    // @ts-expect-error: the softc's type flows from attach; it has no such field
    void [seen, sc.missing];
  },
});
export default counted;

/** The life of one interface. */
export async function life(): Promise<Handle> {
  const kernel: Kernel = await boot({ cpus: 2 });
  await kernel.modules.load(new URL("./plugin.mjs", import.meta.url));
  const vnet = await vnetCreate(kernel.vnet0, "a");
  const [lo]: [Ifnet, ...Ifnet[]] = await ifCloneCreate(kernel.vnet0, "counted");
  const { ifnet, blackoutNs } = await ifVmove(lo, vnet, { up: true });
  const ns: number = blackoutNs;
  // @ts-expect-error: a section is synchronous
  kernel.section(async () => await ns);
  await kernel.shutdown();
  return ifnet.handle;
}
