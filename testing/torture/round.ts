/**
 * One round: a kernel of its own, several operations at a time on it, all CPUs under traffic, then the books.
 *
 * @module
 */
import { watchDoor } from "../../core/doors/arena.ts";
import { isSoftcError, type SoftcError } from "../../core/error.ts";
import type { KernelObject } from "../../kernel/kernel_object.ts";
import { blameTree, boot, type Kernel, type ShutdownReport } from "../../mod.ts";
import { NEAR, PLANTED } from "./fault.ts";
import { NearWatch } from "./near.ts";
import { type Op, OPS } from "./ops.ts";
import { OrderJudge } from "./order.ts";
import { mix, Random } from "./random.ts";
import { pause, type TortureSubject, World } from "./world.ts";

/** How often an operation was done and refused. */
export interface OpCount {
  /** It did what it is for, or found nothing to do it to. */
  readonly done: number;
  /** It got a refusal that it may get. */
  readonly refused: number;
}

/** What a round was like. */
export interface RoundResult {
  readonly ops: Readonly<Record<string, OpCount>>;
  readonly near: Readonly<Record<string, number>>;
  readonly wrongs: readonly string[];
  readonly unaccounted: number;
  readonly leaks: number;
  readonly packets: number;
}

/** What a round is made of. */
export interface RoundOptions {
  readonly seed: number;
  readonly ms: number;
  readonly cpus: number;
  readonly subjects: readonly TortureSubject[];
  /** Milliseconds that one operation may take. */
  readonly deadline: number;
}

/** Operations at a time. */
const ACTORS = 6;
/** Milliseconds that a hook may take: where none stalls far more than any takes, on a busy machine too. */
const HOOK_DEADLINE = { stalls: 2000, none: 15_000 } as const;
/** Slots: few, so that they are used again soon and run out now and then. */
const SLOTS = 32;

/** Runs a round. */
export async function tortureRound(o: RoundOptions): Promise<RoundResult> {
  const random = new Random(o.seed);
  const stalls = random.chance(0.25);
  const door = new NearWatch();
  const before = watchDoor(door);
  let kernel: Kernel | undefined;
  try {
    const faults: SoftcError[] = [];
    const near = { lines: 0 };
    kernel = await boot({
      cpus: o.cpus,
      arena: 16 << 20,
      ifnets: SLOTS,
      debug: true,
      hookDeadline: stalls ? HOOK_DEADLINE.stalls : HOOK_DEADLINE.none,
      onFault: (e) => void (faults.push(e), e.code === "SOFTC_BOOT_CPU" && console.error(e)),
      onLog: (line) => void (near.lines += Number(line.split(NEAR)[1] ?? 0)),
    });
    door.watch((kernel as KernelObject).arena, 0);
    const w = new World(kernel, o.subjects, { seed: o.seed, rate: 0.35, stalls });
    const judge = new OrderJudge(kernel.subscribe(), (what) => w.wrong(what), stalls);
    const counts = new Map<string, { done: number; refused: number }>(
      OPS.map((op) => [op.name, { done: 0, refused: 0 }]),
    );
    for (const _ of o.subjects) if (random.chance(0.8)) await attempt(w, LOAD, random, o.deadline, counts);
    const end = performance.now() + o.ms;
    await Promise.all(Array.from({ length: ACTORS }, async (_, k) => {
      const r = new Random(mix(o.seed, k));
      while (performance.now() < end && w.wrongs.length === 0) {
        await attempt(w, choose(r), r, o.deadline, counts);
        if (r.chance(0.3)) await pause(r.below(4));
      }
    }));
    await within(w, "give back what is held", o.deadline, w.letGo());
    const books = await within(w, "take the ledger", o.deadline, kernel.ledger());
    const report = await within(w, "shut down", 2 * o.deadline, kernel.shutdown({ deadline: o.deadline }));
    if (report !== undefined) {
      await judge.over;
      judgeEnd(w, kernel, report, faults);
    }
    const { dropped, sent, nobufs } = books ?? { dropped: {}, sent: 0, nobufs: 0 };
    w.missed("look-ups that found it unlinked, in a section", door.count + near.lines);
    w.missed("stamps that did not match", dropped.moved);
    w.missed("packets at a closed gate", (dropped.detached ?? 0) + (dropped.purged ?? 0));
    w.missed("packets whose interface was gone", dropped.gone);
    w.missed("allocations without an mbuf", nobufs);
    w.missed("hooks that threw", faults.filter((e) => e.message.includes(PLANTED)).length);
    w.missed("interfaces wedged", report?.wedged.length);
    w.missed("hosts lost", faults.filter((e) => e.code.startsWith("SOFTC_HOST")).length);
    if (w.wrongs.length > 0) w.wrongs.push(["the last events:", ...judge.history].join("\n  "));
    return {
      ops: Object.fromEntries(counts),
      near: w.near,
      wrongs: w.wrongs,
      unaccounted: report?.unaccounted ?? 0,
      leaks: stalls ? 0 : report?.leaks.length ?? 0,
      packets: sent,
    };
  } finally {
    watchDoor(before);
  }
}

const LOAD = OPS.find((op) => op.name === "load")!;
const WEIGHT = OPS.reduce((n, op) => n + op.weight, 0);

function choose(r: Random): Op {
  let at = r.below(WEIGHT);
  for (const op of OPS) if ((at -= op.weight) < 0) return op;
  throw new Error("the weights do not add up");
}

/** Does one operation, counts it, judges how it ended. */
async function attempt(
  w: World,
  op: Op,
  r: Random,
  deadline: number,
  counts: Map<string, { done: number; refused: number }>,
): Promise<void> {
  const count = counts.get(op.name)!;
  try {
    await within(w, op.name, deadline, op.run(w, r));
    count.done++;
  } catch (e) {
    if (w.expects(e, op.refusals)) count.refused++;
    else w.wrong(`${op.name}: unexpected ${(e as Error).stack ?? e}`);
    if (isSoftcError(e)) w.missed(`refused: ${e.code}`);
  }
}

/** What a promise resolves with; past the deadline undefined, and what it hangs on is told. */
async function within<T>(w: World, what: string, ms: number, p: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      w.wrong(blameTree(`${what} has not ended within ${ms} ms`, w.kernel.blame()));
      resolve(undefined);
    }, ms);
  });
  try {
    return await Promise.race([p, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What must hold when the kernel has ended. */
function judgeEnd(w: World, kernel: Kernel, report: ShutdownReport, faults: readonly SoftcError[]): void {
  for (const e of faults) if (!w.expects(e, [])) w.wrong(`unexpected fault: ${e.stack}`);
  if (report.unaccounted !== 0) w.wrong(`${report.unaccounted} packets unaccounted for at the end`);
  for (const x of report.wedged) {
    if (!w.affliction.stalls && !x.includes(PLANTED)) w.wrong(`wedged, and nothing stalled: ${x}`);
  }
  const { workers, waits, timers } = kernel.inspect();
  // What a hook that never settles may still use is kept, and so are its timers.
  const kept = w.affliction.stalls ? {} : { leaks: report.leaks, timers };
  for (const [kind, left] of Object.entries({ workers, waits, ...kept })) {
    if (left.length > 0) w.wrong(`${kind} after shutdown: ${left.join(", ")}`);
  }
}
