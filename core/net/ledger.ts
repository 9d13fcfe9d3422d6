/**
 * The ledger: every packet's life is begun once and ended once.
 *
 * The unit is the life of a packet (a chain is one). A check stops every CPU, adds up the counters, scans the
 * owner words and lets them go: `unaccounted = born - ended - lives found`. The scan is independent of the
 * counters, so the check can fail.
 *
 * @module
 */
import { get, notify, store } from "../doors/arena.ts";
import type { Control } from "../cpu/control.ts";
import { MAIL } from "../cpu/mailbox.ts";
import { type Arena, CPU } from "../memory/arena.ts";
import { BORN, DROP, type DropReason, ENDED, sumCpus, WORK } from "../memory/counters.ts";
import { scanLives } from "../memory/mbuf.ts";

/** The books of a kernel since boot, at one moment with every CPU stopped. Numbers of packets; `sent = delivered + dropped + live + unaccounted`. */
export interface Ledger {
  /** Lives begun, by how: sent by the stack or its users, received by a driver, copied, split off another. */
  readonly born: Readonly<Record<"stack" | "rx" | "copy" | "split", number>>;
  /** Lives that ended well, by how: taken by who it was for, sent by a driver, joined to another. */
  readonly ended: Readonly<Record<"delivered" | "wire" | "merged", number>>;
  /** Lives that ended badly, by reason; reasons that did not occur are left out. */
  readonly dropped: Readonly<Partial<Record<DropReason, number>>>;
  /** Lives begun, all together. */
  readonly sent: number;
  /** Lives that ended well, all together. */
  readonly delivered: number;
  /** Lives under way, by owner. */
  readonly live: readonly { readonly owner: string; readonly lives: number }[];
  /** Lives that the counters and the scan disagree about. 0, or something is wrong. */
  readonly unaccounted: number;
  /** Packets that each CPU took in or transmitted, by CPU: one that crosses two interfaces counts again. */
  readonly perCpu: readonly number[];
  /** Packets that did not begin because no mbuf was free: in no other number. */
  readonly nobufs: number;
}

/** Milliseconds within which every CPU must stop for a check. */
const PARK_DEADLINE = 5000;

/** Stops every CPU, takes the books, lets them go on. */
export async function takeLedger(control: Control): Promise<Ledger> {
  const { arena } = control.cpu;
  const others = control.everyCpu.slice(1);
  // One check at a time: a second would find CPUs parked by the first.
  await control.exclusive("ledger");
  // The word counts checks that are over. A flag would be seen set again by a CPU that still sleeps on the last one.
  const round = (get(arena.a, arena.cpuAt(0) + CPU.parked) + 1) | 0;
  const release = (): void => {
    for (const k of control.everyCpu) {
      store(arena.a, arena.cpuAt(k) + CPU.parked, round);
      notify(arena.a, arena.cpuAt(k) + CPU.parked);
    }
  };
  try {
    await control.askAll(others, MAIL.park, { a: round, label: "ledger: park", deadline: PARK_DEADLINE });
    // From here to `release` is one piece of synchronous code: CPU 0 stands still too.
    return books(arena);
  } finally {
    release();
    control.releaseExclusive("ledger");
  }
}

/** The books, from counters and scan; every CPU must stand still. */
export function books(arena: Arena): Ledger {
  const sums = <K extends string>(table: Readonly<Record<K, number>>): Record<K, number> =>
    Object.fromEntries(Object.entries<number>(table).map(([k, at]) => [k, sumCpus(arena, at)])) as Record<
      K,
      number
    >;
  const total = (o: Readonly<Record<string, number>>): number => Object.values(o).reduce((x, y) => x + y, 0);
  const born = sums(BORN);
  const ended = sums(ENDED);
  const drops = sums(DROP);
  const dropped = Object.fromEntries(Object.entries(drops).filter(([, n]) => n > 0)) as Partial<
    Record<DropReason, number>
  >;
  const live = scanLives(arena);
  const lives = live.reduce((n, l) => n + l.lives, 0);
  const perCpu = Array.from(
    { length: arena.plan.config.cpus },
    (_, k) => arena.f[arena.cpuCountersAt(k) + WORK.handled]!,
  );
  return {
    born,
    ended,
    dropped,
    sent: total(born),
    delivered: total(ended),
    live,
    unaccounted: total(born) - total(ended) - total(drops) - lives,
    perCpu,
    nobufs: sumCpus(arena, WORK.nobufs),
  };
}
