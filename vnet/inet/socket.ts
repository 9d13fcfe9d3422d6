/**
 * A socket's memory and what takes packets out of it on CPU 0.
 *
 * @module
 */
import { load } from "../../core/doors/arena.ts";
import { DROP } from "../../core/memory/counters.ts";
import { ringInit, ringPeek, ringReady, ringRelease, ringStamp, ringWaits } from "../../core/memory/ring.ts";
import type { InetControl } from "./control.ts";
import { SOCKBUF, sockbufRing, sockbufWords, SOCKET_RING } from "./layout.ts";
import { SOCKET_OWNER } from "./sockets.ts";

/** Answer of a taker that keeps the packet: it has passed it on already. */
export const KEPT = -1;

/** The rings of one socket. */
export class SocketBuffer {
  readonly block: number;
  /** No room is left for new packets to be taken; what is in the rings is dropped when it is freed. */
  closing = false;
  readonly #inet: InetControl;
  readonly #take: (id: number, arrival: number) => number;
  readonly #room: () => number;

  /** `take` gets a packet that CPU 0 owns and answers how its life ends; `room` says how many it wants. */
  constructor(
    inet: InetControl,
    name: string,
    take: (id: number, arrival: number) => number,
    room: () => number,
  ) {
    this.#inet = inet;
    this.#take = take;
    this.#room = room;
    const { cpus } = inet.control;
    this.block = inet.control.heap.alloc(sockbufWords(cpus), name);
    for (let k = 0; k < cpus; k++) ringInit(inet.arena.a, sockbufRing(this.block, k), SOCKET_RING);
  }

  /** Packets that found no room. */
  get dropped(): number {
    return load(this.#inet.arena.a, this.block + SOCKBUF.dropped);
  }

  /** Whether a packet waits that may be taken. */
  waits(): boolean {
    if (!this.closing && this.#room() <= 0) return false;
    for (let k = 0; k < this.#inet.control.cpus; k++) {
      if (ringWaits(this.#inet.arena.a, sockbufRing(this.block, k))) return true;
    }
    return false;
  }

  /** Takes what there is room for. */
  poll(): number {
    let work = 0;
    for (let k = 0; k < this.#inet.control.cpus; k++) {
      const room = this.closing ? 0 : this.#room();
      if (room > 0) work += this.#from(k, Math.min(room, 64));
    }
    return work;
  }

  #from(k: number, max: number): number {
    const { net, arena } = this.#inet;
    const ring = sockbufRing(this.block, k);
    const ready = ringReady(arena.a, ring, max);
    if (ready <= 0) return 0;
    const b = net.borrow(0);
    const n = ringPeek(arena.a, ring, b.ids, Math.min(max, ready));
    const arrival = ringStamp(arena.a, ring);
    net.cpu.pool.handOver(b.ids, 0, n, SOCKET_OWNER, net.cpu.pool.mine);
    ringRelease(arena.a, ring, n);
    const ids = b.ids.slice(0, n);
    net.giveBack();
    for (let i = 0; i < n; i++) {
      const end = this.#take(ids[i]!, arrival);
      if (end !== KEPT) net.cpu.pool.end(ids, i, 1, end, "input (delivered or dropped)");
    }
    return n;
  }

  /** Drops what is left and frees the memory: no section can reach it any more. */
  free(): void {
    const { net, arena, control } = this.#inet;
    for (let k = 0; k < control.cpus; k++) {
      const ring = sockbufRing(this.block, k);
      for (let ready = ringReady(arena.a, ring, 128); ready > 0; ready = ringReady(arena.a, ring, 128)) {
        const b = net.borrow(0);
        const n = ringPeek(arena.a, ring, b.ids, Math.min(ready, 128));
        net.cpu.pool.handOver(b.ids, 0, n, SOCKET_OWNER, net.cpu.pool.mine);
        net.cpu.pool.end(b.ids, 0, n, DROP.nosocket, "purge");
        ringRelease(arena.a, ring, n);
        net.giveBack();
      }
    }
    control.heap.free(this.block, "epoch callback");
  }
}
