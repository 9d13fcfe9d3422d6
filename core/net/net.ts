/**
 * The network of one CPU: its gates, the queues that it owns, its backlog, its scratch batches and sections.
 *
 * @module
 */
import type { Cpu } from "../cpu/cpu.ts";
import type { Arena } from "../memory/arena.ts";
import { PacketBatch } from "../memory/batch.ts";
import { DROP } from "../memory/counters.ts";
import type { Domain } from "./domain.ts";
import type { Gate } from "./gate.ts";
import type { OwnedQueue } from "./output.ts";
import type { RefHolder } from "./ref.ts";
import { NetSection } from "./section.ts";
import type { Vnet } from "./vnet.ts";
import { Backlog } from "./backlog.ts";

/** What one CPU keeps of the network. */
export class Net {
  readonly arena: Arena;
  /** Slots of the interface table. */
  readonly ifnets: number;
  /** gencnt that the last look-up of a slot found, and the section that it was found in. */
  readonly stamps: Int32Array;
  readonly stampSeqs: Int32Array;
  /** Transmit hooks of this CPU, by slot. */
  readonly gates: (Gate | undefined)[];
  /** Output queues that this CPU empties. */
  readonly queues: OwnedQueue[] = [];
  readonly domains: Domain[] = [];
  readonly backlog: Backlog;
  /** Input being processed on this CPU: more of it joins the backlog. */
  receiving = false;
  /** CPU 0 alone: an interface by name, and a vnet by id. */
  names: ((vnetId: number, name: string) => number | undefined) | undefined;
  vnets: ((id: number) => Vnet | undefined) | undefined;
  /** CPU 0 alone: who keeps references. */
  refs!: RefHolder;
  /** Takes all that this CPU receives in place of the protocols: a driver host hands it to its kernel. */
  sink: ((index: number, b: PacketBatch) => void) | undefined;
  readonly #sections: NetSection[] = [];
  #open = 0;
  readonly #batches: PacketBatch[] = [];
  #borrowed = 0;

  constructor(readonly cpu: Cpu) {
    this.arena = cpu.arena;
    this.ifnets = cpu.arena.plan.config.ifnets;
    this.stamps = new Int32Array(this.ifnets);
    this.stampSeqs = new Int32Array(this.ifnets);
    this.gates = new Array<Gate | undefined>(this.ifnets).fill(undefined);
    this.backlog = new Backlog(cpu);
  }

  /** Opens a section that sees vnet `vnetId` (0: all). Close it in a `finally`. */
  open(vnetId: number, vnet?: Vnet): NetSection {
    const s = this.#sections[this.#open] ??= new NetSection(this);
    this.#open++;
    this.cpu.epoch.enter();
    s.seq = this.cpu.epoch.seq;
    s.vnetId = vnetId;
    s.vnet = vnet;
    return s;
  }

  /** Closes the section that was opened last. */
  close(s: NetSection): void {
    s.seq = 0;
    this.#open--;
    this.cpu.epoch.exit();
  }

  /** Borrows a scratch batch; give it back with {@linkcode giveBack}, last first. */
  borrow(index: number, freeAs: number = DROP.driver): PacketBatch {
    const b = this.#batches[this.#borrowed] ??= new PacketBatch(this.cpu.pool);
    this.#borrowed++;
    return b.reset(index, freeAs, "freeAll");
  }

  /** Gives the batch back that was borrowed last. */
  giveBack(): void {
    this.#borrowed--;
  }
}
