/**
 * Virtual networks: `@softc/softc/vnet`.
 *
 * @module
 */
export * from "./inet/mod.ts";
export { vnetVar } from "./vars.ts";
export type { VmoveCounts, VmoveOptions } from "./vmove.ts";
export type { Vnet, VnetVar } from "../core/net/vnet.ts";
