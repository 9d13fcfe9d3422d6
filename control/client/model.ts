/** What the page knows of the system, as far as it is shown. @module */

/** An interface. */
export interface Ifnet {
  readonly name: string;
  readonly handle: string;
  readonly vnet: string;
  readonly home: string;
  readonly driver: string;
  readonly state: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly cpu: number;
  readonly queues: number;
}

/** A vnet. */
export interface Vnet {
  readonly name: string;
  readonly state: string;
}

/** A module. */
export interface Module {
  readonly name: string;
  readonly state: string;
  readonly instances: readonly string[];
}

/** A capture. */
export interface Capture {
  readonly id: string;
  readonly ifnet: string;
  readonly vnet: string;
  readonly packets: number;
  readonly bytes: number;
  readonly running: boolean;
  readonly ended?: string;
}

/** Something that was pulled out. */
export interface Pulled {
  readonly name: string;
  readonly what: string;
  readonly replug: boolean;
}

/** A link of the lab: a wire between two interfaces. */
export interface Link {
  readonly name: string;
  readonly netem?: { readonly delay?: number; readonly loss?: number; readonly rate?: number };
  readonly ends: readonly { readonly vnet: string }[];
}

/** The whole, as it was asked for last. */
export interface Model {
  readonly ifnets: readonly Ifnet[];
  readonly vnets: readonly Vnet[];
  readonly modules: readonly Module[];
  readonly captures: readonly Capture[];
  readonly pulled: readonly Pulled[];
  readonly links: readonly Link[];
}

/** Who holds something, and since when. */
export interface Blame {
  readonly what: string;
  readonly holder: string;
  readonly age?: number;
  readonly fix: string;
}

/** Counters of one moment. */
export interface Sample {
  readonly at: number;
  readonly gracePeriods: number;
  readonly callbacks: number;
  readonly blame: readonly Blame[];
  readonly ifnets: readonly {
    readonly handle: string;
    readonly queued: number;
    readonly ipackets: number;
    readonly opackets: number;
    readonly iqdrops: number;
    readonly oqdrops: number;
  }[];
}

/** What an interface does, per second. */
export interface Rate {
  readonly in: number;
  readonly out: number;
  readonly drops: number;
  readonly queued: number;
}

/** Does what a button says: the name of it for people, and the call. */
export type Act = (what: string, fn: () => Promise<unknown>) => Promise<void>;

/** "VNET:NAME". */
export const nameOf = (i: { readonly vnet: string; readonly name: string }): string => `${i.vnet}:${i.name}`;

/** 1234567 as "1.23 M". */
export function short(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} G`;
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  return n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : String(Number(n.toFixed(1)));
}

/** Colours that lines and interfaces have, by the order in which they came. */
const colours = new Map<string, number>();

/** The colour of an interface: the same in the topology and in every chart. */
export function colourOf(name: string): string {
  if (!colours.has(name)) colours.set(name, colours.size);
  return `var(--c${colours.get(name)! % 8})`;
}
