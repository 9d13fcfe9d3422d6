/**
 * virtio: a network driver for virtio 1.x devices, and a strict software device for it to drive.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:virtio");
 * const [host] = await ifCloneCreate(kernel.vnet0, "vhost");
 * const device = await kernel.devices.plug({ bus: "virtio", device: 1, address: "0" }, { parent: host });
 * console.log(device.ifnets[0]?.name); // vtnet0
 * ```
 * @module
 */
import { defineModule, type ModuleDef } from "../../core/device/mod.ts";
import { virtioNetMq } from "./multiqueue.ts";
import { virtioNet } from "./net.ts";
import { vhost } from "./vhost.ts";

export type { Dma, ModuleDef } from "../../core/device/mod.ts";
export { DeviceQueue } from "./device_queue.ts";
export type { DeviceQueueOptions } from "./device_queue.ts";
export type { VirtioNetOptions } from "./net.ts";
export { Virtqueue } from "./queue.ts";
export type { QueueOptions, Segment } from "./queue.ts";
export { CONFIG, CTRL, DESC, FEATURE, Features, HEADER, queueLayout, STATUS } from "./spec.ts";
export type { Feature } from "./spec.ts";
export type { Transport } from "./transport.ts";
export type { VhostOptions } from "./vhost.ts";
export { Waiters } from "./waiters.ts";
export { WINDOW, WindowTransport } from "./window.ts";

/**
 * The module: drivers `virtio-net`, `virtio-net-mq` and `vhost`. What cannot be driven is refused in attach with `SOFTC_DEV_GONE`.
 *
 * @example
 * ```ts
 * import { boot, ifCloneCreate } from "@softc/softc";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:virtio");
 * const [vhost] = await ifCloneCreate(kernel.vnet0, "vhost");
 * await vhost.up();
 * const id = { bus: "virtio", device: 1, address: vhost.name };
 * const device = await kernel.devices.plug(id, { parent: vhost });
 * console.log(device.state, device.ifnets[0]?.name); // attached vtnet0
 * ```
 */
const virtio: ModuleDef = defineModule({ name: "virtio", api: 1, drivers: [virtioNet, virtioNetMq, vhost] });
export default virtio;
