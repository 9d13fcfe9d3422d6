/**
 * The other sides of this repository's drivers of devices, for their conformance test.
 *
 * @module
 */
import { ifCloneCreate, ifCloneDestroy } from "../../mod.ts";
import { SoftNic, SoftPort, usbId } from "../../drivers/usb/mod.ts";
import type { DeviceMaker } from "../../testing/mod.ts";

/** A vhost of the driver's own module, with so many queue pairs; what its bus says more of it is in `id`. */
export function vhost(pairs: number, id: Readonly<Record<string, number>> = {}): DeviceMaker {
  return async (kernel) => {
    const [v] = await ifCloneCreate(kernel.vnet0, "vhost", { options: { pairs } });
    await v.up();
    return {
      id: { bus: "virtio", device: 1, address: v.name, ...id },
      parent: v,
      // When the module was unloaded it is gone already.
      remove: async () => void (v.state === "attached" && await ifCloneDestroy(v)),
    };
  };
}

/** An adapter on a port of the in-process controller. */
export function adapter(kind: "ecm" | "ncm"): DeviceMaker {
  return async (_kernel, n) => {
    const port = new SoftPort(new SoftNic({ kind, mac: Uint8Array.of(2, 0, 0, 0, 0, n) }));
    return { id: await usbId(port, `1-${n}`), resource: port };
  };
}
