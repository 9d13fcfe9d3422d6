/**
 * What CPU 0 keeps of one family on one link of an interface.
 *
 * @module
 */
import { type Handle, handleGencnt } from "../../core/net/handle.ts";
import type { IfEntry } from "../../core/net/interfaces.ts";
import type { Address } from "./address.ts";
import { Groups } from "./groups.ts";
import type { NeighbourAges } from "./neighbour_timers.ts";
import type { VnetInet } from "./vnet_inet.ts";

/** One address of an interface as CPU 0 keeps it. */
export interface AddressRow {
  readonly id: number;
  readonly address: Address;
  readonly plen: number;
  kind: number;
  /** Told that somebody else has it. */
  conflict: (() => void) | undefined;
  defendedAt: number;
}

/** A family on one link of an interface: made with its first address, gone with its afdata. */
export class IfInet {
  readonly rows: AddressRow[] = [];
  readonly groups: Groups;
  readonly ages: NeighbourAges = new Map();
  /** Word offset of the list that is published. */
  list = 0;
  neigh = 0;
  gone = false;

  constructor(
    readonly e: IfEntry,
    readonly handle: Handle,
    readonly family: number,
    readonly block: number,
    readonly vnet: VnetInet,
  ) {
    this.groups = new Groups(vnet.inet, this);
  }

  get gencnt(): number {
    return handleGencnt(this.handle);
  }
}
