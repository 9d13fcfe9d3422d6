/**
 * The door of structural operations: every await of attach, detach, vmove, unload ... passes here.
 *
 * Two structural operations share CPU 0, so no thread can be parked between them; the explorer interleaves
 * them at these awaits instead. Rule: no await between a check and its claim (X2).
 *
 * @module
 */

/** Decides when a structural operation that waits goes on. */
export interface Stepper {
  /**
   * Resolves when `ready()` holds and the schedule says go.
   * `words` are the shared words that `ready` reads; `label` names the await ("detach: grace").
   */
  step(label: string, words: readonly number[], ready: () => boolean): Promise<void>;
}
