/**
 * A batch of packets: what the data path and a driver's hooks work on. It hides the arena.
 *
 * A batch is reused by its CPU, so nobody may keep one past the hook or section that gave it.
 *
 * @module
 */
import { get, set, watched } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { CLUSTER, MBUF } from "./arena.ts";
import { DROP } from "./counters.ts";
import { completeCsum, CSUM, csumInside, isPartial } from "./csum.ts";
import { type Mbuf, OWNER, ownerWord, type Pool } from "./mbuf.ts";
import type { FreeSite } from "./sanitizer.ts";

/** Packets that a batch holds at most. */
export const BATCH_MAX = 256;

/**
 * The packets of one call, on one CPU. Indices run from 0 to `length - 1`, and stay until the batch is handed up or
 * sent; a packet that was taken or passed on reads as length 0. Every call about packet `i` throws `SOFTC_MBUF_RANGE`
 * outside them, and all but `len` and `untake` `SOFTC_MBUF_NOT_OWNER` for a packet that is no longer the batch's.
 */
export interface Batch {
  /** Packets in the batch, 256 at most; those that were taken still count. */
  readonly length: number;
  /** Why packets were refused, after `ifOutput`: a number of {@linkcode ERRNO}, 0 unless some were. A transmit hook may set its own reason. */
  errno: number;
  /** Bytes of packet `i`. */
  len(i: number): number;
  /** The bytes of packet `i`, writable, valid until the hook or section ends. Makes a view: not for the hottest loops. */
  bytes(i: number): Uint8Array;
  /** Sets the length of packet `i`, 0 to 1984 bytes; more bytes show what the cluster held before. @throws {SoftcError} `SOFTC_MBUF_RANGE` */
  setLen(i: number, len: number): void;
  /** Copies packet `i` into `target` from index `at` on; returns its length. What `target` has no room for is not copied. No allocation. */
  copyTo(i: number, target: Uint8Array, at: number): number;
  /** Replaces packet `i`, length and bytes, by `source`. @throws {SoftcError} `SOFTC_MBUF_RANGE` above 1984 bytes */
  copyFrom(i: number, source: Uint8Array): void;
  /** Takes packet `i` of a hook's, `dev.alloc`'s or `dev.gather`'s batch for the device. The driver owns it until `dev.txDone` (on the wire), `dev.free` (dropped), `put` or `untake`. */
  take(i: number): Mbuf;
  /** Gives packet `i` back that `take` gave, unsent: the batch owns it again. @throws {SoftcError} `SOFTC_MBUF_RANGE` when packet `i` was not taken; `SOFTC_MBUF_NOT_OWNER`, `SOFTC_MBUF_DOUBLE_FREE` when `m` is not the device's */
  untake(i: number, m: Mbuf): void;
  /**
   * Adds a packet of the device (taken before) as the last one, `len` bytes long; the batch owns it then. A batch whose
   * packets are all gone starts again at index 0.
   *
   * @throws {SoftcError} `SOFTC_MBUF_RANGE` when the batch is full, or `len` above 1984 (the packet is added as it was);
   * `SOFTC_MBUF_NOT_OWNER`, `SOFTC_MBUF_DOUBLE_FREE` when `m` is not the device's
   */
  put(m: Mbuf, len: number): void;
  /** What is known of the transport checksum of packet `i`: {@linkcode CSUM}, or what {@linkcode partialCsum} made. */
  csum(i: number): number;
  /**
   * Says what is known of the transport checksum of packet `i`. False, and nothing is said, when the offsets of a
   * partial one lie outside the packet (one that is gone has no inside).
   */
  setCsum(i: number, csum: number): boolean;
  /** Completes the checksum of packet `i` if it is partial; after that it is a whole one, to be checked. */
  finishCsum(i: number): void;
  /** Ends what the batch still owns: sent in a transmit hook, dropped elsewhere. Returns `length`, so `return b.freeAll()` accepts all. */
  freeAll(): number;
}

/** Errno numbers of the data path: those of FreeBSD's errno(2), on every platform. */
export const ERRNO = {
  /** Nothing was refused. */
  OK: 0,
  /** The driver failed, or the interface is going. */
  ENXIO: 6,
  /** An argument is wrong: for drivers to say. */
  EINVAL: 22,
  /** Longer than the device takes: for drivers to say. */
  EMSGSIZE: 40,
  /** The interface is not UP. */
  ENETDOWN: 50,
  /** The queue is full. */
  ENOBUFS: 55,
} as const;

/** The batch as core sees it. */
export class PacketBatch implements Batch {
  readonly ids = new Int32Array(BATCH_MAX);
  n = 0;
  errno = 0;
  /** Interface slot that `take` and `freeAll` act for. */
  index = 0;
  /** What `freeAll` counts as: `ENDED.wire` inside a transmit hook. */
  freeAs: number = DROP.driver;
  freeSite: FreeSite = "freeAll";
  /** Packets that are no longer the batch's own (taken, freed, passed on). */
  gone = 0;
  /** `setCsum` was called: some packet's checksum may be partial. */
  csums = false;
  /** Packets that were given to a driver and dropped, because it failed. */
  lost = 0;

  constructor(readonly pool: Pool) {}

  get length(): number {
    return this.n;
  }

  len(i: number): number {
    const id = this.#id(i);
    return id < 0 ? 0 : get(this.pool.arena.a, this.pool.headerAt(id) + MBUF.len);
  }

  /** Byte offset of packet `i` in the arena. */
  at(i: number): number {
    const id = this.#own(i);
    return this.pool.clusterAt(id) + get(this.pool.arena.a, this.pool.headerAt(id) + MBUF.off);
  }

  bytes(i: number): Uint8Array {
    const at = this.at(i);
    return this.pool.arena.u8.subarray(at, at + this.len(i));
  }

  setLen(i: number, len: number): void {
    const h = this.pool.headerAt(this.#own(i));
    const room = CLUSTER - get(this.pool.arena.a, h + MBUF.off);
    if (!(Number.isInteger(len) && len >= 0 && len <= room)) {
      throw new SoftcError("SOFTC_MBUF_RANGE", `Cannot set the length of packet ${i} to ${len}`, {
        wanted: `0 to ${room} bytes`,
      });
    }
    set(this.pool.arena.a, h + MBUF.len, len);
  }

  copyTo(i: number, target: Uint8Array, at: number): number {
    const from = this.at(i);
    const len = this.len(i);
    const { u8 } = this.pool.arena;
    for (let k = 0; k < len; k++) target[at + k] = u8[from + k]!;
    return len;
  }

  copyFrom(i: number, source: Uint8Array): void {
    this.setLen(i, source.length);
    this.pool.arena.u8.set(source, this.at(i));
  }

  take(i: number): Mbuf {
    const id = this.#own(i);
    this.pool.handOver(this.ids, i, 1, this.pool.mine, ownerWord(OWNER.device, this.index));
    this.ids[i] = -1;
    this.gone++;
    return id as Mbuf;
  }

  untake(i: number, m: Mbuf): void {
    if (this.ids[i] !== -1 || i >= this.n) {
      throw new SoftcError("SOFTC_MBUF_RANGE", `Cannot give packet ${i} back to a batch`);
    }
    const device = ownerWord(OWNER.device, this.index);
    this.pool.check(m, device, "give back");
    this.ids[i] = m;
    this.pool.handOver(this.ids, i, 1, device, this.pool.mine);
    this.gone--;
  }

  put(m: Mbuf, len: number): void {
    // A batch that was used up starts again: what it held may be somebody else's by now.
    if (this.gone >= this.n) this.n = this.gone = 0;
    if (this.n >= this.ids.length) throw new SoftcError("SOFTC_MBUF_RANGE", "Cannot add to a full batch");
    this.ids[this.n] = m;
    this.pool.handOver(this.ids, this.n, 1, ownerWord(OWNER.device, this.index), this.pool.mine);
    this.n++;
    this.setLen(this.n - 1, len);
  }

  csum(i: number): number {
    return get(this.pool.arena.a, this.pool.headerAt(this.#own(i)) + MBUF.csum);
  }

  setCsum(i: number, csum: number): boolean {
    if (csum !== CSUM.whole && csum !== CSUM.valid && !csumInside(csum, this.len(i))) return false;
    set(this.pool.arena.a, this.pool.headerAt(this.#own(i)) + MBUF.csum, csum);
    this.csums = true;
    return true;
  }

  finishCsum(i: number): void {
    const csum = this.csum(i);
    if (isPartial(csum)) completeCsum(this.pool.arena.u8, this.at(i), this.len(i), csum);
    set(this.pool.arena.a, this.pool.headerAt(this.#own(i)) + MBUF.csum, CSUM.whole);
  }

  freeAll(): number {
    this.endFrom(0, this.freeAs, this.freeSite);
    return this.n;
  }

  /** Ends what is still owned from packet `from` on, and counts it under `ended`. */
  endFrom(from: number, ended: number, site: FreeSite): number {
    if (this.gone === 0) {
      const n = this.n - from;
      if (n > 0) this.pool.end(this.ids, from, n, ended, site);
      if (from === 0) this.gone = this.n;
      else this.#forget(from, this.n);
      return n;
    }
    return this.#endSome(from, this.n, ended, site);
  }

  /** Ends what is still owned in front of packet `to`. */
  endTo(to: number, ended: number, site: FreeSite): number {
    if (this.gone >= this.n) return 0;
    if (to === this.n && this.gone === 0) return this.endFrom(0, ended, site);
    return this.#endSome(0, to, ended, site);
  }

  /** Whether every packet from `from` on is still the batch's own. */
  wholeFrom(from: number): boolean {
    if (this.gone === 0 || from >= this.n) return true;
    if (this.gone >= this.n) return false;
    for (let i = from; i < this.n; i++) if (this.ids[i]! < 0) return false;
    return true;
  }

  /** Empties the batch without ending anything: its packets went elsewhere. */
  release(): void {
    this.gone = this.n;
  }

  /** Moves what is still owned to the front; the batch then holds just that. */
  compact(): void {
    if (this.gone === 0) return;
    let n = 0;
    for (let i = 0; i < this.n; i++) {
      const id = this.ids[i]!;
      if (id >= 0 && this.gone < this.n) this.ids[n++] = id;
    }
    this.n = n;
    this.gone = 0;
  }

  /** Makes it an empty batch for a new use. */
  reset(index: number, freeAs: number, site: FreeSite): this {
    this.n = 0;
    this.gone = 0;
    this.errno = 0;
    this.csums = false;
    this.lost = 0;
    this.index = index;
    this.freeAs = freeAs;
    this.freeSite = site;
    return this;
  }

  #endSome(from: number, to: number, ended: number, site: FreeSite): number {
    if (this.gone >= this.n) return 0;
    let count = 0;
    for (let i = from; i < to; i++) {
      if (this.ids[i]! < 0) continue;
      this.pool.end(this.ids, i, 1, ended, site);
      this.ids[i] = -1;
      this.gone++;
      count++;
    }
    return count;
  }

  #forget(from: number, to: number): void {
    this.ids.fill(-1, from, to);
    this.gone += to - from;
  }

  #id(i: number): number {
    if (!(i >= 0 && i < this.n)) {
      throw new SoftcError("SOFTC_MBUF_RANGE", `Cannot use packet ${i} of a batch`, {
        state: `${this.n} packets`,
      });
    }
    return this.gone >= this.n ? -1 : this.ids[i]!;
  }

  /** The id of packet `i`; throws when it is no longer this batch's, in debug mode also when its owner says so. */
  #own(i: number): number {
    const id = this.#id(i);
    if (id < 0) {
      throw new SoftcError(
        "SOFTC_MBUF_NOT_OWNER",
        `Cannot use packet ${i} of a batch: it was taken, freed or passed on`,
      );
    }
    if (watched()) this.pool.check(id, this.pool.mine, "use");
    return id;
  }
}
