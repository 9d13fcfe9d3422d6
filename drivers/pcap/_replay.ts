/**
 * A capture that plays: frames become received packets when they are due.
 *
 * @module
 */
import type { Dev, Doorbell, Timer } from "../../core/device/mod.ts";

/** A frame to play. */
export interface Recorded {
  /** When it was recorded, in nanoseconds. */
  readonly at: bigint;
  readonly bytes: Uint8Array;
  /** It was longer on the wire. */
  readonly cut: boolean;
}

/** The longest frame that one packet holds (bytes). */
const MAX_FRAME = 1984;
/** Frames of one turn; what else is due waits for the next, so that a replay at full speed shares its CPU. */
const TURN = 256;
/** Milliseconds until it looks again: the interface is not UP yet, or no packet buffer was free. */
const RETRY = 1;

/** The player of one interface. Runs on its CPU alone. */
export class Replay {
  readonly #dev: Dev<unknown, Record<never, never>>;
  readonly #frames: readonly Recorded[];
  readonly #cut: number;
  /** Milliseconds after the first frame at which each is due; all 0 at full speed. */
  readonly #due: Float64Array;
  readonly #loop: number;
  readonly #timer: Timer;
  readonly #again: Doorbell;
  /** What is played next. */
  #next = 0;
  #passes = 0;
  /** When the first frame of this pass was due. */
  #start = 0;
  /** Where a pause stopped, in milliseconds of the pass. */
  #position = 0;
  #playing = false;

  /** Makes it, paused. `speed` 0 is full, `loop` Infinity without end. */
  constructor(
    dev: Dev<unknown, Record<never, never>>,
    recorded: readonly Recorded[],
    speed: number,
    loop: number,
  ) {
    this.#dev = dev;
    this.#frames = recorded.filter((f) => f.bytes.length <= MAX_FRAME);
    this.#cut = this.#frames.filter((f) => f.cut).length;
    if (this.#frames.length < recorded.length) dev.count("toobig", recorded.length - this.#frames.length);
    const first = this.#frames[0]?.at ?? 0n;
    this.#due = Float64Array.from(this.#frames, (f) => speed === 0 ? 0 : Number(f.at - first) / 1e6 / speed);
    this.#loop = loop;
    const turn = (): void => this.#turn();
    this.#timer = dev.timer(turn);
    this.#again = dev.interrupt(turn);
  }

  /** Goes on where it was, or from the start when it was over. */
  play(): void {
    if (this.#playing || this.#frames.length === 0) return;
    this.#playing = true;
    this.#start = this.#dev.now() - this.#position;
    this.#timer.set(0);
  }

  /** Stops where it is. */
  pause(): void {
    if (!this.#playing) return;
    this.#playing = false;
    this.#position = this.#dev.now() - this.#start;
    this.#timer.cancel();
  }

  #turn(): void {
    if (!this.#playing) return;
    // UP is set after the driver has agreed to it: what came in earlier would be dropped.
    if (!this.#dev.up) return this.#timer.set(RETRY);
    const now = this.#dev.now();
    const due = this.#dueBy(now - this.#start);
    const sent = this.#send(due);
    if (sent < due) return this.#timer.set(RETRY);
    if (this.#next === this.#frames.length && this.#endPass()) return;
    const wait = this.#start + this.#due[this.#next]! - now;
    // A timer that is due would run within the same turn of the CPU: the bell rings in the next.
    if (wait > 0) this.#timer.set(wait);
    else this.#again.ring();
  }

  /** Frames that are due, at most a turn's worth. */
  #dueBy(elapsed: number): number {
    const end = Math.min(this.#next + TURN, this.#frames.length);
    let i = this.#next;
    while (i < end && this.#due[i]! <= elapsed) i++;
    return i - this.#next;
  }

  #send(want: number): number {
    if (want === 0) return 0;
    const batch = this.#dev.alloc(want);
    const n = batch.length;
    for (let i = 0; i < n; i++) batch.copyFrom(i, this.#frames[this.#next + i]!.bytes);
    this.#next += n;
    this.#dev.ifInput(batch);
    this.#dev.count("replayed", n);
    return n;
  }

  /** The next pass begins when the last frame of this one was due. True when that was the last pass. */
  #endPass(): boolean {
    this.#dev.count("passes");
    if (this.#cut > 0) this.#dev.count("cut", this.#cut);
    this.#start += this.#due[this.#next - 1]!;
    this.#next = 0;
    if (++this.#passes !== this.#loop) return false;
    this.#playing = false;
    this.#passes = 0;
    this.#position = 0;
    return true;
  }
}
