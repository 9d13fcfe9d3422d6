/**
 * Near misses at the door: look-ups that found an interface unlinked, inside a section, on any CPU. Each is a
 * sender that would have touched what was going away.
 *
 * @module
 */
import { ACCESS, type Access, type DoorWatch, watchDoor } from "../../core/doors/arena.ts";
import { type Arena, CPU, IFNET } from "../../core/memory/arena.ts";

/** Counts on one CPU. */
export class NearWatch implements DoorWatch {
  /** Look-ups that found an even gencnt. */
  count = 0;
  /** The kernel that is watched. */
  arena: Arena | undefined;
  #record = 0;
  #next: DoorWatch | null = null;

  /** Watches a kernel's accesses from this CPU. */
  watch(arena: Arena | undefined, cpu: number): void {
    this.arena = arena;
    this.#record = arena === undefined ? 0 : arena.cpuAt(cpu) + CPU.record;
  }

  /** Sets itself in front of this thread's watch. */
  install(): void {
    this.#next = watchDoor(this);
  }

  access(a: Int32Array, word: number, kind: Access): void {
    if (this.#next !== null) this.#next.access(a, word, kind);
    const { arena } = this;
    if (arena === undefined || a !== arena.a || kind !== ACCESS.load) return;
    const { ifnet, ifCounters } = arena.plan;
    if (word < ifnet || word >= ifCounters || (word - ifnet) % IFNET.WORDS !== IFNET.gencnt) return;
    if ((a[word]! & 1) === 0 && (a[this.#record]! & 1) === 1) this.count++;
  }
}
