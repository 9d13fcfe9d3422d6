/**
 * A packet generator (as Linux's pktgen): senders on chosen CPUs that send through one interface, at full rate
 * or at a rate that is kept by credit: a timer gives it, the pump's turns spend it.
 *
 * @module
 */
import type { Cpu, Source } from "../cpu/cpu.ts";
import { MAIL } from "../cpu/mailbox.ts";
import type { TimerEntry } from "../doors/clock.ts";
import { BORN } from "../memory/counters.ts";
import { get, load } from "../doors/arena.ts";
import { type Arena, CLUSTER, IFNET, MBUF } from "../memory/arena.ts";
import { IFF } from "./flags.ts";
import type { Pool } from "../memory/mbuf.ts";
import type { Net } from "./net.ts";
import { ifOutput } from "./output.ts";
import { ifnetByIndexAttached } from "./section.ts";

/** One stream, as it travels to a CPU. */
export interface StreamFacts {
  readonly id: number;
  readonly vnet: number;
  readonly index: number;
  readonly batch: number;
  /** The frame, bytes. */
  readonly frame: readonly number[];
  /** Packets to send; 0 = until it is stopped. */
  readonly count: number;
  /** Packets per second; 0 = as many as go. */
  readonly rate: number;
}

interface Stream {
  readonly facts: StreamFacts;
  readonly frame: Frame;
  left: number;
  /** Packets that the rate allows now. */
  credit: number;
  timer: TimerEntry | undefined;
  sent: number;
  accepted: number;
}

/** Milliseconds between two gifts of credit, and what is saved up at most. */
const GIFT = 1;
const SAVED = 10;

/** What one CPU's part of a generator did, from its start to its stop. */
export interface StreamCounts {
  /** Packets made and given to the interface. */
  readonly sent: number;
  /** Those that the interface accepted; the rest was dropped there, and counted by reason. */
  readonly accepted: number;
}

/** The generators of one CPU: a source of its pump. */
export class Pktgen implements Source {
  readonly #net: Net;
  readonly #streams: Stream[] = [];
  /** The stream that a turn begins with: after the last one that sent, so that none starves. */
  #first = 0;

  constructor(cpu: Cpu, net: Net) {
    this.#net = net;
    cpu.on(MAIL.pktgen, (m) => {
      if (m.a === 1) this.#start(JSON.parse(m.text) as StreamFacts);
      else return this.#stop(m.b);
    });
  }

  poll(budget: number): number {
    let work = 0;
    const n = this.#streams.length;
    for (let i = 0; i < n && work < 4 * budget; i++) {
      if (this.#first >= n) this.#first = 0;
      const s = this.#streams[this.#first++]!;
      for (let k = 0; k < 4 && work < 4 * budget; k++) work += this.#send(s);
    }
    return work;
  }

  waits(): boolean {
    // A stream whose interface is away or down sleeps: linking it and bringing it up ring every CPU.
    const { arena } = this.#net;
    for (const s of this.#streams) {
      const at = arena.ifnetAt(s.facts.index);
      if (s.left <= 0 || s.credit < 1 || (load(arena.a, at + IFNET.gencnt) & 1) === 0) continue;
      if (get(arena.a, at + IFNET.vnet) === s.facts.vnet && (get(arena.a, at + IFNET.flags) & IFF.UP) !== 0) {
        return true;
      }
    }
    return false;
  }

  #start(facts: StreamFacts): void {
    const s: Stream = {
      facts,
      frame: new Frame(facts.frame),
      left: facts.count === 0 ? Infinity : facts.count,
      credit: facts.rate === 0 ? Infinity : 1,
      timer: undefined,
      sent: 0,
      accepted: 0,
    };
    this.#streams.push(s);
    if (facts.rate !== 0) this.#pace(s);
  }

  /** Gives a stream its credit, and again in a while. */
  #pace(s: Stream): void {
    const { clock, timers } = this.#net.cpu;
    const { rate } = s.facts;
    const most = Math.max(1, rate * SAVED / 1000);
    let since = clock.now();
    const give = (): void => {
      const now = clock.now();
      s.credit = Math.min(most, s.credit + (now - since) * rate / 1000);
      since = now;
      s.timer = timers.after(Math.max(GIFT, (1 - s.credit) * 1000 / rate), give);
    };
    give();
  }

  #stop(id: number): StreamCounts {
    const i = this.#streams.findIndex((s) => s.facts.id === id);
    if (i < 0) return { sent: 0, accepted: 0 };
    const { timer, sent, accepted } = this.#streams.splice(i, 1)[0]!;
    if (timer !== undefined) timer.armed = false;
    return { sent, accepted };
  }

  /** One batch: section, look-up, allocate, fill, send. */
  #send(stream: Stream): number {
    const net = this.#net;
    const want = Math.floor(Math.min(stream.facts.batch, stream.left, stream.credit));
    if (want <= 0) return 0;
    const s = net.open(stream.facts.vnet);
    const b = net.borrow(0);
    try {
      const p = ifnetByIndexAttached(s, stream.facts.index);
      // Full rate does not mean burning packets on a door that is closed.
      if (p === undefined || (get(net.arena.a, net.arena.ifnetAt(p) + IFNET.flags) & IFF.UP) === 0) return 0;
      const n = net.cpu.pool.alloc(b.ids, 0, want, BORN.stack, stream.frame.bytes.length);
      if (n === 0) return 0;
      b.n = n;
      stream.frame.fill(net.arena, net.cpu.pool, b.ids, n);
      stream.left -= n;
      stream.credit -= n;
      stream.sent += n;
      stream.accepted += ifOutput(s, p, b, stream.facts.id);
      return n;
    } finally {
      net.giveBack();
      net.close(s);
    }
  }
}

/** Longest frame that is written word by word. */
const SHORT = 128;
/** Words of a step: they end inside the cluster, whatever the frame's length. */
const STEP = 8;

/** A frame that is written into many packets. */
export class Frame {
  readonly bytes: Uint8Array;
  readonly #words: BigInt64Array;

  constructor(frame: ArrayLike<number>) {
    this.bytes = Uint8Array.from(frame);
    const padded = new BigInt64Array(Math.ceil(frame.length / (8 * STEP)) * STEP);
    new Uint8Array(padded.buffer).set(this.bytes);
    this.#words = padded;
  }

  /** Writes it into new packets: eight words after the other, kept at hand for all packets, when it is short. */
  fill(arena: Arena, pool: Pool, ids: Int32Array, n: number): void {
    const { a, q, u8 } = arena;
    const f = this.#words;
    const headers = pool.headerAt(0) + MBUF.off, clusters = pool.clusterAt(0);
    if (this.bytes.length > SHORT) {
      for (let i = 0; i < n; i++) {
        u8.set(this.bytes, clusters + ids[i]! * CLUSTER + a[headers + ids[i]! * MBUF.WORDS]!);
      }
      return;
    }
    const words = clusters / 8;
    for (let k = 0; k < f.length; k += STEP) {
      const f0 = f[k]!, f1 = f[k + 1]!, f2 = f[k + 2]!, f3 = f[k + 3]!;
      const f4 = f[k + 4]!, f5 = f[k + 5]!, f6 = f[k + 6]!, f7 = f[k + 7]!;
      for (let i = 0; i < n; i++) {
        const id = ids[i]!;
        const w = words + id * (CLUSTER / 8) + (a[headers + id * MBUF.WORDS]! >> 3) + k;
        q[w] = f0;
        q[w + 1] = f1;
        q[w + 2] = f2;
        q[w + 3] = f3;
        q[w + 4] = f4;
        q[w + 5] = f5;
        q[w + 6] = f6;
        q[w + 7] = f7;
      }
    }
  }
}
