/**
 * Protocol domains: what an address family hangs off an interface (`if_afdata`), and where its packets go.
 *
 * Every CPU has its own instance of each domain; the state that they share is in the arena.
 *
 * @module
 */
import { get, load } from "../doors/arena.ts";
import { IFNET } from "../memory/arena.ts";
import type { PacketBatch } from "../memory/batch.ts";
import type { AttachedIfp, NetSection } from "./section.ts";

/** Slot of a domain in an interface's afdata. */
export const AF = { inet: 0, inet6: 1 } as const;

/** What a domain is told of an interface that it is to hang data off. */
export interface DomainIf {
  readonly index: number;
  readonly vnet: number;
  readonly mtu: number;
  readonly mac: Uint8Array;
}

/** A protocol domain on one CPU. */
export interface Domain {
  readonly name: string;
  /** Slot in afdata: one of {@linkcode AF}. */
  readonly family: number;
  /** EtherTypes that come to {@linkcode Domain.input}. */
  readonly etherTypes: readonly number[];
  /** Words of its data per interface. */
  readonly afdataWords: number;
  /** Fills new afdata. On CPU 0, before anybody can find the interface (X1). May not await. */
  ifattach(a: Int32Array, afdata: number, ifnet: DomainIf): void;
  /** Ends what the afdata holds on CPU 0, after the grace period that follows unlink. The memory is freed by the caller. */
  ifdetach?(a: Int32Array, afdata: number, ifnet: DomainIf): void;
  /**
   * Received packets of its EtherTypes, in a section of the interface's vnet, on the receiving CPU. Ends,
   * keeps or passes on every packet.
   */
  input(s: NetSection, p: AttachedIfp, batch: PacketBatch): void;
}

/** A domain's data of an interface inside a section: read once, valid to the section's end (rule 1b). 0 = none. */
export function afdata(s: NetSection, p: AttachedIfp, family: number): number {
  const { arena } = s.net;
  return load(arena.a, arena.ifnetAt(p) + IFNET.afdata + family);
}

/** One word of afdata. */
export function afdataWord(s: NetSection, data: number, word: number): number {
  return get(s.net.arena.a, data + word);
}
