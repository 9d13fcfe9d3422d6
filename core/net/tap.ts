/**
 * Taps: every packet of an interface, once, as a copy with its direction (bpf).
 *
 * 1. A tap is a block in the arena with a ring per CPU. The slot's `taps` word leads to the first block, each
 *    block to the next.
 * 2. The data path reads the word once per batch inside its section. Detaching stores the new word, then
 *    defers the rest: the block is freed after a grace period, so a section that found it may still push
 *    (R24, rule 1b).
 * 3. A copy is a life of its own (born `copy`). CPU 0 takes copies out and ends them as delivered; a copy
 *    that finds no room is not made, only counted.
 * 4. A tap that asked for drops sees a packet again when this interface drops it, or a protocol that got it from
 *    there, with the reason. What waits in a queue when the interface goes is dropped after its taps are off.
 *
 * @module
 */
import { add, get, load, store } from "../doors/arena.ts";
import type { Control } from "../cpu/control.ts";
import { plainError } from "../cpu/cpu.ts";
import { IFNET, LINE, MBUF, ringWords } from "../memory/arena.ts";
import type { PacketBatch } from "../memory/batch.ts";
import { BORN, DROP, type Drop, type DropReason, ENDED } from "../memory/counters.ts";
import { completeCsum, isPartial } from "../memory/csum.ts";
import { OWNER, ownerWord } from "../memory/mbuf.ts";
import {
  ringInit,
  ringPeek,
  ringPush,
  ringReady,
  ringRelease,
  ringRoom,
  ringStamp,
  ringWaits,
} from "../memory/ring.ts";
import type { Net } from "./net.ts";

/** Words of a tap block; a ring per CPU follows. Time is not kept in shared memory: the reader stamps. */
const TAP = { next: 0, snap: 1, missed: 2, drops: 3, rings: LINE } as const;
const ENTRIES = 512;
/** Stamp of an entry: direction, and above it the reason of a drop. */
const DIRECTION = { in: 1, out: 2 } as const;
const REASON_SHIFT = 8;
/** Names of drop reasons by number. */
const REASONS: ReadonlyMap<number, DropReason> = new Map(
  Object.entries(DROP).map(([name, n]) => [n, name as DropReason]),
);

/** Which way a packet went through the interface. */
export type Direction = "in" | "out";

/** One packet that a tap saw: the frame from its Ethernet header on, as it is on the wire (checksums completed). */
export interface TapPacket {
  /** Its first `snap` bytes, a copy: the listener's to keep. */
  readonly bytes: Uint8Array;
  /** Its length on the interface, bytes: more than `bytes` when that is cut off. */
  readonly length: number;
  /** Received, or sent. */
  readonly direction: Direction;
  /** Why the interface, or a protocol that had it from there, dropped it: only with `drops`. */
  readonly dropped?: DropReason;
  /** The CPU that handled it. */
  readonly cpu: number;
}

/** Options of a tap. */
export interface TapOptions {
  /**
   * Called with each packet on CPU 0, outside every section and hook, some time after the packet. In order for each
   * CPU that handled packets, not between them. What it returns is not awaited; a throw is a fault, told to `onFault`.
   */
  readonly onPacket: (packet: TapPacket) => void;
  /** Bytes kept of each packet, from 1 on; 1984, all of it, unless told. A checksum that a driver completes is shown completed only in a whole packet. */
  readonly snap?: number;
  /** Sees drops too, with the reason: a packet that it saw before it sees again. False unless told. */
  readonly drops?: boolean;
}

/** A listener on an interface. When that leaves its vnet it hears no more; its memory is its own until `close`, or shutdown. */
export interface Tap {
  /** Packets that it did not see: its ring of 512 for each CPU was full, or no mbuf was free. */
  readonly missed: number;
  /**
   * Ends it; what was copied before is still delivered. Resolves after a grace period, when its memory is free.
   * Idempotent: every call gets the same promise.
   *
   * @throws {SoftcError} `SOFTC_BOOT_DOWN`, `SOFTC_BOOT_CPU` when the kernel ends meanwhile. Both reject the promise
   */
  close(): Promise<void>;
}

/** Copies a batch into every tap of the interface. In the caller's section. */
export function tapBatch(net: Net, p: number, b: PacketBatch, direction: Direction): void {
  const a = net.arena.a;
  for (let tap = load(a, net.arena.ifnetAt(p) + IFNET.taps); tap !== 0; tap = load(a, tap + TAP.next)) {
    copyInto(net, tap, b, 0, DIRECTION[direction]);
  }
}

/** Copies what the interface is about to drop, from packet `from` on, into the taps that asked. In the caller's section. */
export function tapDrops(
  net: Net,
  index: number,
  b: PacketBatch,
  from: number,
  direction: Direction,
  reason: Drop,
): void {
  const a = net.arena.a;
  for (let tap = load(a, net.arena.ifnetAt(index) + IFNET.taps); tap !== 0; tap = load(a, tap + TAP.next)) {
    if (get(a, tap + TAP.drops) !== 0) {
      copyInto(net, tap, b, from, DIRECTION[direction] | reason << REASON_SHIFT);
    }
  }
}

/** A protocol is about to drop a packet: one that came in is shown to the taps that asked. In the section of its input. */
export function tapDropped(net: Net, id: number, reason: number): void {
  const { arena } = net;
  const { a } = arena;
  const header = net.cpu.pool.headerAt(id);
  const gencnt = get(a, header + MBUF.rcvGen);
  const index = get(a, header + MBUF.rcvIndex);
  const at = arena.ifnetAt(index);
  // Asked first, because the slot may be free. What was made here has gencnt 0: no interface that is attached has.
  if (load(a, at + IFNET.gencnt) !== gencnt || get(a, at + IFNET.taps) === 0) return;
  const b = net.borrow(index);
  b.ids[0] = id;
  b.n = 1;
  tapDrops(net, index, b, 0, "in", reason as Drop);
  b.release();
  net.giveBack();
}

function copyInto(net: Net, tap: number, b: PacketBatch, first: number, stamp: number): void {
  const { arena, cpu } = net;
  const a = arena.a;
  const ring = tap + TAP.rings + cpu.id * ringWords(ENTRIES);
  const copies = net.borrow(b.index);
  const all = b.n - first;
  const want = Math.min(all, ringRoom(a, ring, all));
  const n = want <= 0 ? 0 : cpu.pool.alloc(copies.ids, 0, want, BORN.copy, 0);
  copies.n = n;
  const snap = get(a, tap + TAP.snap);
  for (let i = 0; i < n; i++) {
    const len = b.len(first + i);
    const kept = len < snap ? len : snap;
    const from = b.at(first + i);
    arena.u8.copyWithin(copies.at(i), from, from + kept);
    // What is shown is what will be on the wire, unless the end is cut off.
    const csum = b.csum(first + i);
    if (kept === len && isPartial(csum)) completeCsum(arena.u8, copies.at(i), len, csum);
    const h = cpu.pool.headerAt(copies.ids[i]!);
    a[h + MBUF.len] = kept;
    a[h + MBUF.flow] = len;
  }
  if (n > 0) {
    cpu.pool.handOver(copies.ids, 0, n, cpu.pool.mine, TAP_OWNER);
    ringPush(a, ring, copies.ids, 0, n, stamp);
    cpu.ring(0);
  }
  if (n < all) add(a, tap + TAP.missed, all - n);
  net.giveBack();
}

const TAP_OWNER = ownerWord(OWNER.input, 0);

/** The taps of a kernel: on CPU 0, a source of its pump. */
export class Taps {
  readonly #net: Net;
  readonly #control: Control;
  readonly #open = new Map<number, (packet: TapPacket) => void>();
  readonly #taps = new Set<Tap>();
  /** Taps on an interface's list, and the word that leads to it. */
  readonly #linked = new Map<number, number>();

  constructor(net: Net, control: Control) {
    this.#net = net;
    this.#control = control;
  }

  /** Taps that are open or draining. */
  get size(): number {
    return this.#open.size;
  }

  /** Puts a tap on interface slot `index`. */
  attach(index: number, name: string, o: TapOptions): Tap {
    const { arena } = this.#net;
    const a = arena.a;
    const { cpus } = arena.plan.config;
    const tap = this.#control.heap.alloc(TAP.rings + cpus * ringWords(ENTRIES), `tap of ${name}`);
    for (let k = 0; k < cpus; k++) ringInit(a, tap + TAP.rings + k * ringWords(ENTRIES), ENTRIES);
    store(a, tap + TAP.snap, Math.min(o.snap ?? 1984, 1984));
    store(a, tap + TAP.drops, o.drops === true ? 1 : 0);
    const first = arena.ifnetAt(index) + IFNET.taps;
    store(a, tap + TAP.next, load(a, first));
    this.#open.set(tap, o.onPacket);
    store(a, first, tap);
    this.#linked.set(tap, first);
    let missed = 0;
    let closed: Promise<void> | undefined;
    const missedNow = (): number => closed === undefined ? load(a, tap + TAP.missed) : missed;
    const made: Tap = {
      get missed(): number {
        return missedNow();
      },
      close: (): Promise<void> => {
        if (closed === undefined) {
          missed = load(a, tap + TAP.missed);
          closed = this.#close(tap);
          this.#taps.delete(made);
        }
        return closed;
      },
    };
    this.#taps.add(made);
    return made;
  }

  /** Taps that nobody closed. */
  open(): Tap[] {
    return [...this.#taps];
  }

  /** Unlinks every tap of an interface that goes: their readers see no more packets. */
  unlinkAll(index: number): void {
    const first = this.#net.arena.ifnetAt(index) + IFNET.taps;
    store(this.#net.arena.a, first, 0);
    for (const [tap, word] of this.#linked) if (word === first) this.#linked.delete(tap);
  }

  /** Delivers what taps copied. */
  poll(budget: number): number {
    let work = 0;
    for (const [tap, onPacket] of this.#open) {
      for (let k = 0; k < this.#net.arena.plan.config.cpus; k++) {
        work += this.#deliver(tap, k, onPacket, budget);
      }
    }
    return work;
  }

  /** Whether a tap holds packets. */
  waits(): boolean {
    const { arena } = this.#net;
    for (const tap of this.#open.keys()) {
      for (let k = 0; k < arena.plan.config.cpus; k++) {
        if (ringWaits(arena.a, tap + TAP.rings + k * ringWords(ENTRIES))) return true;
      }
    }
    return false;
  }

  async #close(tap: number): Promise<void> {
    const first = this.#linked.get(tap);
    if (first !== undefined) this.#unlink(tap, first);
    this.#linked.delete(tap);
    await this.#control.grace.wait();
    // Nobody pushes into it any more; others are the pump's.
    const onPacket = this.#open.get(tap)!;
    for (let k = 0; k < this.#net.arena.plan.config.cpus; k++) {
      while (this.#deliver(tap, k, onPacket, 128) > 0);
    }
    this.#open.delete(tap);
    this.#control.heap.free(tap, "epoch callback");
  }

  #unlink(tap: number, first: number): void {
    const a = this.#net.arena.a;
    let word = first;
    for (let at = load(a, word); at !== 0; at = load(a, word)) {
      if (at === tap) return store(a, word, load(a, tap + TAP.next));
      word = at + TAP.next;
    }
  }

  #deliver(tap: number, k: number, onPacket: (packet: TapPacket) => void, budget: number): number {
    const net = this.#net;
    const { arena, cpu } = net;
    const ring = tap + TAP.rings + k * ringWords(ENTRIES);
    const ready = ringReady(arena.a, ring, budget);
    if (ready <= 0) return 0;
    const b = net.borrow(0);
    const n = ringPeek(arena.a, ring, b.ids, Math.min(budget, ready));
    const stamp = ringStamp(arena.a, ring);
    cpu.pool.handOver(b.ids, 0, n, TAP_OWNER, cpu.pool.mine);
    ringRelease(arena.a, ring, n);
    b.n = n;
    try {
      for (let i = 0; i < n; i++) this.#tell(onPacket, b, i, stamp, k);
    } finally {
      b.endFrom(0, ENDED.delivered, "input (delivered or dropped)");
      net.giveBack();
    }
    return n;
  }

  /** One packet to one listener. One that throws is told of; the pump that called it goes on. */
  #tell(onPacket: (packet: TapPacket) => void, b: PacketBatch, i: number, stamp: number, k: number): void {
    const { arena, cpu } = this.#net;
    const length = get(arena.a, cpu.pool.headerAt(b.ids[i]!) + MBUF.flow);
    const reason = REASONS.get(stamp >> REASON_SHIFT);
    try {
      onPacket({
        bytes: b.bytes(i).slice(),
        length,
        direction: (stamp & 3) === DIRECTION.in ? "in" : "out",
        ...(reason === undefined ? {} : { dropped: reason }),
        cpu: k,
      });
    } catch (e) {
      this.#control.onReport({ kind: "panic", label: "tap listener", error: plainError(e) }, 0);
    }
  }
}
