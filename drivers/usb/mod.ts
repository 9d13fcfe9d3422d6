/**
 * usb: a driver for CDC-NCM and CDC-ECM network adapters, with an in-process controller and adapter.
 *
 * @example
 * ```ts
 * import { boot } from "@softc/softc";
 * import { SoftNic, SoftPort, usbId } from "@softc/softc/drivers/usb";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:usb");
 * const port = new SoftPort(new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 9) }));
 * const device = await kernel.devices.plug(await usbId(port, "1-1"), { resource: port });
 * console.log(device.ifnets[0]?.name); // ue0
 * ```
 * @module
 */
import { defineModule, type ModuleDef } from "../../core/device/mod.ts";
import { cdc } from "./cdc.ts";

export type { DeviceId, ModuleDef } from "../../core/device/mod.ts";
export { usbId } from "./cdc.ts";
export { SoftPort } from "./controller.ts";
export type { UsbFunction } from "./controller.ts";
export { findFunction, parseConfiguration, parseMac, parseString, USB } from "./descriptors.ts";
export type { Alternate, CdcFunction, Configuration, Endpoint } from "./descriptors.ts";
export { BlockWriter, parseLimits, readBlock } from "./ncm.ts";
export type { BlockLimits, BlockResult } from "./ncm.ts";
export { SoftNic } from "./nic.ts";
export type { NicOptions } from "./nic.ts";
export { Transfer, UsbError } from "./transfer.ts";
export type { Setup, TransferStatus, UsbPort } from "./transfer.ts";

/**
 * The module: driver `cdc`. What cannot be driven is refused in attach with `SOFTC_DEV_GONE`, a request that fails there with a `UsbError`.
 *
 * @example
 * ```ts
 * import { boot } from "@softc/softc";
 * import { SoftNic, SoftPort, usbId } from "@softc/softc/drivers/usb";
 *
 * await using kernel = await boot();
 * await kernel.modules.load("softc:usb");
 * const nic = new SoftNic({ kind: "ncm", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
 * const port = new SoftPort(nic);
 * const device = await kernel.devices.plug(await usbId(port, "1-1"), { resource: port });
 * console.log(device.state, device.ifnets[0]?.name); // attached ue0
 * ```
 */
const usb: ModuleDef = defineModule({ name: "usb", api: 1, drivers: [cdc] });
export default usb;
