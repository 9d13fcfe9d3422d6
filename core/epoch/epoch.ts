/**
 * The epoch: sections on every CPU, grace periods on CPU 0.
 *
 * Why it is correct (tests cite the numbers):
 *
 * 1. Each CPU has a record, alone on its line: a sequence that it alone writes, odd while the CPU is inside a
 *    section, even outside. Each change adds one, so a value never comes back within 2^32 changes.
 * 2. Entry stores the odd value atomically, then the first look-up loads the slot's gencnt atomically.
 *    Unlink stores the even gencnt atomically, then the grace period loads every record atomically. These
 *    four are sequentially consistent, so they are a Dekker pair: either the reader's load sees the unlink,
 *    or the scan sees the reader's record odd. Never neither.
 * 3. A grace period takes a snapshot of all records after unlink. A record that was even had no section open
 *    at its load; a section opened later is covered by 2 (it sees the unlink). A record that was odd is
 *    waited for until it differs: that section, whatever came after it, has ended.
 * 4. So when a grace period ends, no section that could have found the interface before unlink is open, and
 *    what they reached may be freed.
 * 5. Exit is an atomic store too: all that the section read happens before the scan that sees it closed.
 * 6. Callers that unlinked before a grace period *starts* share it; one that comes later waits for the next.
 *    N destroys cost O(1) grace periods.
 * 7. CPU 0 is outside every section when it scans: a section is synchronous code, and the scan runs between
 *    pump turns. So its own record is even and it never waits for itself.
 * 8. An async section has a record of its own in a table, with the same rules; a free record is even.
 * 9. Callbacks of `epochCall` run outside any section, oldest first per CPU, after a grace period that began
 *    after they were queued.
 *
 * A section costs two Atomics; a look-up one. No global epoch on the reader's side: one flip of two buckets
 * is unsafe, and a load of a shared word per section costs more than it saves.
 *
 * @module
 */
import { firstOdd, load, set, store, watched } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { type Arena, ASYNC, CPU } from "../memory/arena.ts";

/** The sections of one CPU. */
export class Epoch {
  readonly #a: Int32Array;
  readonly #record: number;
  readonly #wasm: Arena["wasm"];
  /** The record's value: odd inside. Stamps look-ups. */
  seq: number;
  /** Sections open on this thread, one inside the other. */
  depth = 0;

  constructor(arena: Arena, cpu: number) {
    this.#a = arena.a;
    this.#wasm = arena.wasm;
    this.#record = arena.cpuAt(cpu) + CPU.record;
    this.seq = load(this.#a, this.#record);
  }

  /** Opens a section; nested ones are free. */
  enter(): void {
    if (this.depth++ === 0) {
      const seq = this.seq = (this.seq + 1) | 0;
      store(this.#a, this.#record, seq, this.#wasm);
    }
  }

  /** Closes it. */
  exit(): void {
    if (--this.depth === 0) {
      const seq = this.seq = (this.seq + 1) | 0;
      store(this.#a, this.#record, seq, this.#wasm);
    }
  }

  /** Whether this thread is inside a section. */
  get inside(): boolean {
    return this.depth > 0;
  }
}

/** What a grace period needs of the floor above: to wait, and to reach a CPU that is slow to leave. */
export interface GraceHost {
  /** Resolves when `ready()` holds; `words` are what it reads. */
  until(label: string, words: readonly number[], ready: () => boolean): Promise<void>;
  /** Mails `sync` to a CPU and rings CPU 0 when it has handled it between turns: its section has closed. */
  sync(cpu: number): void;
  /** Structural operations under way. */
  operations(): number;
  /** Milliseconds, for reports. */
  now(): number;
}

/** A section that has not ended, in a report. */
export interface OpenSection {
  /** "CPU 1", or the name of an async section. */
  readonly opener: string;
  readonly cpu: number;
  /** Milliseconds since it opened; unknown for a CPU's own section. */
  readonly age: number | undefined;
}

/** Grace periods, on CPU 0: one runs, the next one gathers. */
export class GracePeriods {
  readonly #arena: Arena;
  readonly #host: GraceHost;
  /** How many have been run. */
  count = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #waitingFor: readonly number[] = [];
  #startedAt = 0;

  constructor(arena: Arena, host: GraceHost) {
    this.#arena = arena;
    this.#host = host;
  }

  /**
   * Resolves when every section that is open now has closed (argument 3). Calls made before the next grace
   * period starts share it (argument 6).
   */
  wait(): Promise<void> {
    return this.#next ??= this.#gather(this.#running);
  }

  /** Runs the next grace period: who asks within a few microtasks shares it, as operations that go in step do. */
  async #gather(before: Promise<void> | undefined): Promise<void> {
    if (before !== undefined) await before;
    for (let i = 0; i < (this.#host.operations() > 1 ? GATHER.several : GATHER.one); i++) await undefined;
    // From here on the snapshot may have been taken: later callers need another one.
    this.#running = this.#next;
    this.#next = undefined;
    try {
      const open = this.#poll();
      if (open !== undefined) await this.#run(open.words, open.all);
    } finally {
      this.#running = undefined;
    }
  }

  /** Whether a grace period runs or is asked for. */
  get busy(): boolean {
    return this.#running !== undefined || this.#next !== undefined;
  }

  /** Who holds the grace period that runs now, and since when it runs (ms). */
  blame(): { since: number; open: OpenSection[] } {
    const open = this.#waitingFor.filter((w) => (load(this.#arena.a, w) & 1) === 1).map((w) =>
      describeRecord(this.#arena, w, this.#host.now())
    );
    return { since: this.#running === undefined ? 0 : this.#host.now() - this.#startedAt, open };
  }

  /** The snapshot, and polls: `undefined` when every section has closed by then. */
  #poll(): { words: number[]; all: () => boolean } | undefined {
    this.count++;
    const { a, plan, wasm } = this.#arena;
    const words: number[] = [];
    const seen: number[] = [];
    const snapshot = (word: number): void => {
      const value = load(a, word, wasm);
      if ((value & 1) === 1) {
        words.push(word);
        seen.push(value);
      }
    };
    for (let k = 0; k < plan.config.cpus; k++) snapshot(this.#arena.cpuAt(k) + CPU.record);
    const next = (from: number): number =>
      firstOdd(a, plan.async + ASYNC.record, ASYNC.WORDS, from, ASYNC.RECORDS, wasm);
    for (let i = next(0); i >= 0; i = next(i + 1)) snapshot(plan.async + i * ASYNC.WORDS + ASYNC.record);
    if (words.length === 0) return undefined;
    const all = (): boolean => {
      for (let i = 0; i < words.length; i++) if (load(a, words[i]!, wasm) === seen[i]) return false;
      return true;
    };
    // Polls spare a wake-up and nothing else: a watched run, where each is a point, goes without.
    for (let polls = watched() ? POLLS : 0; polls < POLLS; polls++) if (all()) return undefined;
    return { words, all };
  }

  async #run(words: readonly number[], all: () => boolean): Promise<void> {
    this.#startedAt = this.#host.now();
    for (const word of words) {
      const cpu = this.#cpuOf(word);
      if (cpu > 0) this.#host.sync(cpu);
    }
    this.#waitingFor = words;
    await this.#host.until("grace period", words, all);
    this.#waitingFor = [];
  }

  /** The CPU whose record this is; -1 for an async section. */
  #cpuOf(word: number): number {
    const { cpu, async } = this.#arena.plan;
    return word < async ? (word - cpu) / CPU.WORDS : -1;
  }
}

/** Microtasks for which a grace period gathers callers before it takes its snapshot: of one operation, and of several. */
const GATHER = { one: 2, several: 6 } as const;
/** Polls before a CPU is asked by mail: a short section is over sooner than a wake-up. */
const POLLS = 200;

function describeRecord(arena: Arena, word: number, now: number): OpenSection {
  const { a, plan } = arena;
  if (word < plan.async) {
    const cpu = (word - plan.cpu) / CPU.WORDS;
    return { opener: `CPU ${cpu}`, cpu, age: undefined };
  }
  const base = word - ASYNC.record;
  return {
    opener: asyncName(arena, base),
    cpu: load(a, base + ASYNC.cpu),
    age: now - load(a, base + ASYNC.openedAt),
  };
}

/** Every async section that is open. */
export function openAsyncSections(arena: Arena, now: number): OpenSection[] {
  const open: OpenSection[] = [];
  for (let i = 0; i < ASYNC.RECORDS; i++) {
    const base = arena.plan.async + i * ASYNC.WORDS;
    if ((load(arena.a, base) & 1) === 1) open.push(describeRecord(arena, base, now));
  }
  return open;
}

/** Writes beside an async record who opened it: for reports only. */
export function nameAsync(arena: Arena, base: number, opener: string, cpu: number, now: number): void {
  set(arena.a, base + ASYNC.cpu, cpu);
  set(arena.a, base + ASYNC.openedAt, now);
  const bytes = new TextEncoder().encode(opener).subarray(0, ASYNC.NAME_BYTES);
  const at = (base + ASYNC.name) * 4;
  arena.u8.fill(0, at, at + ASYNC.NAME_BYTES);
  arena.u8.set(bytes, at);
}

function asyncName(arena: Arena, base: number): string {
  const at = (base + ASYNC.name) * 4;
  const bytes = arena.u8.slice(at, at + ASYNC.NAME_BYTES);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Throws when this thread is inside a section: waiting there would never end (X4). */
export function assertOutside(epoch: Epoch, what: string): void {
  if (epoch.inside) {
    throw new SoftcError("SOFTC_EPOCH_INSIDE", `Cannot ${what}`, {
      state: "inside a section",
      wanted: "outside",
    });
  }
}
