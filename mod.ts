/**
 * softc: a kernel-style network driver framework.
 *
 * @module
 */
export { CODES, isSoftcError, SoftcError } from "./core/error.ts";
export type { Code, Errno, ErrorDetail } from "./core/error.ts";
export type { AsyncSection } from "./core/epoch/async.ts";
export type { Clock } from "./core/doors/clock.ts";
export { DROP, DROP_TEXT } from "./core/memory/counters.ts";
export type { DropReason, IfCounter, IfCounters } from "./core/memory/counters.ts";
export { ERRNO } from "./core/memory/batch.ts";
export type { Batch } from "./core/memory/batch.ts";
export type { Mbuf } from "./core/memory/mbuf.ts";
export { blameTree } from "./core/net/blame.ts";
export type { Blame } from "./core/net/blame.ts";
export type { EventType, KernelEvent, Snapshot, Subscription } from "./core/net/event.ts";
export { IFF, IFT, LINK_STATE } from "./core/net/flags.ts";
export type { IfCap, IfType, LinkState } from "./core/net/flags.ts";
export { formatHandle, parseHandle } from "./core/net/handle.ts";
export type { Handle, Resolved } from "./core/net/handle.ts";
export type {
  DriverCounters,
  IfChange,
  IfHint,
  IfJSON,
  Ifnet,
  IfOptions,
  ReadOptions,
} from "./core/net/ifnet.ts";
export type { Ledger } from "./core/net/ledger.ts";
export { ifOutput } from "./core/net/output.ts";
export { ifnetByIndexRef, ifRele, ifTryRef } from "./core/net/ref.ts";
export type { IfRef } from "./core/net/ref.ts";
export { ifnetByHandle, ifnetByIndex, ifnetByIndexAttached, ifunit } from "./core/net/section.ts";
export type { AttachedIfp, Ifp, Section, Sync } from "./core/net/section.ts";
export { STATE, STATE_TEXT, TRANSITIONS } from "./core/net/state.ts";
export type { IfEvent, IfState } from "./core/net/state.ts";
export type { Direction, Tap, TapOptions, TapPacket } from "./core/net/tap.ts";
export type { StreamCounts } from "./core/net/pktgen.ts";
export type { Vnet, VnetVar } from "./core/net/vnet.ts";
export { BID } from "./core/device/probe.ts";
export type { DeviceState } from "./core/device/bus.ts";
export type { DeviceId, Match } from "./core/device/driver.ts";
export type { CloneOptions } from "./core/device/cloner.ts";
export type { Module, ModuleState, UnloadMode } from "./core/device/modules.ts";
export { vnetVar } from "./vnet/vars.ts";
export type { VmoveCounts, VmoveOptions } from "./vnet/vmove.ts";
export type { Service } from "./vnet/inet/discard.ts";
export {
  discard,
  epochCall,
  epochDrain,
  epochOpen,
  ifCloneCreate,
  ifCloneDestroy,
  ifDetach,
  ifVmove,
  mAlloc,
  pktgen,
  vnetCreate,
  vnetDestroy,
} from "./kernel/api.ts";
export type { Pktgen, PktgenOptions, VmoveResult } from "./kernel/api.ts";
export { boot } from "./kernel/boot.ts";
export type { Inspection, Kernel, LoadOptions, Modules, ShutdownReport } from "./kernel/kernel.ts";
export type { Devices, PluggedDevice, PlugOptions } from "./kernel/devices.ts";
export type { BootOptions } from "./kernel/options.ts";
export type { HostOptions } from "./kernel/host.ts";
export * from "./vnet/inet/mod.ts";
