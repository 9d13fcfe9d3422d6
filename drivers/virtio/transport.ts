/**
 * How a virtio driver reaches its device: registers that may be slow, memory that is shared, kicks.
 *
 * @module
 */
import type { Dma } from "../../core/device/mod.ts";
import type { Features } from "./spec.ts";

/** A transport, on one CPU of the driver. What is slow answers with a promise; a device that is gone answers at once. Addresses are byte addresses in `dma`. */
export interface Transport {
  /** Memory that the device sees; queues lie in it. */
  readonly dma: Dma;
  /** The device does not see the kernel's packets: they are copied into memory of the transport. */
  readonly bounce: boolean;
  /** The device is gone, and touches nothing any more. */
  readonly gone: boolean;
  /** What the device offers: virtio 1.3, 2.2. */
  features(): Promise<Features>;
  /** What the driver accepts. */
  accept(f: Features): Promise<void>;
  /** The device status, bits of `STATUS`; 0 when the device is gone. */
  status(): Promise<number>;
  /** Sets the status and waits until the device has taken note; resolves with what it reads then. 0 is a reset: acked when 0 reads back. */
  setStatus(value: number): Promise<number>;
  /** Reads a little-endian number of 1, 2 or 4 bytes at byte `at` of the configuration space. */
  config(at: number, bytes: 1 | 2 | 4): Promise<number>;
  /** Entries that queue `i` has at most; 0 = there is no such queue. */
  queueMax(i: number): Promise<number>;
  /** Byte address in `dma` of `bytes` bytes, zeroed, that the device sees, for `what`: the same memory for the same name. */
  memory(what: string, bytes: number): number;
  /** Tells the device where queue `i` is: `n` entries, byte addresses in `dma` of its parts; its interrupts come to CPU `cpu`. */
  enable(i: number, n: number, desc: number, avail: number, used: number, cpu: number): Promise<void>;
  /** Kicks the device: queue `i` has something. */
  kick(i: number): void;
  /** Calls `fn` on this CPU when queues of pair `pair` may have completions. */
  listen(pair: number, fn: () => void): void;
  /** Calls `fn` when the configuration or the status changed. Before anything that waits. */
  watch(fn: () => void): void;
}
