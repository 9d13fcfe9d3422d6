/**
 * The kernel's side of a driver host: a driver like any other, whose hooks ask the host and whose packets are
 * copied at the border.
 *
 * 1. A packet that was sent is the device's until the host has copied it: then it is on the wire. What the
 *    host has not copied when it goes, or dies, is dropped and counted.
 * 2. Every question has a deadline. A late answer finds no question: counted, and nothing else.
 * 3. What the host sends unasked is bounded per turn (packets) and per second (letters); what is more is
 *    thrown away and counted as `host.muted`.
 * 4. Once the border is no longer up, questions are refused and nothing is read from it any more.
 *
 * @module
 */
import { type PlainError, plainError, revive } from "../cpu/cpu.ts";
import { SoftcError } from "../error.ts";
import type { Batch } from "../memory/batch.ts";
import type { Mbuf } from "../memory/mbuf.ts";
import { LINK_STATE } from "../net/flags.ts";
import type { IfChange } from "../net/ifnet.ts";
import type { Dev, Doorbell, Driver, IfDeclaration, Match, Timer, VnetName } from "./driver.ts";
import { BORDER, type Border, type BorderSection, type LaneReader, type LaneWriter } from "./host_border.ts";
import { type LocalInstance, MAX_PACKET } from "./instance.ts";
import type { ModuleDef } from "./module_def.ts";

/** What a host tells of its module: plain data. */
export interface HostFacts {
  readonly name: string;
  readonly depends: readonly string[];
  readonly drivers: readonly HostedDriver[];
}

/** What a host tells of one driver. */
export interface HostedDriver {
  readonly name: string;
  readonly cloner?: string;
  readonly instances?: number;
  readonly queues?: number;
  readonly queueLength?: number;
  readonly match?: readonly Match[];
}

/** What a host is asked, in letters. */
export type HostVerb = "attach" | "set" | "canDetach" | "canMove" | "reassign" | "unplug" | "stop";

/** Packets that one turn takes from the host, and letters. */
const RX_BUDGET = 128;
const LETTER_BUDGET = 16;
/** Letters that nobody asked for, per second. */
const UNASKED = 100;
/** Idle turns before the proxy sleeps. */
const SPINS = 64;
/** Names of counters that a host may have, and letters of one. */
const COUNTERS = 64;
/** Up to this length a loop is faster than a view. */
const SHORT = 128;

interface Ask {
  readonly verb: HostVerb;
  resolve(value: unknown): void;
  reject(e: Error): void;
  readonly timer: Timer;
}

/** The proxy of one interface: the softc that the kernel keeps for it. */
export class HostProxy {
  readonly #dev: LocalInstance;
  readonly #border: Border;
  readonly #section: BorderSection;
  readonly #deadline: number;
  readonly #tx: LaneWriter;
  readonly #rx: LaneReader;
  readonly #down: LaneWriter;
  readonly #up: LaneReader;
  readonly #bell: Doorbell;
  readonly #asks = new Map<number, Ask>();
  /** Packets in the border, oldest first. */
  readonly #held: Int32Array;
  #heldFirst = 0;
  #heldCount = 0;
  readonly #blocked = new Set<number>();
  readonly #counts = new Map<string, number>();
  #nextAsk = 1;
  #idle = 0;
  #asleep = false;
  #link: number = LINK_STATE.unknown;
  #unasked = 0;
  #second = 0;
  /** The host has answered its stop, or was given up: nothing is read any more. */
  #over = false;

  constructor(dev: LocalInstance, border: Border, section: BorderSection, deadline: number) {
    this.#dev = dev;
    this.#border = border;
    this.#section = section;
    this.#deadline = deadline;
    this.#tx = section.writer("tx");
    this.#rx = section.reader("rx");
    this.#down = section.writer("down");
    this.#up = section.reader("up");
    this.#held = new Int32Array(this.#tx.slots);
    section.link = LINK_STATE.unknown;
    this.#bell = dev.interrupt(() => this.#poll());
    this.#bell.ring();
  }

  /** Asks the host. @throws {SoftcError} what it answers; `SOFTC_HOST_LATE` past the deadline; `SOFTC_DEV_GONE` */
  ask(verb: HostVerb, body: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#over || this.#border.state !== BORDER.up) return reject(this.#gone());
      const id = this.#nextAsk++;
      const late = (): void => {
        this.#asks.delete(id);
        reject(this.#late(verb));
      };
      const timer = this.#dev.timer(late);
      timer.set(this.#deadline);
      this.#asks.set(id, { verb, resolve, reject, timer });
      try {
        // A host that leaves letters unread is as late as one that does not answer.
        if (this.#down.post({ id, verb, ...body })) this.#border.ringHost();
      } catch (e) {
        timer.cancel();
        this.#asks.delete(id);
        reject(e);
      }
    });
  }

  /** Tells the host without a question. */
  tell(verb: HostVerb): void {
    if (this.#over || this.#border.state !== BORDER.up) return;
    if (this.#down.post({ id: 0, verb })) this.#border.ringHost();
  }

  transmit(b: Batch, queue: number): number {
    if (this.#over || this.#border.state !== BORDER.up) return 0;
    try {
      this.#reap();
      // Room by what is held, not by what is read: the host may have read more since the reap.
      const n = Math.min(b.length, this.#held.length - this.#heldCount);
      const { u8 } = this.#border;
      for (let i = 0; i < n; i++) {
        const len = b.len(i);
        const at = this.#tx.byteAt(i);
        if (len <= SHORT) b.copyTo(i, u8, at);
        else u8.set(b.bytes(i), at);
        this.#tx.note(i, queue << 16 | len);
        this.#held[(this.#heldFirst + this.#heldCount++) & (this.#held.length - 1)] = b.take(i);
      }
      if (n > 0) {
        this.#tx.publish(n);
        this.#border.ringHost();
      }
      if (n < b.length) this.#blocked.add(queue);
      return n;
    } catch (e) {
      this.#break(e);
      return 0;
    }
  }

  /** Ends the interface in its host; what is left in the border is dropped. A throw is the instance's fault. */
  async stop(): Promise<void> {
    let left = 0;
    try {
      const answer = await this.ask("stop") as { left?: unknown } | null;
      // Packets that the host gave back without having sent them.
      left = Math.max(0, Math.min(Number(answer?.left) || 0, this.#heldCount));
      this.#reap(left);
      this.#over = true;
      this.#rx.release(this.#rx.ready());
      if (this.#tx.used() === 0) this.#border.release(this.#section);
    } catch (e) {
      // Lost with its host: who found that out has said so.
      if (this.#border.state === BORDER.up) throw e;
    } finally {
      this.close();
    }
  }

  /** Drops what is in the border and reads nothing from it any more. Without `stop`, the section stays claimed. */
  close(): void {
    this.#over = true;
    if (this.#heldCount > 0) this.#dev.count("host.lost", this.#heldCount);
    while (this.#heldCount > 0) this.#dev.free(this.#pop());
    for (const ask of this.#asks.values()) ask.reject(this.#gone());
    this.#asks.clear();
    this.#section.ringKernel(true);
  }

  /** Gives the section back after an attach that the host has refused: it holds nothing of it. */
  refuse(): void {
    if (this.#border.state === BORDER.up) this.#border.release(this.#section);
    this.close();
  }

  /** One turn: what was copied, what came in, what was said. */
  #poll(): void {
    if (this.#over) return;
    if (this.#border.state !== BORDER.up) return this.close();
    let work = 0;
    try {
      work = this.#reap() + this.#receive() + this.#letters();
      const { link } = this.#section;
      if (link !== this.#link) {
        this.#link = link;
        this.#dev.link(link === LINK_STATE.up);
      }
    } catch (e) {
      return this.#break(e);
    }
    if (this.#over) return;
    this.#idle = work > 0 ? 0 : this.#idle + 1;
    if (this.#idle < SPINS) this.#bell.ring();
    else this.#sleep();
  }

  /** Until the host rings. Served by the event loop: a CPU cannot wait on two bells. */
  #sleep(): void {
    if (this.#asleep) return;
    this.#asleep = true;
    const waits = (): boolean =>
      this.#over || this.#border.state !== BORDER.up || this.#rx.waits() || this.#up.waits() ||
      this.#section.link !== this.#link || this.#tx.used() < this.#heldCount;
    void this.#dev.task(() => this.#section.sleep(waits)).catch(() => {}).then(() => {
      this.#asleep = false;
      this.#idle = 0;
      this.#bell.ring();
    });
  }

  /** Ends the packets that the host has copied, but for the last `left` of them; answers how many. */
  #reap(left = 0): number {
    const n = this.#heldCount - this.#tx.used() - left;
    for (let i = 0; i < n; i++) this.#dev.txDone(this.#pop());
    if (n > 0 && this.#blocked.size > 0) {
      for (const queue of this.#blocked) this.#dev.txWake(queue);
      this.#blocked.clear();
    }
    return n;
  }

  #pop(): Mbuf {
    const m = this.#held[this.#heldFirst]! as Mbuf;
    this.#heldFirst = (this.#heldFirst + 1) & (this.#held.length - 1);
    this.#heldCount--;
    return m;
  }

  #receive(): number {
    const n = Math.min(this.#rx.ready(), RX_BUDGET);
    if (n === 0) return 0;
    const b = this.#dev.alloc(n);
    const m = b.length;
    const { u8 } = this.#border;
    for (let i = 0; i < m; i++) {
      const len = this.#rx.note(i);
      if (!(len >= 0 && len <= MAX_PACKET)) {
        throw new SoftcError("SOFTC_HOST_PROTOCOL", `The host of ${this.#dev.name} broke the border`, {
          state: `a packet of ${len} bytes`,
          wanted: `0 to ${MAX_PACKET}`,
        });
      }
      const at = this.#rx.byteAt(i);
      b.copyFrom(i, u8.subarray(at, at + len));
    }
    this.#rx.release(m);
    this.#dev.ifInput(b);
    return m;
  }

  #letters(): number {
    let n = 0;
    for (; n < LETTER_BUDGET; n++) {
      const letter = this.#up.letter();
      if (letter === undefined) break;
      if (typeof letter !== "object" || letter === null) continue;
      const l = letter as Record<string, unknown>;
      if (typeof l.id === "number") this.#answer(l.id, l.value, l.error);
      else if (this.#mute()) this.#dev.count("host.muted");
      else if (typeof l.log === "string") {
        this.#dev.log[l.warn === true ? "warn" : "info"](l.log.slice(0, 1000));
      } else if (typeof l.counts === "object" && l.counts !== null) this.#count(l.counts);
      else if (typeof l.fault === "string") this.#fault(l.fault.slice(0, 64), readError(l.error));
    }
    return n;
  }

  /** Whether it has said too much in this second. */
  #mute(): boolean {
    const second = Math.floor(this.#dev.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#unasked = 0;
    }
    return ++this.#unasked > UNASKED;
  }

  #answer(id: number, value: unknown, error: unknown): void {
    const ask = this.#asks.get(id);
    if (ask === undefined) return this.#dev.count("host.late");
    this.#asks.delete(id);
    ask.timer.cancel();
    if (error === undefined) return ask.resolve(value);
    const e = revive(readError(error));
    // Late by the host's own clock: nothing of the kernel's is held by that.
    ask.reject((e as { code?: string }).code === "SOFTC_DRIVER_STALLED" ? this.#late(ask.verb, e) : e);
  }

  /** The driver's own counters, as totals. */
  #count(totals: object): void {
    for (const [name, total] of Object.entries(totals)) {
      if (typeof total !== "number" || !Number.isFinite(total) || name.length > COUNTERS) continue;
      const before = this.#counts.get(name) ?? 0;
      if (!this.#counts.has(name) && this.#counts.size >= COUNTERS) continue;
      this.#counts.set(name, total);
      this.#dev.count(name, total - before);
    }
  }

  /** The host lied: its border ends, for every interface that it has. */
  #break(e: unknown): void {
    this.#border.end(BORDER.broken);
    this.close();
    this.#fault("border", plainError(e));
  }

  /** Its interface goes. The proxy itself goes on: the way out asks the host. */
  #fault(label: string, error: PlainError): void {
    const { index, born } = this.#dev;
    this.#dev.net.cpu.report({ kind: "fault", index, born, label, error });
  }

  #late(verb: HostVerb, cause?: Error): SoftcError {
    return new SoftcError(
      "SOFTC_HOST_LATE",
      `Hook "${verb}" of ${this.#dev.name} did not answer from its host within ${this.#deadline} ms`,
      { state: "pending", wanted: "settled", cause },
    );
  }

  #gone(): SoftcError {
    return new SoftcError("SOFTC_DEV_GONE", `The driver host of ${this.#dev.name} is gone`);
  }
}

/** Fields of a SoftcError that a host may set. */
const FIELDS = ["code", "errno", "state", "wanted", "rule", "fix"] as const;

/** An error that a host sent, cut to size; no field but the known. */
export function readError(e: unknown, deep = true): PlainError {
  if (typeof e !== "object" || e === null) return plainError(String(e));
  const { name, message, stack, cause, softc } = e as Record<string, unknown>;
  const plain = {
    name: String(name).slice(0, 64),
    message: String(message).slice(0, 4000),
    stack: typeof stack === "string" ? stack.slice(0, 8000) : undefined,
    ...(deep && typeof cause === "object" && cause !== null ? { cause: readError(cause, false) } : {}),
  };
  if (typeof softc !== "object" || softc === null) return plain;
  const said = softc as Record<string, unknown>;
  const fields = FIELDS.flatMap((f) => typeof said[f] === "string" ? [[f, said[f].slice(0, 400)]] : []);
  return { ...plain, softc: Object.fromEntries(fields) };
}

/** What a host says that its driver declared, read with suspicion; the device checks values. */
function readDeclaration(answer: unknown): IfDeclaration {
  const d = (answer ?? {}) as Record<string, unknown>;
  const bytes = (v: unknown): v is number[] => Array.isArray(v) && v.every((x) => Number.isInteger(x));
  const words = (v: unknown): v is string[] => Array.isArray(v) && v.every((x) => typeof x === "string");
  return {
    type: d.type as IfDeclaration["type"],
    ...(bytes(d.mac) ? { mac: Uint8Array.from(d.mac.slice(0, 6)) } : {}),
    ...(typeof d.mtu === "number" ? { mtu: d.mtu } : {}),
    ...(words(d.groups) ? { groups: d.groups.slice(0, 16).map((g) => g.slice(0, 15)) } : {}),
    ...(d.dispatch === "flow" || d.dispatch === "direct" ? { dispatch: d.dispatch } : {}),
  };
}

/** What a veto answers. */
function readVeto(answer: unknown): true | string {
  return answer === true ? true : String(answer).slice(0, 400);
}

/** The driver that the kernel has in place of a hosted one. */
function proxyDriver(border: Border, hosted: HostedDriver, which: number, deadline: number): Driver {
  const mine = (sc: object): HostProxy => sc as HostProxy;
  // The host answers later; mail is answered by a promise as well as by a value.
  const veto = (sc: object, verb: "canDetach" | "canMove", body?: object): true =>
    mine(sc).ask(verb, body).then(readVeto) as unknown as true;
  return {
    ...hosted,
    api: 1,
    async attach(dev: Dev): Promise<object> {
      const section = border.claim();
      if (section === undefined) {
        throw new SoftcError("SOFTC_ARENA_FULL", `The host of driver "${hosted.name}" has no section left`, {
          state: `${border.config.sections} are claimed`,
          fix: "load it with more sections, and look for interfaces that did not answer their stop",
        });
      }
      const i = dev as LocalInstance;
      const proxy = new HostProxy(i, border, section, deadline);
      const { index, born, name, options, id, peers } = i.facts;
      // Those of one create are attached one after the other: the first makes them all.
      const group = [{ index, born }, ...peers].map((x) => x.index * 2 ** 32 + x.born).sort((x, y) => x - y);
      const member = group.indexOf(index * 2 ** 32 + born);
      try {
        const answer = await proxy.ask("attach", { driver: which, name, options, device: id, group, member });
        dev.ifnet(readDeclaration(answer));
      } catch (e) {
        if ((e as { code?: string }).code === "SOFTC_HOST_LATE") proxy.close();
        else proxy.refuse();
        throw e;
      }
      // Closing the scope aborts the signal too, but then the host has been told to stop.
      dev.signal.addEventListener("abort", () => proxy.tell("unplug"), { once: true });
      return proxy;
    },
    transmit: (sc, b, queue) => mine(sc).transmit(b, queue),
    set: async (sc: object, change: IfChange) => void await mine(sc).ask("set", { change }),
    canDetach: (sc: object) => veto(sc, "canDetach"),
    canMove: (sc: object, to: VnetName) => veto(sc, "canMove", { to }),
    reassign: async (sc: object, to: VnetName) => void await mine(sc).ask("reassign", { to }),
    stop: (sc: object) => mine(sc).stop(),
  };
}

/** Reads what a host told of its module. @throws {SoftcError} `SOFTC_HOST_PROTOCOL` */
export function readFacts(said: unknown): HostFacts {
  const f = (said ?? {}) as Record<string, unknown>;
  const words = (v: unknown): v is string[] => Array.isArray(v) && v.every((x) => typeof x === "string");
  if (
    typeof f.name !== "string" || !words(f.depends) || !Array.isArray(f.drivers) || f.drivers.length === 0
  ) {
    throw new SoftcError("SOFTC_HOST_PROTOCOL", "A driver host said nonsense of its module", {
      wanted: "name, depends and drivers",
    });
  }
  return { name: f.name, depends: f.depends, drivers: f.drivers as HostedDriver[] };
}

/** The module that the kernel has in place of a hosted one. */
export function hostedModule(border: Border, facts: HostFacts, deadline: number): ModuleDef {
  const { name, depends, drivers } = facts;
  return { name, api: 1, depends, drivers: drivers.map((d, i) => proxyDriver(border, d, i, deadline)) };
}
