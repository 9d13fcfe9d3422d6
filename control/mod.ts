/**
 * Control: the API, the command line and the labs: `@softc/softc/control`. The only entry that needs packages.
 *
 * @module
 */
export type { Kernel } from "../mod.ts";
export { runCli } from "./cli/main.ts";
export type { Io } from "./cli/command.ts";
export type { Limits } from "./http/guard.ts";
export { serveControl } from "./http/serve.ts";
export type { ControlServer, ServeOptions } from "./http/serve.ts";
export type { ApplyOptions } from "./lab/apply.ts";
export { parseLab } from "./lab/schema.ts";
export type {
  Lab,
  LabEnd,
  LabInterface,
  LabLink,
  LabModule,
  LabNetem,
  LabRoute,
  LabTraffic,
  LabVnet,
} from "./lab/schema.ts";
