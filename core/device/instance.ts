/**
 * A driver instance on one CPU: its gate, its `dev`, its part of the softc.
 *
 * Hooks of an instance on CPU k run only through the gate local to k. A sync hook cannot be on the stack when
 * the pump handles mail, so the answer to "close the gate" is the proof that no hook runs.
 *
 * @module
 */
import { plainError } from "../cpu/cpu.ts";
import { MAIL } from "../cpu/mailbox.ts";
import { add, get, hookEntry, load, set, watched } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { CLUSTER, HEADROOM, IFNET, MBUF } from "../memory/arena.ts";
import { type Batch, ERRNO, PacketBatch } from "../memory/batch.ts";
import { BORN, DROP, type DropReason, ENDED } from "../memory/counters.ts";
import { type Mbuf, OWNER, ownerWord } from "../memory/mbuf.ts";
import { IFF, LINK_STATE } from "../net/flags.ts";
import type { Gate } from "../net/gate.ts";
import { ifInput } from "../net/input.ts";
import type { Net } from "../net/net.ts";
import type { Dev, DeviceId, Doorbell, Driver, IfDeclaration, Log, Peer, Timer } from "./driver.ts";
import type { Callbacks } from "../cpu/callbacks.ts";
import { type AsyncSection, openAsync } from "../epoch/async.ts";
import { Dma } from "./dma.ts";
import { type Interrupts, Scope } from "./scope.ts";
import { type Fields, Shared } from "./struct.ts";

/** What an instance is told when it is made; crosses CPUs as text. */
export interface InstanceFacts {
  readonly index: number;
  readonly born: number;
  readonly name: string;
  readonly options: unknown;
  readonly id: DeviceId;
  /** Slots of the interfaces of the same cloner call. */
  readonly peers: readonly { readonly index: number; readonly born: number }[];
  /** Word offset of the shared struct; 0 = none. */
  readonly shared: number;
  /** Word offset of what it shares with its other side: its own struct, or its parent's. */
  readonly window: number;
}

const NO_SHARED = { fields: {}, words: 0, offsets: {} };

/** An instance on this CPU. */
export class LocalInstance implements Gate, Dev<unknown, Fields> {
  readonly net: Net;
  readonly driver: Driver;
  readonly facts: InstanceFacts;
  readonly scope: Scope;
  readonly shared: Shared<Fields>;
  readonly peers: readonly Peer[];
  readonly log: Log;
  /** What `ifnet` declared. */
  declared: IfDeclaration | undefined;
  /** The softc, on the home CPU. */
  softc: object | undefined;
  /** What transmit is called with: the softc, or this CPU's part. */
  target: object | undefined;
  /** The transmit gate. */
  open = false;
  faulted = false;
  readonly counts: Record<string, number> = {};
  /** Asynchronous hooks (set, reassign) under way: stop comes after them. */
  readonly running = new Set<Promise<void>>();
  #revoke: (() => void) | undefined;
  #rx: PacketBatch | undefined;
  #gathered: PacketBatch | undefined;
  #dma: Dma | undefined;
  readonly #device: number;

  constructor(net: Net, interrupts: Interrupts, callbacks: Callbacks, driver: Driver, facts: InstanceFacts) {
    this.net = net;
    this.driver = driver;
    this.facts = facts;
    this.#device = ownerWord(OWNER.device, facts.index);
    this.scope = new Scope(net.cpu, interrupts, callbacks, facts.name, (label, fn) => this.guard(label, fn));
    this.shared = new Shared(net.arena.a, facts.shared, driver.shared ?? NO_SHARED);
    this.peers = facts.peers.map((p) => ({ ifInput: (b: Batch): void => this.#peerInput(p, b) }));
    const log = (level: string, message: string): void =>
      net.cpu.report({
        kind: "log",
        index: facts.index,
        born: facts.born,
        label: `${level} ${facts.name}: ${message}`,
      });
    this.log = { info: (m) => log("info", m), warn: (m) => log("warn", m) };
  }

  get index(): number {
    return this.facts.index;
  }
  get born(): number {
    return this.facts.born;
  }
  get name(): string {
    return this.facts.name;
  }
  get options(): unknown {
    return this.facts.options;
  }
  get id(): DeviceId {
    return this.facts.id;
  }
  get cpu(): number {
    return this.net.cpu.id;
  }
  get cpus(): number {
    return this.net.arena.plan.config.cpus;
  }
  get up(): boolean {
    const { a } = this.net.arena;
    const at = this.net.arena.ifnetAt(this.index);
    return load(a, at + IFNET.born) === this.born && (get(a, at + IFNET.flags) & IFF.UP) !== 0;
  }
  get signal(): AbortSignal {
    return this.scope.signal;
  }

  /** Keeps the softc; in debug mode behind a proxy that is revoked after destroy, so a late touch throws. */
  adopt(softc: object): object {
    if (this.net.cpu.sanitizer === undefined || !isPlain(softc)) return softc;
    const { proxy, revoke } = Proxy.revocable(softc, {});
    this.#revoke = revoke;
    return proxy;
  }

  /** Ends the softc. */
  forget(): void {
    this.#revoke?.();
    this.softc = this.target = undefined;
  }

  transmit(b: PacketBatch, queue: number): number {
    const n = b.n;
    if (!this.open || this.faulted) {
      b.lost = b.endFrom(0, this.faulted ? DROP.fault : DROP.detached, "output (dropped)");
      b.errno = ERRNO.ENXIO;
      return n;
    }
    const { cpu } = this.net;
    b.index = this.facts.index;
    b.freeAs = ENDED.wire;
    let taken = n;
    cpu.hooks++;
    try {
      hookEntry("transmit");
      taken = this.driver.transmit(this.target!, b, queue);
      if (!(taken >= 0 && taken <= n) || taken !== Math.trunc(taken)) {
        throw new SoftcError("SOFTC_DRIVER_COUNT", `transmit of ${this.name} returned ${taken}`, {
          wanted: `0 to ${n}`,
        });
      }
      // A batch that was passed up whole is shorter: what was taken out of it before is gone from it.
      if (b.n > n || (taken < n && (b.n < n || !b.wholeFrom(taken)))) {
        throw new SoftcError(
          "SOFTC_DRIVER_COUNT",
          `transmit of ${this.name} kept packets that it did not accept`,
          {
            state: `${taken} of ${n} accepted`,
            wanted: "what is not accepted stays in the batch as it was",
          },
        );
      }
      b.endTo(taken, ENDED.wire, "transmit (accepted)");
    } catch (e) {
      taken = n;
      b.lost = this.#endFault(b);
      b.errno = ERRNO.ENXIO;
      this.fault("transmit", e);
    } finally {
      cpu.hooks--;
    }
    return taken;
  }

  /** Calls a function of the driver that runs in a turn of the pump; what it throws is the instance's fault. */
  guard(label: string, fn: () => void): void {
    if (this.faulted) return;
    hookEntry(label);
    try {
      fn();
    } catch (e) {
      this.fault(label, e);
    }
  }

  /** A hook threw: this instance goes, never the kernel. */
  fault(label: string, e: unknown): void {
    if (this.faulted) return;
    this.faulted = true;
    const { cpu, index, born, name } = this;
    // Mail keeps its order with the answers of hooks, which a port does not: an open that answers next is known as faulty.
    if (cpu !== 0) this.net.cpu.postUp(MAIL.fault, index, born);
    this.net.cpu.report({ kind: "fault", index, born, name, label, error: plainError(e) });
  }

  ifnet(o: IfDeclaration): void {
    if (this.declared !== undefined || this.softc !== undefined) {
      throw new SoftcError("SOFTC_DEV_IFNET", `Cannot declare the interface of ${this.name}`, {
        state: this.declared === undefined ? "attached" : "declared already",
        wanted: "once, in attach",
      });
    }
    this.declared = o;
  }

  ifInput(b: Batch): void {
    const own = this.#own(b, "ifInput");
    // The slot may be another's: a late call of the driver's own never speaks for that one.
    if (this.scope.closed) own.endFrom(0, DROP.detached, "input (delivered or dropped)");
    else ifInput(this.net, this.index, own);
  }

  txWake(queue: number): void {
    for (const q of this.net.queues) {
      if (q.index === this.index && q.queue === queue) q.blocked = false;
    }
    this.net.cpu.ring(this.cpu);
  }

  link(up: boolean, bps = 0): void {
    const { a } = this.net.arena;
    const at = this.net.arena.ifnetAt(this.index);
    // A change after unlink is ignored (behaviour 26); CPU 0 compares again.
    if (this.scope.closed || load(a, at + IFNET.born) !== this.born) return;
    const state = up ? LINK_STATE.up : LINK_STATE.down;
    if (get(a, at + IFNET.link) === state) return;
    set(a, at + IFNET.link, state);
    if (this.cpu === 0) {
      this.net.cpu.handle({
        kind: MAIL.link,
        ticket: 0,
        a: this.index,
        b: this.born,
        c: state,
        d: bps / 1000 | 0,
        text: "",
      });
    } else this.net.cpu.postUp(MAIL.link, this.index, this.born, state, bps / 1000 | 0);
  }

  alloc(n: number): Batch {
    const b = this.#rx ??= new PacketBatch(this.net.cpu.pool);
    b.endFrom(0, DROP.driver, "dev.free");
    b.reset(this.index, DROP.driver, "freeAll");
    const want = Math.max(0, Math.min(n | 0, b.ids.length));
    b.n = this.net.cpu.pool.alloc(b.ids, 0, want, BORN.rx, 0);
    return b;
  }

  free(m: Mbuf, reason: DropReason = "driver"): void {
    this.net.cpu.pool.endOne(m, this.#device, DROP[reason] ?? DROP.driver, "dev.free");
  }

  txDone(m: Mbuf): void {
    this.net.cpu.pool.endOne(m, this.#device, ENDED.wire, "dev.txDone");
  }

  bytes(m: Mbuf): Uint8Array {
    const { pool } = this.net.cpu;
    pool.check(m, this.#device, "read");
    const h = pool.headerAt(m);
    const at = pool.clusterAt(m) + get(this.net.arena.a, h + MBUF.off);
    return this.net.arena.u8.subarray(at, at + get(this.net.arena.a, h + MBUF.len));
  }

  count(name: string, n = 1): void {
    this.counts[name] = (this.counts[name] ?? 0) + n;
  }

  timer(fn: () => void): Timer {
    return this.scope.timer(fn);
  }

  task<R>(fn: (signal: AbortSignal) => Promise<R>): Promise<R> {
    return this.scope.task(fn);
  }

  interrupt(fn: () => void): Doorbell {
    return this.scope.interrupt(fn);
  }

  epochCall(fn: () => void): void {
    this.scope.callback(() => this.guard("epoch callback", fn));
  }

  epochOpen(): AsyncSection {
    return openAsync(this.net.arena, this.cpu, this.now(), this.name, () => this.net.cpu.ring(0));
  }

  now(): number {
    return this.net.cpu.clock.now();
  }

  get resource(): object | undefined {
    return this.net.cpu.resources.get(this.index);
  }

  get dma(): Dma {
    return this.#dma ??= new Dma(this.net.arena.a.buffer);
  }

  get window(): number {
    return this.facts.window * 4;
  }

  address(m: Mbuf): number {
    const { pool } = this.net.cpu;
    if (watched()) pool.check(m, this.#device, "give the address of");
    return pool.clusterAt(m) + get(this.net.arena.a, pool.headerAt(m) + MBUF.off);
  }

  gather(): Batch {
    const b = this.#gathered ??= new PacketBatch(this.net.cpu.pool);
    b.endFrom(0, DROP.driver, "dev.free");
    return b.reset(this.index, DROP.driver, "freeAll");
  }

  listen(at: number, fn: () => void): void {
    this.scope.listen(this.net.arena.a, at >> 2, fn);
  }

  kick(cpu: number, at: number): void {
    add(this.net.arena.a, at >> 2, 1);
    this.net.cpu.ring(cpu);
  }

  /** Drops what `alloc` and `gather` gave and nobody took. */
  dropUnused(): void {
    this.#rx?.endFrom(0, DROP.driver, "dev.free");
    this.#gathered?.endFrom(0, DROP.driver, "dev.free");
  }

  #peerInput(peer: { index: number; born: number }, batch: Batch): void {
    const b = this.#own(batch, "pass packets to a peer");
    const { arena } = this.net;
    if (load(arena.a, arena.ifnetAt(peer.index) + IFNET.born) !== peer.born) {
      b.endFrom(0, DROP.gone, "input (delivered or dropped)");
    } else ifInput(this.net, peer.index, b);
  }

  #own(b: Batch, verb: string): PacketBatch {
    if (!(b instanceof PacketBatch) || b.pool !== this.net.cpu.pool) {
      throw new SoftcError(
        "SOFTC_MBUF_NOT_OWNER",
        `Cannot ${verb} on CPU ${this.cpu}: not a batch of this CPU`,
      );
    }
    return b;
  }

  #endFault(b: PacketBatch): number {
    try {
      return b.endFrom(0, DROP.fault, "output (dropped)");
    } catch {
      // What the driver freed behind the batch's back stays as it is: the ledger shows it.
      return 0;
    }
  }
}

/** Bytes that one packet holds at most. */
export const MAX_PACKET = CLUSTER - HEADROOM;

function isPlain(o: object): boolean {
  const proto = Object.getPrototypeOf(o);
  return proto === Object.prototype || proto === null;
}
