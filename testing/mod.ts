/**
 * Tools for those who write drivers, and for our own tests: the explorer of interleavings.
 *
 * @module
 */
export { explore, type ExploreOptions, type ExploreReport, replay, type Violation } from "./explore.ts";
export {
  DRIVER_SCENARIOS,
  type DriverExploreOptions,
  driverScenarios,
  exploreDriver,
} from "./explore_driver.ts";
export type { DriverInput } from "./driver_scenario.ts";
export type { Finding } from "./judge.ts";
export { coverage, formatReport } from "./report.ts";
export {
  defineScenario,
  type Ended,
  type Scenario,
  type ScenarioArena,
  type ScenarioThread,
  type ThreadContext,
} from "./scenario.ts";
export { type Decision, formatSchedule, parseSchedule, type Schedule } from "./schedule.ts";
export type { Arena, ArenaConfig, ArenaPlan } from "../core/memory/arena.ts";
export { FREE_SITES, type FreeSite, type Sanitizer } from "../core/memory/sanitizer.ts";
export {
  ACCESS,
  type Access,
  add,
  cas,
  type DoorWatch,
  exchange,
  get,
  load,
  notify,
  set,
  store,
  until,
  wait,
} from "../core/doors/arena.ts";
export type { Wasm } from "../core/doors/wasm.ts";
export type { Clock } from "../core/doors/clock.ts";
export type { Stepper } from "../core/doors/step.ts";
export {
  conformance,
  ConformanceError,
  type ConformanceOptions,
  type ConformanceRule,
  type DeviceMaker,
  type TestDevice,
  tryRule,
} from "./conformance/conformance.ts";
export { CONFORMANCE_RULES } from "./conformance/rules.ts";
export { eventually } from "./eventually.ts";
export {
  type DriverWatch,
  type GenerationLeft,
  watchDriver,
  type WatchEvent,
  type WatchOptions,
} from "./watch.ts";
export type { SourceLine } from "./watch_source.ts";
export {
  type OpCount,
  torture,
  type TortureOptions,
  type TortureReport,
  type TortureSubject,
} from "./torture/torture.ts";
