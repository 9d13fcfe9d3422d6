/**
 * wrap: middleware around a driver. A layer sees every packet and every hook; what it does not look at goes by
 * as if it were not there, so no layer can forget a call of the life cycle.
 *
 * @module
 */
export { fault, type FaultOptions } from "./fault.ts";
export { netem, type NetemOptions } from "./netem.ts";
export { pcap, type PcapSink } from "./pcap.ts";
export { trace } from "./trace.ts";
export { type Layer, type LayerContext, type Middleware, type Verdict, wrap } from "./wrap.ts";
