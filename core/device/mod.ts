/**
 * What a driver may import, and nothing else: `@softc/softc/driver`.
 *
 * @module
 */
export { SoftcError } from "../error.ts";
export type { Code, Errno, ErrorDetail } from "../error.ts";
export { ERRNO } from "../memory/batch.ts";
export { CSUM, isPartial, partialCsum } from "../memory/csum.ts";
export type { Batch } from "../memory/batch.ts";
export type { DropReason } from "../memory/counters.ts";
export type { Mbuf } from "../memory/mbuf.ts";
export type { IfCap } from "../net/flags.ts";
export type { IfChange } from "../net/ifnet.ts";
export type { Section } from "../net/section.ts";
export type { DriverCounters, IfJSON, Ifnet, IfOptions, ReadOptions } from "../net/ifnet.ts";
export type { Vnet, VnetVar } from "../net/vnet.ts";
export { Dma } from "./dma.ts";
export { defineDriver } from "./driver.ts";
export type {
  CommonDef,
  Dev,
  DeviceId,
  Doorbell,
  Driver,
  DriverDef,
  IfDeclaration,
  Log,
  Match,
  Peer,
  PerCpuDriverDef,
  SoftcOf,
  StandardResult,
  StandardSchema,
  Timer,
  VnetName,
} from "./driver.ts";
export { defineModule } from "./module_def.ts";
export type { ModuleDef } from "./module_def.ts";
export { Shared, struct } from "./struct.ts";
export type { Fields, Struct } from "./struct.ts";
