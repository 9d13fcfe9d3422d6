/** What the data path calls of a driver instance; gates of the device floor implement it. @module */
import type { PacketBatch } from "../memory/batch.ts";

/** An instance's transmit hook on this CPU. */
export interface Gate {
  /** Interface slot. */
  readonly index: number;
  /** gencnt of the occupant's first link: tells it from a later occupant of the slot. */
  readonly born: number;
  /** The vnet-wide name, for reports. */
  readonly name: string;
  /**
   * Gives the batch to the driver, in the caller's section. Returns how many packets from the front the driver
   * accepted; those are ended or taken, the rest is still the caller's. Never throws.
   */
  transmit(batch: PacketBatch, queue: number): number;
}
