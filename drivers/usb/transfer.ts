/**
 * A USB transfer completes exactly once: whoever swaps its state from PENDING to DONE calls back, be it the
 * device that answered, the driver that cancelled, or the bus whose device was pulled out. The losers are told
 * so, and touch nothing.
 *
 * @module
 */
import { Dma } from "../../core/device/mod.ts";

/** How a transfer ended: done, refused by the device, gone wrong on the wire, taken back, or its device was pulled out. */
export type TransferStatus = "ok" | "stalled" | "failed" | "cancelled" | "gone";

const IDLE = 0;
const PENDING = 1;
const DONE = 2;

/**
 * One transfer, used again and again. From `submit` until `done` is called, its buffer is the device's.
 *
 * @example
 * ```ts
 * import { Transfer } from "@softc/softc/drivers/usb";
 *
 * const t = new Transfer(0x81, 512, ({ status, actual }) => console.log(status, actual)); // ok 60
 * t.begin(); // the controller's side
 * t.end("ok", 60);
 * ```
 */
export class Transfer {
  /** Bytes to send, or room to receive. */
  readonly buffer: Uint8Array;
  /** Bytes of `buffer` to send, or that may be received. */
  length: number;
  /** Bytes that went over. */
  actual = 0;
  /** How it ended. */
  status: TransferStatus = "ok";
  /** An OUT transfer of whole packets ends with an empty one. */
  readonly zeroPacket = true;
  /** Completions so far, and submissions: never more of the first than of the second. */
  completions = 0;
  /** Times that it was given to a device. */
  submissions = 0;
  readonly #state = new Dma(new SharedArrayBuffer(4));
  readonly #done: (t: Transfer) => void;

  /** A transfer of at most `size` bytes for `endpoint` (its address, bit 7 = IN); `done` is called at each completion. */
  constructor(readonly endpoint: number, size: number, done: (t: Transfer) => void) {
    this.buffer = new Uint8Array(size);
    this.length = size;
    this.#done = done;
  }

  /** The device has it. */
  get pending(): boolean {
    return this.#state.load(0) === PENDING;
  }

  /** For controllers: claims it for a submission; false when it is under way already. */
  begin(): boolean {
    if (this.#state.cas(0, IDLE, PENDING) !== IDLE && this.#state.cas(0, DONE, PENDING) !== DONE) {
      return false;
    }
    this.submissions++;
    return true;
  }

  /** For controllers: ends it with `actual` bytes gone over, and calls `done`; false when somebody else has. */
  end(status: TransferStatus, actual: number): boolean {
    if (this.#state.cas(0, PENDING, DONE) !== PENDING) return false;
    this.completions++;
    this.status = status;
    this.actual = actual;
    this.#done(this);
    return true;
  }
}

/** A setup packet, without its wLength where nothing is read: USB 2.0, 9.3. */
export interface Setup {
  /** bmRequestType. */
  readonly type: number;
  /** bRequest. */
  readonly request: number;
  /** wValue. */
  readonly value: number;
  /** wIndex. */
  readonly index: number;
  /** Bytes wanted, for a request that reads. */
  readonly length?: number;
}

/** How a request failed: its `status`. Has no softc code. */
export class UsbError extends Error {
  /** Its kind. */
  override readonly name = "UsbError";

  /** `what` ended with `status`. */
  constructor(readonly status: TransferStatus, what: string) {
    super(`${what}: ${status}`);
  }
}

/** A device on a port, as its driver sees it: what a host controller gives. Also the live object that a device is plugged with. */
export interface UsbPort {
  /** It was pulled out: everything fails with "gone". */
  readonly gone: boolean;
  /** A request on endpoint 0, with the bytes that it writes: resolves with those that it read, none for one that writes. @throws {UsbError} "stalled" when the device refuses it, "gone", "failed": rejects the promise */
  control(setup: Setup, data?: Uint8Array): Promise<Uint8Array>;
  /** Gives the device a transfer. It completes once, never before this returns. @throws {UsbError} while it is under way already */
  submit(t: Transfer): void;
  /** Takes a transfer back: it completes with "cancelled", unless it has completed. */
  cancel(t: Transfer): void;
  /** The bus: the device was pulled out. Every transfer completes with "gone". */
  unplugged(): void;
}
