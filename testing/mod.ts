/**
 * Tools for those who write drivers, and for our own tests: the explorer of interleavings.
 *
 * @module
 */
export { explore, type ExploreOptions, type ExploreReport, replay, type Violation } from "./explore.ts";
export type { Finding } from "./runner.ts";
export {
  defineScenario,
  type Ended,
  type Scenario,
  type ScenarioArena,
  type ScenarioThread,
  type ThreadContext,
} from "./scenario.ts";
export { type Decision, formatSchedule, parseSchedule, type Schedule } from "./schedule.ts";
