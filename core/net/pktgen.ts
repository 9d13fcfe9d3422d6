/**
 * A packet generator (as Linux's pktgen): senders on chosen CPUs that send through one interface at full rate.
 *
 * @module
 */
import type { Cpu, Source } from "../cpu/cpu.ts";
import { MAIL } from "../cpu/mailbox.ts";
import { BORN } from "../memory/counters.ts";
import { get, load } from "../doors/arena.ts";
import { IFNET, MBUF } from "../memory/arena.ts";
import { IFF } from "./flags.ts";
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
}

interface Stream {
  readonly facts: StreamFacts;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  left: number;
  sent: number;
  accepted: number;
}

/** What a CPU's part of a generator did. */
export interface StreamCounts {
  /** Packets born. */
  readonly sent: number;
  /** Packets that the interface accepted. */
  readonly accepted: number;
}

/** The generators of one CPU: a source of its pump. */
export class Pktgen implements Source {
  readonly #net: Net;
  readonly #streams: Stream[] = [];

  constructor(cpu: Cpu, net: Net) {
    this.#net = net;
    cpu.on(MAIL.pktgen, (m) => {
      if (m.a === 1) this.#start(JSON.parse(m.text) as StreamFacts);
      else return this.#stop(m.b);
    });
  }

  poll(budget: number): number {
    let work = 0;
    for (let i = 0; i < this.#streams.length; i++) {
      const s = this.#streams[i]!;
      for (let k = 0; k < 4 && work < 4 * budget; k++) work += this.#send(s);
    }
    return work;
  }

  waits(): boolean {
    // A stream whose interface is away or down sleeps: linking it and bringing it up ring every CPU.
    const { arena } = this.#net;
    for (const s of this.#streams) {
      const at = arena.ifnetAt(s.facts.index);
      if (s.left <= 0 || (load(arena.a, at + IFNET.gencnt) & 1) === 0) continue;
      if (get(arena.a, at + IFNET.vnet) === s.facts.vnet && (get(arena.a, at + IFNET.flags) & IFF.UP) !== 0) {
        return true;
      }
    }
    return false;
  }

  #start(facts: StreamFacts): void {
    const bytes = Uint8Array.from(facts.frame);
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    this.#streams.push({
      facts,
      bytes,
      words: new Int32Array(padded.buffer),
      left: facts.count === 0 ? Infinity : facts.count,
      sent: 0,
      accepted: 0,
    });
  }

  #stop(id: number): StreamCounts {
    const i = this.#streams.findIndex((s) => s.facts.id === id);
    if (i < 0) return { sent: 0, accepted: 0 };
    const { sent, accepted } = this.#streams.splice(i, 1)[0]!;
    return { sent, accepted };
  }

  /** One batch: section, look-up, allocate, fill, send. */
  #send(stream: Stream): number {
    const net = this.#net;
    const want = Math.min(stream.facts.batch, stream.left);
    if (want <= 0) return 0;
    const s = net.open(stream.facts.vnet);
    const b = net.borrow(0);
    try {
      const p = ifnetByIndexAttached(s, stream.facts.index);
      // Full rate does not mean burning packets on a door that is closed.
      if (p === undefined || (get(net.arena.a, net.arena.ifnetAt(p) + IFNET.flags) & IFF.UP) === 0) return 0;
      const n = net.cpu.pool.alloc(b.ids, 0, want, BORN.stack, stream.bytes.length);
      if (n === 0) return 0;
      b.n = n;
      this.#fill(b.ids, n, stream);
      stream.left -= n;
      stream.sent += n;
      stream.accepted += ifOutput(s, p, b, stream.facts.id);
      return n;
    } finally {
      net.giveBack();
      net.close(s);
    }
  }

  /** Writes the frame into every packet: words for a short one, a copy for a long one. */
  #fill(ids: Int32Array, n: number, stream: Stream): void {
    const { arena, cpu } = this.#net;
    const { words, bytes } = stream;
    const a = arena.a;
    for (let i = 0; i < n; i++) {
      const at = cpu.pool.clusterAt(ids[i]!) + a[cpu.pool.headerAt(ids[i]!) + MBUF.off]!;
      if (words.length <= 32) {
        const w = at >> 2;
        for (let k = 0; k < words.length; k++) a[w + k] = words[k]!;
      } else arena.u8.set(bytes, at);
    }
  }
}
