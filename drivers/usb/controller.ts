/**
 * An in-process host controller: ports to which software devices are connected.
 *
 * Like the real one it works on its own time: what is submitted is looked at in a later task of the event loop,
 * so transfers are in flight between turns. `hold` stops it, `step` does one thing: tests drive it by hand.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { type Setup, type Transfer, UsbError, type UsbPort } from "./transfer.ts";

/** A software device: what a {@linkcode SoftPort} asks, in a task of its own, never inside a call of the driver. It answers at once or not yet, and says when it has something. What it throws is not caught. */
export interface UsbFunction {
  /** Set by the port when it is plugged in; to be called by the device: look at endpoint `address` again. */
  wake: (address: number) => void;
  /** A request on endpoint 0 with the bytes that it writes: the bytes that it reads, cut to `setup.length`; undefined to stall. */
  control(setup: Setup, data: Uint8Array): Uint8Array | undefined;
  /** At most `max` bytes to the host on an IN endpoint: more fail the transfer. Undefined when there are none yet, "stall" to stall. */
  in(address: number, max: number): Uint8Array | "stall" | undefined;
  /** Bytes from the host on an OUT endpoint, valid during the call; true takes all, false none yet, "stall" to stall. */
  out(address: number, bytes: Uint8Array): boolean | "stall";
}

/**
 * A port with a software device on it: an in-process {@linkcode UsbPort}.
 *
 * @example
 * ```ts
 * import { SoftNic, SoftPort } from "@softc/softc/drivers/usb";
 *
 * const port = new SoftPort(new SoftNic({ kind: "ecm", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) }));
 * console.log(port.inFlight); // 0: no driver yet
 * ```
 */
export class SoftPort implements UsbPort {
  gone = false;
  /** Nothing happens by itself: `step` does. */
  hold = false;
  readonly #function: UsbFunction;
  readonly #pending: Transfer[] = [];
  readonly #requests = new Set<(e: UsbError) => void>();
  #scheduled = false;

  /** A port with `f` plugged in. */
  constructor(f: UsbFunction) {
    this.#function = f;
    f.wake = () => this.#schedule();
  }

  /** Transfers that are under way. */
  get inFlight(): number {
    return this.#pending.length;
  }

  control(setup: Setup, data: Uint8Array = new Uint8Array(0)): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const fail = (e: UsbError): void => {
        if (this.#requests.delete(fail)) reject(e);
      };
      this.#requests.add(fail);
      if (this.gone) return fail(new UsbError("gone", `request ${setup.request}`));
      soon(() => {
        if (!this.#requests.has(fail)) return;
        const answer = this.#function.control(setup, data);
        if (answer === undefined) return fail(new UsbError("stalled", `request ${setup.request}`));
        this.#requests.delete(fail);
        resolve(answer.slice(0, setup.length ?? answer.length));
      });
    });
  }

  submit(t: Transfer): void {
    if (!t.begin()) throw new UsbError("failed", "a transfer was submitted while it is under way");
    this.#pending.push(t);
    this.#schedule();
  }

  cancel(t: Transfer): void {
    if (t.end("cancelled", 0)) this.#pending.splice(this.#pending.indexOf(t), 1);
  }

  unplugged(): void {
    this.gone = true;
    for (const t of this.#pending.splice(0)) t.end("gone", 0);
    for (const fail of [...this.#requests]) fail(new UsbError("gone", "request"));
  }

  /** Completes what can be; at most `most` transfers, all unless told. How many did. */
  step(most = Infinity): number {
    let done = 0;
    const full = new Set<number>();
    for (let i = 0; i < this.#pending.length && done < most;) {
      const t = this.#pending[i]!;
      // One endpoint is served in order.
      const end = full.has(t.endpoint) ? undefined : this.#serve(t);
      if (end === undefined) {
        full.add(t.endpoint);
        i++;
        continue;
      }
      this.#pending.splice(i, 1);
      done++;
      t.end(end.status, end.actual);
    }
    return done;
  }

  #serve(t: Transfer): { status: "ok" | "stalled" | "failed"; actual: number } | undefined {
    if ((t.endpoint & 0x80) === 0) {
      const taken = this.#function.out(t.endpoint, t.buffer.subarray(0, t.length));
      if (taken === false) return undefined;
      return taken === true ? { status: "ok", actual: t.length } : { status: "stalled", actual: 0 };
    }
    const bytes = this.#function.in(t.endpoint, t.length);
    if (bytes === undefined) return undefined;
    if (bytes === "stall") return { status: "stalled", actual: 0 };
    // Babble: more than was asked for.
    if (bytes.length > t.length) return { status: "failed", actual: 0 };
    t.buffer.set(bytes);
    return { status: "ok", actual: bytes.length };
  }

  #schedule(): void {
    if (this.#scheduled || this.hold || this.gone) return;
    this.#scheduled = true;
    soon(() => {
      this.#scheduled = false;
      if (!this.hold && !this.gone && this.step() > 0 && this.#pending.length > 0) this.#schedule();
    });
  }
}

/** Runs `fn` in a later task of the event loop. */
function soon(fn: () => void): void {
  // Microtasks let nothing in; setTimeout(0) is a millisecond.
  setImmediate(fn);
}
