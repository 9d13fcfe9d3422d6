/**
 * Async sections: for who awaits I/O with an interface in hand. One of a bounded table of records.
 *
 * @module
 */
import { add, cas, load } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { type Arena, ASYNC } from "../memory/arena.ts";
import { nameAsync } from "./epoch.ts";

/** A section that may stay open across an await. */
export interface AsyncSection extends Disposable {
  /** Who opened it: named when somebody waits for it. */
  readonly opener: string;
  /** Closes it. @throws {SoftcError} `SOFTC_EPOCH_CLOSED` the second time */
  close(): void;
}

/**
 * Opens a record: even to odd by compare-and-swap, so that two CPUs never share one.
 *
 * @param ring wakes CPU 0 when it closes: a grace period may wait for it
 * @throws {SoftcError} `SOFTC_EPOCH_FULL`
 */
export function openAsync(
  arena: Arena,
  cpu: number,
  now: number,
  opener: string,
  ring: () => void,
): AsyncSection {
  const { a, plan } = arena;
  for (let i = 0; i < ASYNC.RECORDS; i++) {
    const base = plan.async + i * ASYNC.WORDS;
    const seq = load(a, base + ASYNC.record);
    if ((seq & 1) === 1 || cas(a, base + ASYNC.record, seq, seq + 1) !== seq) continue;
    nameAsync(arena, base, opener, cpu, now);
    let open = true;
    const close = (): void => {
      if (!open) {
        throw new SoftcError("SOFTC_EPOCH_CLOSED", `Cannot close the section of "${opener}"`, {
          state: "closed",
          wanted: "open",
        });
      }
      open = false;
      add(a, base + ASYNC.record, 1);
      ring();
    };
    return { opener, close, [Symbol.dispose]: () => open ? close() : undefined };
  }
  throw new SoftcError("SOFTC_EPOCH_FULL", `Cannot open a section for "${opener}"`, {
    state: `${ASYNC.RECORDS} are open`,
    wanted: "a free record",
  });
}
