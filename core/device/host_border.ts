/**
 * The border between a kernel and a driver host: one shared buffer of the host's own, never pool memory.
 *
 * 1. Each direction is a lane: slots in ring order, into which one side copies and out of which the other
 *    copies. No buffer changes hands, so there is none to send twice, to keep, or to send to a stranger.
 * 2. The kernel believes nothing that it reads here. Its own index of a lane is private; the host's is loaded
 *    once and must lie within the lane; a length is read once and checked; letters are copied out before they
 *    are parsed. What does not fit is a broken border, and the host is given up.
 * 3. Bytes that change while they are copied are the host's own business: any outside may send any packet.
 * 4. A section of the border serves one interface at a time. It is used again only after the host has answered
 *    that it is done with it; else it stays claimed for good.
 * 5. Sleep is the pump's protocol (pump.ts, 1), with flags and bells in this buffer on both sides.
 *
 * @module
 */
import { add, cas, get, load, notify, set, store, waitAsync } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { LINE } from "../memory/arena.ts";

/** Sizes of a border. */
export interface BorderConfig {
  /** Interfaces at a time, 1 to 64. */
  readonly sections: number;
  /** Packets each way of each interface, a power of two. */
  readonly slots: number;
}

/** State of a border, a word that both sides see. Anything but up is final. */
export const BORDER = { up: 0, broken: 1, ended: 2 } as const;

/** Words at the front: state; the host's bell and sleep flag; its turns; claims of sections. */
const HEAD = { state: 0, bell: LINE, asleep: LINE + 1, turns: 2 * LINE, claims: 3 * LINE } as const;
const HEAD_WORDS = 3 * LINE + 64;
/** A section's first line: the kernel's bell and sleep flag, the link state. */
const SECTION = { bell: 0, asleep: 1, link: 2 } as const;
/** A lane: the writer's index, the reader's index, one note per slot, then the slots. */
const LANE = { tail: 0, head: LINE, notes: 2 * LINE } as const;

/** Bytes of a packet's slot. */
const SLOT = 2048;
/** Letters each way, and bytes of one. */
const LETTERS = 8;
const LETTER = 16 * 1024;

const lines = (words: number): number => Math.ceil(words / LINE) * LINE;
const laneWords = (slots: number, bytes: number): number => 2 * LINE + lines(slots) + slots * bytes / 4;
const sectionWords = (slots: number): number =>
  LINE + 2 * laneWords(slots, SLOT) + 2 * laneWords(LETTERS, LETTER);

function broken(what: string, state: string, wanted: string): SoftcError {
  return new SoftcError("SOFTC_HOST_PROTOCOL", `The driver host broke the border: ${what}`, {
    state,
    wanted,
  });
}

/** The shared buffer, as either side has it. */
export class Border {
  readonly buffer: SharedArrayBuffer;
  readonly config: BorderConfig;
  readonly w: Int32Array;
  readonly u8: Uint8Array;

  /** Opens a border over its buffer. */
  constructor(buffer: SharedArrayBuffer, config: BorderConfig) {
    this.buffer = buffer;
    this.config = config;
    this.w = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
  }

  /** Makes a new one. */
  static create(config: BorderConfig): Border {
    const words = HEAD_WORDS + config.sections * sectionWords(config.slots);
    return new Border(new SharedArrayBuffer(words * 4), config);
  }

  /** Its state, one of {@linkcode BORDER}. */
  get state(): number {
    return load(this.w, HEAD.state);
  }

  /** Ends it for both sides; the first reason stays. */
  end(why: number): void {
    cas(this.w, HEAD.state, BORDER.up, why);
    notify(this.w, HEAD.state);
    this.ringHost(true);
    for (let i = 0; i < this.config.sections; i++) this.section(i).ringKernel(true);
  }

  /** Resolves when it is no longer up. */
  async ended(): Promise<void> {
    while (this.state === BORDER.up) await waitAsync(this.w, HEAD.state, BORDER.up, Infinity);
  }

  /** Claims a section for an interface; `undefined` when none is left. */
  claim(): BorderSection | undefined {
    for (let i = 0; i < this.config.sections; i++) {
      if (cas(this.w, HEAD.claims + i, 0, 1) === 0) return this.section(i);
    }
    return undefined;
  }

  /** Gives a section back that the host is done with. */
  release(s: BorderSection): void {
    store(this.w, HEAD.claims + s.number, 0);
  }

  /** One section. */
  section(i: number): BorderSection {
    return new BorderSection(this, i, HEAD_WORDS + i * sectionWords(this.config.slots));
  }

  /** Kernel: wakes the host if it sleeps; call it after the store that gives it work. */
  ringHost(always = false): void {
    if (!always && load(this.w, HEAD.asleep) === 0) return;
    add(this.w, HEAD.bell, 1);
    notify(this.w, HEAD.bell);
  }

  /** Host: says whether it is about to sleep; the sources are asked after this. */
  hostSleeps(asleep: boolean): void {
    store(this.w, HEAD.asleep, asleep ? 1 : 0);
  }

  /** Host: its bell, and the wait for it. */
  get bell(): number {
    return load(this.w, HEAD.bell);
  }
  /** Host: resolves when the bell has changed. */
  async rung(bell: number): Promise<void> {
    await waitAsync(this.w, HEAD.bell, bell, Infinity);
  }

  /** Host: one more turn of its pump. */
  turn(): void {
    store(this.w, HEAD.turns, (get(this.w, HEAD.turns) + 1) | 0);
  }
  /** Turns of the host's pump, wrapping: a host that lives takes one after its bell was rung. */
  get turns(): number {
    return load(this.w, HEAD.turns);
  }
}

/** The part of a border that one interface uses. */
export class BorderSection {
  readonly border: Border;
  readonly number: number;
  readonly #at: number;

  /** Made by {@linkcode Border.section}. */
  constructor(border: Border, number: number, at: number) {
    this.border = border;
    this.number = number;
    this.#at = at;
  }

  /** Word offset of a lane: packets down and up, letters down and up. */
  #lane(which: "tx" | "rx" | "down" | "up"): [at: number, slots: number, bytes: number] {
    const { slots } = this.border.config;
    const packets = laneWords(slots, SLOT);
    const base = this.#at + LINE;
    if (which === "tx") return [base, slots, SLOT];
    if (which === "rx") return [base + packets, slots, SLOT];
    const letters = base + 2 * packets;
    return [letters + (which === "down" ? 0 : laneWords(LETTERS, LETTER)), LETTERS, LETTER];
  }

  /** The writing end of a lane. */
  writer(which: "tx" | "rx" | "down" | "up"): LaneWriter {
    return new LaneWriter(this.border, ...this.#lane(which));
  }
  /** The reading end of a lane. */
  reader(which: "tx" | "rx" | "down" | "up"): LaneReader {
    return new LaneReader(this.border, ...this.#lane(which));
  }

  /** Host: wakes the kernel's CPU if its proxy sleeps. */
  ringKernel(always = false): void {
    const { w } = this.border;
    if (!always && load(w, this.#at + SECTION.asleep) === 0) return;
    add(w, this.#at + SECTION.bell, 1);
    notify(w, this.#at + SECTION.bell);
  }

  /** Kernel: sleeps until the host rings, unless something waits already. */
  async sleep(waits: () => boolean): Promise<void> {
    const { w } = this.border;
    const bell = load(w, this.#at + SECTION.bell);
    store(w, this.#at + SECTION.asleep, 1);
    if (!waits()) await waitAsync(w, this.#at + SECTION.bell, bell, Infinity);
    store(w, this.#at + SECTION.asleep, 0);
  }

  /** The link state that the host's interface has: coalesced, so that a flapping one cannot flood. */
  get link(): number {
    return load(this.border.w, this.#at + SECTION.link);
  }
  set link(state: number) {
    store(this.border.w, this.#at + SECTION.link, state);
  }
}

/** One end of a lane: its own index is private. */
class LaneEnd {
  protected readonly border: Border;
  protected readonly at: number;
  protected readonly bytes: number;
  /** Slots of the lane. */
  readonly slots: number;
  protected index = 0;

  constructor(border: Border, at: number, slots: number, bytes: number, index: number) {
    this.border = border;
    this.at = at;
    this.slots = slots;
    this.bytes = bytes;
    this.index = load(border.w, at + index);
  }

  /** Byte offset of the slot `i` after this end's index. */
  byteAt(i: number): number {
    const slot = (this.index + i) & (this.slots - 1);
    return (this.at + LANE.notes + lines(this.slots)) * 4 + slot * this.bytes;
  }

  protected noteAt(i: number): number {
    return this.at + LANE.notes + ((this.index + i) & (this.slots - 1));
  }
}

/** The writing end of a lane. */
export class LaneWriter extends LaneEnd {
  /** Made by {@linkcode BorderSection.writer}. */
  constructor(border: Border, at: number, slots: number, bytes: number) {
    super(border, at, slots, bytes, LANE.tail);
  }

  /** Slots that the reader has not given back. @throws {SoftcError} `SOFTC_HOST_PROTOCOL` */
  used(): number {
    const used = (this.index - load(this.border.w, this.at + LANE.head)) | 0;
    if (used < 0 || used > this.slots) {
      throw broken("the index of a reader", String(used), `0 to ${this.slots} behind the writer`);
    }
    return used;
  }

  /** Notes something of slot `i` from the index on: a length, a queue. */
  note(i: number, value: number): void {
    set(this.border.w, this.noteAt(i), value);
  }

  /** Publishes `n` slots. */
  publish(n: number): void {
    this.index = (this.index + n) | 0;
    store(this.border.w, this.at + LANE.tail, this.index);
  }

  /** Writes a letter; false when there is no room. @throws {SoftcError} `SOFTC_HOST_ARGUMENT` when it is too long */
  post(letter: object): boolean {
    const text = new TextEncoder().encode(JSON.stringify(letter));
    if (text.length > this.bytes) {
      throw new SoftcError("SOFTC_HOST_ARGUMENT", "Cannot send that much across a driver host's border", {
        state: `${text.length} bytes`,
        wanted: `at most ${this.bytes}`,
      });
    }
    if (this.used() === this.slots) return false;
    this.border.u8.set(text, this.byteAt(0));
    this.note(0, text.length);
    this.publish(1);
    return true;
  }
}

/** The reading end of a lane. */
export class LaneReader extends LaneEnd {
  /** Made by {@linkcode BorderSection.reader}. */
  constructor(border: Border, at: number, slots: number, bytes: number) {
    super(border, at, slots, bytes, LANE.head);
  }

  /** Slots that the writer has published. @throws {SoftcError} `SOFTC_HOST_PROTOCOL` */
  ready(): number {
    const n = (load(this.border.w, this.at + LANE.tail) - this.index) | 0;
    if (n < 0 || n > this.slots) {
      throw broken("the index of a writer", String(n), `0 to ${this.slots} ahead of the reader`);
    }
    return n;
  }

  /** Whether anything is published, or the index is nonsense (which `ready` then says). */
  waits(): boolean {
    return load(this.border.w, this.at + LANE.tail) !== this.index;
  }

  /** What the writer noted of slot `i`. */
  note(i: number): number {
    return get(this.border.w, this.noteAt(i));
  }

  /** Gives `n` slots back. */
  release(n: number): void {
    this.index = (this.index + n) | 0;
    store(this.border.w, this.at + LANE.head, this.index);
  }

  /** The next letter: any JSON value; `undefined` when there is none. @throws {SoftcError} `SOFTC_HOST_PROTOCOL` */
  letter(): unknown {
    if (this.ready() === 0) return undefined;
    const len = this.note(0);
    if (!(len > 0 && len <= this.bytes)) throw broken("a letter's length", String(len), `1 to ${this.bytes}`);
    const at = this.byteAt(0);
    // Copied first: what is parsed no longer changes.
    const text = new TextDecoder().decode(this.border.u8.slice(at, at + len));
    this.release(1);
    try {
      return JSON.parse(text);
    } catch {
      throw broken("a letter", "not JSON", "JSON");
    }
  }
}
