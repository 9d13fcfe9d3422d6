/**
 * The Ifnet that a user holds: an entry and a handle. It names and never holds.
 *
 * @module
 */
import { get } from "../doors/arena.ts";
import { SoftcError } from "../error.ts";
import { IFNET } from "../memory/arena.ts";
import { type IfCounters, ifCounters } from "../memory/counters.ts";
import { type Blame, whoHolds } from "./blame.ts";
import { assertLive, ifDown, ifSet, ifUp } from "./config.ts";
import { IFCAP, type IfCap, IFF, IFT, type IfType, LINK_STATE, type LinkState } from "./flags.ts";
import { formatHandle, type Handle } from "./handle.ts";
import type { DriverCounters, IfJSON, Ifnet, IfOptions, ReadOptions } from "./ifnet.ts";
import type { IfEntry, Interfaces } from "./interfaces.ts";
import { type IfState, stateOf } from "./state.ts";
import type { Tap, TapOptions } from "./tap.ts";
import type { Vnet } from "./vnet.ts";
import { checkNames, type Names } from "../options.ts";

const READ: Names<ReadOptions> = { timeout: true };
const TAP: Names<TapOptions> = { onPacket: true, snap: true, drops: true };

/** An interface as core gives it out. */
export class IfnetObject implements Ifnet {
  readonly handle: Handle;
  readonly #ifs: Interfaces;
  readonly #entry: IfEntry;
  readonly #mtu: { min: number; max: number };
  readonly #reenter: (what: string) => void;

  constructor(
    ifs: Interfaces,
    entry: IfEntry,
    mtu: { min: number; max: number },
    reenter: (what: string) => void,
  ) {
    this.#ifs = ifs;
    this.#entry = entry;
    this.#mtu = mtu;
    this.#reenter = reenter;
    this.handle = ifs.handle(entry);
  }

  /** The record behind it: for the floors above. */
  static entry(i: Ifnet): IfEntry | undefined {
    return #entry in (i as IfnetObject) ? (i as IfnetObject).#entry : undefined;
  }

  get index(): number {
    return this.#entry.index;
  }
  get name(): string {
    return this.#entry.name;
  }
  get vnet(): Vnet {
    return this.#entry.vnet;
  }
  get #occupied(): boolean {
    return this.#ifs.entries[this.#entry.index] === this.#entry;
  }
  get state(): IfState {
    return this.#occupied ? stateOf(this.#ifs.arena.a, this.#ifs.at(this.#entry)) : "freed";
  }
  get counters(): IfCounters {
    return this.#entry.final ?? ifCounters(this.#ifs.arena, this.#entry.index);
  }
  get queued(): number {
    return this.#occupied ? this.#ifs.queued(this.#entry) : 0;
  }
  get driverCounters(): Readonly<Record<string, number>> {
    return this.#entry.device.counters;
  }

  async readDriverCounters(o: ReadOptions = {}): Promise<DriverCounters> {
    const { name } = this;
    this.#reenter(`read the counters of ${name}`);
    checkNames(`read the counters of ${name}`, o, READ);
    const { timeout = 250 } = o;
    if (!(Number.isInteger(timeout) && timeout >= 1 && timeout <= 60_000)) {
      throw new SoftcError(
        "SOFTC_IF_ARGUMENT",
        `Cannot wait ${String(timeout)} ms for the counters of ${name}`,
        {
          wanted: "a whole number from 1 to 60000",
        },
      );
    }
    const { device } = this.#entry;
    // After its end nobody has newer ones.
    const late = this.#occupied ? await device.refreshCounters(timeout) : [];
    return { counters: device.counters, late };
  }

  async up(): Promise<void> {
    this.#reenter(`bring up ${this.name}`);
    await ifUp(this.#ifs, this.#entry, this.handle);
  }

  async down(): Promise<void> {
    this.#reenter(`bring down ${this.name}`);
    await ifDown(this.#ifs, this.#entry, this.handle);
  }

  async set(o: IfOptions): Promise<void> {
    this.#reenter(`change ${this.name}`);
    await ifSet(this.#ifs, this.#entry, this.handle, o, this.#mtu);
  }

  tap(o: TapOptions): Tap {
    assertLive(this.#ifs, this.#entry, this.handle, "tap");
    checkNames(`tap ${this.name}`, o, TAP);
    const snap = o.snap ?? 1;
    if (typeof o.onPacket !== "function" || !(Number.isInteger(snap) && snap > 0)) {
      throw new SoftcError("SOFTC_IF_ARGUMENT", `Cannot tap ${this.name}`, {
        state: `onPacket ${typeof o.onPacket}, snap ${String(o.snap)}`,
        wanted: "a function, and a whole number from 1 on",
      });
    }
    return this.#ifs.taps.attach(this.#entry.index, this.name, o);
  }

  addGroup(name: string): void {
    assertLive(this.#ifs, this.#entry, this.handle, "change the groups of");
    this.#entry.groups.add(name);
  }

  removeGroup(name: string): void {
    assertLive(this.#ifs, this.#entry, this.handle, "change the groups of");
    this.#entry.groups.delete(name);
  }

  why(): Blame[] {
    return this.#occupied ? whoHolds(this.#ifs, this.#entry) : [];
  }

  toJSON(): IfJSON {
    const e = this.#entry;
    const { a } = this.#ifs.arena;
    const at = this.#ifs.at(e);
    const word = (w: number): number => this.#occupied ? get(a, at + w) : 0;
    const flags = Object.entries(IFF).filter(([, bit]) => (word(IFNET.flags) & bit) !== 0).map(([name]) =>
      name
    );
    const type =
      (Object.entries(IFT).find(([, n]) => n === word(IFNET.type))?.[0] ?? e.spec?.type ?? "ether") as IfType;
    return {
      name: e.name,
      handle: formatHandle(this.handle),
      index: e.index,
      vnet: e.vnet.name,
      home: e.homeVnet.name,
      driver: e.device.driver,
      type,
      state: this.state,
      flags,
      mtu: word(IFNET.mtu),
      mac: [...e.spec?.mac ?? []].map((b) => b.toString(16).padStart(2, "0")).join(":"),
      link: (Object.keys(LINK_STATE) as LinkState[])[word(IFNET.link)] ?? "unknown",
      groups: [...e.groups],
      capabilities: (Object.keys(IFCAP) as IfCap[]).filter((c) => ((e.spec?.caps ?? 0) & IFCAP[c]) !== 0),
      cpu: e.spec?.home ?? 0,
      queues: e.spec?.queues ?? 0,
      queued: this.queued,
      counters: this.counters,
    };
  }

  /** How it prints on Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** How it prints on Node and Bun. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  toString(): string {
    return `${this.name} (${formatHandle(this.handle)}, ${this.state}, vnet "${this.vnet.name}")`;
  }
}
