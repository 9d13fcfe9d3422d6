/**
 * What the operations of a round share: the kernel, what is held for a while, what was seen.
 *
 * @module
 */
import { type Code, isSoftcError } from "../../core/error.ts";
import type { DeviceId, Handle, HostOptions, Ifnet, Kernel, Module, PlugOptions, Vnet } from "../../mod.ts";
import { afflicted, type Affliction, PLANTED } from "./fault.ts";
import type { Random } from "./random.ts";

/** A module that is tortured, and what is made with it. */
export interface TortureSubject {
  /** URL of its file. */
  readonly url: string | URL;
  /** What is created by hand: cloners, and the options of each create. */
  readonly cloners?: readonly {
    /** Its name. */
    readonly cloner: string;
    /** Options; `random` is the run's own generator, from 0 up to but not 1. */
    options?(random: () => number): unknown;
  }[];
  /**
   * A device for its drivers to find, in a place that is numbered from 0 to 3; `undefined` = not now.
   * `ifnets` are the interfaces of the kernel: some devices hang off one.
   */
  device?(
    place: number,
    ifnets: readonly Ifnet[],
  ): Promise<{ id: DeviceId; options: PlugOptions } | undefined>;
  /** Runs it in a worker of its own. It gets no planted faults: it brings its own. */
  readonly host?: HostOptions;
}

/** Interfaces that a round has at most; creates are passed over beyond. */
const MOST_IFNETS = 24;
/** Handles that are remembered, to be asked for later. */
const REMEMBERED = 64;

/** What comes of a hook that never settles. */
const STALLS: readonly Code[] = ["SOFTC_DRIVER_STALLED", "SOFTC_IF_WEDGED"];
/** What comes of a driver host that dies, stalls or misbehaves. */
const HOSTS: readonly Code[] = [
  "SOFTC_HOST_LOST",
  "SOFTC_HOST_STALLED",
  "SOFTC_HOST_LATE",
  "SOFTC_HOST_PROTOCOL",
  "SOFTC_DEV_GONE",
  // A hook that never settles there wedges the host's own interface, and leaves its memory behind.
  "SOFTC_IF_WEDGED",
  "SOFTC_ARENA_LEAK",
];

/** Counts of what nearly went wrong. */
export type NearMisses = Record<string, number>;

/** The world of one round. */
export class World {
  readonly near: NearMisses = {};
  /** What never may be: the round has failed. */
  readonly wrongs: string[] = [];
  /** What gives back what an operation holds, run at the end of the round at the latest. */
  readonly holds = new Set<() => Promise<void> | void>();
  readonly #modules = new Map<TortureSubject, Module>();
  readonly #handles: Handle[] = [];
  #remembered = 0;
  /** Codes that planted faults bring about. */
  readonly #planted: readonly Code[];

  constructor(
    readonly kernel: Kernel,
    readonly subjects: readonly TortureSubject[],
    readonly affliction: Affliction,
  ) {
    this.#planted = [
      ...(affliction.stalls ? STALLS : []),
      ...(subjects.some((s) => s.host !== undefined) ? HOSTS : []),
    ];
  }

  /** One more of a kind of near miss. */
  missed(what: string, n = 1): void {
    if (n > 0) this.near[what] = (this.near[what] ?? 0) + n;
  }

  /** Something that never may be. */
  wrong(what: string): void {
    if (this.wrongs.length < 20) this.wrongs.push(what);
  }

  /** Whether an error is one of these refusals, or comes of a planted fault. */
  expects(e: unknown, codes: readonly Code[]): boolean {
    for (let x: unknown = e; x instanceof Error; x = x.cause) {
      if (x.message.includes(PLANTED)) return true;
      if (isSoftcError(x) && this.#planted.includes(x.code)) return true;
    }
    return isSoftcError(e) && codes.includes(e.code);
  }

  /** A module of the round, for loading: its text is wrapped unless it has a host. */
  spec(s: TortureSubject): string {
    return s.host === undefined ? afflicted(String(s.url), this.affliction) : String(s.url);
  }

  /** Remembers what is loaded. */
  loaded(s: TortureSubject, m: Module): void {
    this.#modules.set(s, m);
  }

  /** The module of a subject, while it is loaded. */
  moduleOf(s: TortureSubject): Module | undefined {
    const m = this.#modules.get(s);
    return m !== undefined && this.kernel.modules.list().includes(m) ? m : undefined;
  }

  /** Room for another interface. */
  get roomy(): boolean {
    return this.kernel.ifnets.length < MOST_IFNETS;
  }

  /** Any interface; its handle is remembered. */
  ifnet(r: Random): Ifnet | undefined {
    const i = r.pick(this.kernel.ifnets);
    if (i !== undefined) this.#handles[this.#remembered++ % REMEMBERED] = i.handle;
    return i;
  }

  /** A handle of an interface that may be long gone. */
  handle(r: Random): Handle | undefined {
    return r.pick(this.#handles);
  }

  /** Any vnet. */
  vnet(r: Random): Vnet {
    return r.pick(this.kernel.vnets) ?? this.kernel.vnet0;
  }

  /** Holds something until `ms` have passed, or the round is over; then gives it back. */
  async hold(ms: number, giveBack: () => Promise<void> | void): Promise<void> {
    this.holds.add(giveBack);
    await pause(ms);
    if (this.holds.delete(giveBack)) await giveBack();
  }

  /** Gives back what is still held. */
  async letGo(): Promise<void> {
    for (const giveBack of [...this.holds]) {
      if (this.holds.delete(giveBack)) await giveBack();
    }
  }
}

/** Lets time pass. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
